/**
 * The main verb: name + variables → version → messages → provider → answer, with a durable row whichever way it ends.
 * Its order is the promise: everything that can be refused is refused (and audited) before the intent; the intent is
 * committed before the provider's first byte; the outcome is committed before the caller hears.
 */
import { v7 as newId } from 'uuid';
import type { Actor } from '../domain/api-key.ts';
import { type Definition, renderPrompt } from '../domain/definition.ts';
import { PromptgateError, toPromptgateError } from '../domain/errors.ts';
import type { Admission, Execution, ExecutionPurpose, InputPayload, Intent } from '../domain/execution.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { formatPath } from '../domain/json-path.ts';
import type { Message, RenderedMessage } from '../domain/message.ts';
import type { PromptVersion } from '../domain/prompt-version.ts';
import { findJsonFault, toWritableJson, toWritableText } from '../domain/writable-text.ts';
import type { AuditStore } from './audit-store.ts';
import type { AuditTrail, ClaimHolder, IdempotencyClaim } from './audit-trail.ts';
import { authorizeAnyVersion, authorizeLabel, authorizePrompt } from './authorize.ts';
import { type ClosedDelivery, openDelivery, type StreamReader } from './delivery.ts';
import { type ExecutionClock, startExecutionClock } from './execution-clock.ts';
import { toAnswered, toFailed, toWritableAttempt, toWritableOutcome } from './execution-outcome.ts';
import { claimOf, refuseClaim, replayStored } from './idempotency.ts';
import type { AttemptControl, ModelRoute, ProviderAnswer, ProviderResult, Providers } from './provider.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';

export interface ExecuteRequest {
  readonly actor: Actor;
  readonly promptName: string;
  /** Label or version, not both; neither means the label `production`. */
  readonly label?: string;
  readonly version?: number;
  readonly variables: JsonObject;
  readonly messages?: readonly Message[];
  readonly metadata?: JsonObject;
  /** Run instead of a version of the registry: what an evaluation or a replay makes of a file. */
  readonly draft?: Definition;
  /** Default: `call`. */
  readonly purpose?: ExecutionPurpose;
  /** The evaluation, batch or probe that makes the call. */
  readonly runId?: string;
  /** The execution that is repeated. */
  readonly replayOf?: string;
  readonly requestId: string;
  readonly traceId?: string | null;
  /** Of all requests of this caller with the same key one is executed. */
  readonly idempotencyKey?: string;
  /** Aborts when the caller went away; of a stream, when the call must end whether or not it has a reader. */
  readonly signal?: AbortSignal;
  /** Hears the answer while it is made. */
  readonly reader?: StreamReader;
}

export interface ExecuteDependencies {
  readonly snapshot: RegistrySnapshot;
  readonly trail: AuditTrail;
  /** Where the result of an earlier request with the same Idempotency-Key is read. */
  readonly audit: Pick<AuditStore, 'findExecution'>;
  readonly providers: Providers;
  /** Deadline of an execution whose definition states none, in milliseconds. */
  readonly defaultTimeoutMs: number;
  /** Hears of every execution once it is settled: metrics and log. */
  readonly onExecution?: (execution: Execution) => void;
}

/** A settled execution. */
export type Executed = Execution & {
  /** True when an earlier request with the same Idempotency-Key was executed, and this is its result. */
  readonly replayed?: boolean;
};

export const defaultLabel = 'production';

/** An outage of the database is not over sooner. */
const retryAfterMs = 1_000;

/** What the gateway worked out before it admitted the call. */
interface Prepared {
  readonly definition: Definition;
  readonly route: ModelRoute;
  readonly messages: readonly RenderedMessage[];
  readonly admission: Admission;
}

/**
 * Executes a prompt. Resolves only after the outcome is durable.
 * @returns the settled execution, status `succeeded`
 * @throws PromptgateError — any code of the error table, with `executionId` set whenever a row was written
 */
export async function executePrompt(deps: ExecuteDependencies, request: ExecuteRequest): Promise<Executed> {
  const clock = startExecutionClock();
  const draft = draftAdmission(request);
  let prepared: Prepared;
  try {
    prepared = prepare(deps, request, draft);
  } catch (error) {
    throw await refuse(deps, draft, toPromptgateError(error), clock);
  }
  const { admission } = prepared;
  const claim = claimOf(request);
  let holder: ClaimHolder | undefined;
  const admit: AttemptControl['beforeAttempt'] = async (attempt, earlier) => {
    const intent = { ...admission, attempt, earlierAttempts: earlier.map(toWritableAttempt) };
    holder = await writeIntent(deps.trail, intent, claim);
    if (holder) throw new PromptgateError('conflict', 'Another execution holds the Idempotency-Key.');
  };
  try {
    const { result, delivered } = await callProvider(deps, request, prepared, clock, admit);
    if (claim && holder) return await answerFor(deps, draft, claim, holder, clock);
    return await settle(deps, prepared, result, clock, delivered);
  } finally {
    deps.trail.leave(admission.id);
  }
}

/** The answer, streamed to the reader where there is one. @param admit makes the intent of an attempt durable */
async function callProvider(
  deps: ExecuteDependencies,
  request: ExecuteRequest,
  { definition, route, messages, admission }: Prepared,
  clock: ExecutionClock,
  admit: AttemptControl['beforeAttempt'],
): Promise<{ result: ProviderResult; delivered: ClosedDelivery | undefined }> {
  const { parameters, tools, outputFormat, outputSchema } = definition;
  const output = { format: outputFormat, schema: outputSchema };
  const call = { route, messages, parameters, tools, output };
  const control: AttemptControl = {
    signal: request.signal ?? new AbortController().signal,
    deadlineMs: parameters.timeoutMs ?? deps.defaultTimeoutMs,
    beforeAttempt: (attempt, earlier) => clock.own(() => admit(attempt, earlier)),
  };
  const delivery = request.reader && openDelivery(request.reader, admission, clock.elapsedMs);
  const result = delivery
    ? await deps.providers.stream(call, delivery.control(control))
    : await deps.providers.call(call, control);
  clock.providerDone();
  return { result, delivered: delivery?.close() };
}

/** The answer to a request whose Idempotency-Key an earlier execution holds. */
async function answerFor(
  deps: ExecuteDependencies,
  draft: Admission,
  claim: IdempotencyClaim,
  holder: ClaimHolder,
  clock: ExecutionClock,
): Promise<Executed> {
  const refusal = refuseClaim(claim, holder);
  if (refusal) throw await refuse(deps, draft, refusal, clock);
  const stored = await deps.audit.findExecution(holder.executionId);
  if (!stored) throw new PromptgateError('internal', 'The stored result of this Idempotency-Key is gone.');
  return replayStored(stored);
}

/** Writes the audit row of a call that was refused before it had variables: an unreadable body, a denied scope. */
export async function refuseExecution(
  deps: Pick<ExecuteDependencies, 'trail' | 'onExecution'>,
  request: Omit<ExecuteRequest, 'variables'>,
  error: PromptgateError,
): Promise<PromptgateError> {
  return refuse(deps, draftAdmission({ ...request, variables: {} }), error, startExecutionClock());
}

function draftAdmission(request: ExecuteRequest): Admission {
  const { draft } = request;
  return {
    id: newId(),
    promptName: request.promptName,
    promptVersionId: null,
    promptVersion: request.version ?? null,
    label: labelOf(request),
    inputPayload: {
      variables: request.variables,
      ...(request.messages ? { messages: request.messages } : {}),
      ...(draft ? { definition: { source: draft.source, partials: draft.partials } } : {}),
    },
    parameters: {},
    renderedHash: null,
    variablesHash: null,
    provider: null,
    model: null,
    simulated: false,
    keyId: request.actor.keyId,
    actor: request.actor.name,
    requestId: request.requestId,
    traceId: request.traceId ?? null,
    idempotencyKey: request.idempotencyKey ?? null,
    replayOf: request.replayOf ?? null,
    purpose: request.purpose ?? 'call',
    runId: request.runId ?? null,
    metadata: request.metadata ?? {},
    startedAt: new Date(),
  };
}

/**
 * The caller's own text as the database can hold it. Only refusals need this: whatever is admitted has been proven
 * writable. Names are bounded, so that a hostile one is still only a row.
 */
function toWritableDraft(draft: Admission): Admission {
  return {
    ...draft,
    promptName: toWritableText(draft.promptName.slice(0, 128)).text,
    label: draft.label && toWritableText(draft.label.slice(0, 64)).text,
    inputPayload: toWritableJson(draft.inputPayload as unknown as Json) as unknown as InputPayload,
    metadata: toWritableJson(draft.metadata as JsonObject) as JsonObject,
  };
}

function prepare(deps: ExecuteDependencies, request: ExecuteRequest, draft: Admission): Prepared {
  if (request.label !== undefined && request.version !== undefined) {
    throw new PromptgateError('invalid_request', 'Name a label or a version, not both.');
  }
  refuseUnwritable('messages', request.messages);
  refuseUnwritable('metadata', request.metadata);
  authorizePrompt(request.actor, request.promptName);
  const label = labelOf(request);
  if (label === null) authorizeAnyVersion(request.actor);
  else authorizeLabel(request.actor, label);
  const { definition, registered } = resolve(deps.snapshot, request, label);
  const rendered = renderPrompt(definition, request.variables, request.messages);
  const route = deps.providers.route(definition.model);
  if (!route) {
    throw new PromptgateError(
      'provider_misconfigured',
      `No configured provider takes the model "${definition.model}" of ${definition.name} version ${definition.version}. Set the provider's key, or name the model as provider/model; \`promptgate config\` shows what is configured.`,
    );
  }
  const admission: Admission = {
    ...draft,
    promptVersionId: registered?.id ?? null,
    promptVersion: registered?.version ?? null,
    parameters: { ...definition.parameters } as JsonObject,
    renderedHash: rendered.renderedHash,
    variablesHash: rendered.variablesHash,
    provider: route.provider,
    model: route.model,
    simulated: route.simulated,
  };
  return { definition, route, messages: rendered.messages, admission };
}

/** Null: the caller names a version, or brings what is to run. */
function labelOf({ label, version, draft }: ExecuteRequest): string | null {
  return version === undefined && !draft ? (label ?? defaultLabel) : null;
}

function resolve(
  snapshot: RegistrySnapshot,
  { promptName, version, draft }: ExecuteRequest,
  label: string | null,
): { definition: Definition; registered: PromptVersion | undefined } {
  if (draft) return { definition: draft, registered: undefined };
  const target = label === null ? { version: version as number } : { label };
  const { definition, version: registered } = snapshot.resolve(promptName, target);
  return { definition, registered };
}

function refuseUnwritable(part: string, value: unknown): void {
  const fault = value === undefined ? undefined : findJsonFault(value, { prototypeNames: true });
  if (!fault) return;
  const path = formatPath([part, ...fault.path]);
  throw new PromptgateError('invalid_request', `The request cannot be recorded: ${path} ${fault.message}.`, {
    issues: [{ path, message: fault.message }],
  });
}

/** Only the first attempt claims: with it the execution is admitted. */
async function writeIntent(
  trail: AuditTrail,
  intent: Intent,
  claim: IdempotencyClaim | undefined,
): Promise<ClaimHolder | undefined> {
  try {
    return await trail.writeIntent(intent, intent.attempt === 1 ? claim : undefined);
  } catch (error) {
    if (intent.attempt > 1) throw auditUnavailable(error, 'No provider was called for this attempt');
    // Shed or not durable: either way nothing was spent, and the request may be sent again.
    if (error instanceof PromptgateError && error.retryAfterMs !== null) throw error;
    throw auditUnavailable(error, 'No provider was called', retryAfterMs);
  }
}

async function settle(
  deps: ExecuteDependencies,
  prepared: Prepared,
  result: ProviderResult,
  clock: ExecutionClock,
  delivered: ClosedDelivery | undefined,
): Promise<Execution> {
  const { admission, route } = prepared;
  const failure = result.ok ? refuseOutput(prepared, result.answer) : result.error;
  if (failure) failure.providerAsked = result.attempts.length > 0;
  const outcome = result.ok
    ? toAnswered(admission, route, result, failure, clock)
    : toFailed(admission, result.error, result.attempts, clock, delivered?.partialOutput);
  const execution = { ...outcome, delivery: delivered?.delivery ?? null };
  const settling = deps.trail.settle(toWritableOutcome(execution));
  if (failure?.code === 'audit_unavailable' && result.attempts.length === 0) {
    // Nothing was called because nothing can be written. The row is still owed, but nobody waits for it.
    settling.catch(() => {});
    throw failure;
  }
  try {
    await settling;
  } catch (error) {
    const lost = auditUnavailable(
      error,
      `The call was made, as execution ${execution.id}: its intent is recorded, and its outcome follows or becomes unknown`,
    );
    lost.executionId = execution.id;
    throw lost;
  }
  deps.onExecution?.(execution);
  if (!failure) return execution;
  failure.executionId = execution.id;
  throw failure;
}

/** What is wrong with a whole answer, by the schema of its definition. */
function refuseOutput({ definition }: Prepared, answer: ProviderAnswer): PromptgateError | undefined {
  const issues = definition.validateOutput(answer.output, answer.finishReason);
  const [first] = issues;
  if (!first) return undefined;
  const more = issues.length > 1 ? `, and ${issues.length - 1} more` : '';
  return new PromptgateError(
    'invalid_output',
    `The answer of the model is not what the definition promises: ${first.path} ${first.message}${more}.`,
    { issues },
  );
}

async function refuse(
  deps: Pick<ExecuteDependencies, 'trail' | 'onExecution'>,
  draft: Admission,
  error: PromptgateError,
  clock: ExecutionClock,
): Promise<PromptgateError> {
  const execution = toFailed(toWritableDraft(draft), error, [], clock);
  try {
    await deps.trail.settle(execution);
  } catch (cause) {
    return auditUnavailable(cause, 'The request was refused, and the refusal could not be recorded');
  }
  deps.onExecution?.(execution);
  error.executionId = execution.id;
  return error;
}

function auditUnavailable(cause: unknown, consequence: string, retryAfterMs?: number): PromptgateError {
  return new PromptgateError('audit_unavailable', `The audit trail cannot be written. ${consequence}.`, {
    cause,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}
