/**
 * The main verb: name + variables → version → messages → provider → answer, with a durable row whichever way it ends.
 * Its order is the promise: everything that can be refused is refused (and audited) before the intent; the intent is
 * committed before the provider's first byte; the outcome is committed before the caller hears.
 */
import type { Actor } from '../domain/api-key.ts';
import type { LimitStanding } from '../domain/budget.ts';
import type { Definition } from '../domain/definition.ts';
import { type Issue, PromptgateError, toPromptgateError } from '../domain/errors.ts';
import type { Admission, Execution, ExecutionPurpose, Intent, StoredExecution } from '../domain/execution.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Message } from '../domain/message.ts';
import type { Overrides, OverrideWording } from '../domain/overrides.ts';
import type { TraceContext } from '../domain/trace-context.ts';
import type { AuditStore } from './audit-store.ts';
import type { AuditTrail, ClaimHolder, IdempotencyClaim } from './audit-trail.ts';
import type { BudgetKeeper, BudgetTicket } from './budget-keeper.ts';
import { type ClosedDelivery, OpenDelivery, type StreamReader } from './delivery.ts';
import { estimateCall } from './estimate-call.ts';
import { ExecutionClock } from './execution-clock.ts';
import {
  refuseOutput,
  toAnswered,
  toEnd,
  toFailed,
  toRefused,
  toWritableAttempt,
  toWritableOutcome,
} from './execution-outcome.ts';
import { claimOf, refuseClaim, replayStored } from './idempotency.ts';
import { draftAdmission, type Prepared, prepareExecution, toWritableDraft } from './prepare-execution.ts';
import type { AttemptControl, ProviderResult, Providers } from './provider.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';

export interface ExecuteRequest {
  readonly actor: Actor;
  readonly promptName: string;
  /** Label or version, not both; neither means the label `production`. */
  readonly label?: string;
  readonly version?: number;
  readonly variables: JsonObject;
  readonly messages?: readonly Message[];
  /** What the call replaces of the definition: of a purpose other than `replay`, as far as the definition lists it. */
  readonly overrides?: Overrides;
  readonly wording?: OverrideWording;
  /** The request names no prompt: its messages and overrides are all there is. Then the name is empty. */
  readonly raw?: boolean;
  readonly metadata?: JsonObject;
  /** Run instead of a version of the registry: what an evaluation or a replay makes of a file. */
  readonly draft?: Definition;
  /** Default: `call`, or `raw` where there is no prompt. */
  readonly purpose?: ExecutionPurpose;
  /** The evaluation, batch or probe that makes the call. */
  readonly runId?: string;
  /** The execution that is repeated. */
  readonly replayOf?: string;
  readonly requestId: string;
  /** The caller's place in its trace. */
  readonly trace?: TraceContext | null;
  /** Of all requests of this caller with the same key one is executed. */
  readonly idempotencyKey?: string;
  /** Aborts when the caller went away; of a stream, when the call must end whether or not it has a reader. */
  readonly signal?: AbortSignal;
  /** Hears the answer while it is made. */
  readonly reader?: StreamReader;
  /** Hears, before the call is made, how the caller stands with its nearest limit. */
  readonly onLimit?: (standing: LimitStanding) => void;
}

/** @see ExecuteDependencies.rawCalls */
export type RawCalls = 'refuse' | 'audit';

export interface ExecuteDependencies {
  readonly snapshot: RegistrySnapshot;
  readonly trail: AuditTrail;
  /** Where the result of an earlier request with the same Idempotency-Key is read. */
  readonly audit: Pick<AuditStore, 'findExecution'>;
  readonly providers: Providers;
  /** Left out: nothing is limited. */
  readonly budgets?: Pick<BudgetKeeper, 'admit'>;
  /** Whether requests that bring their own prompt are let through; then they are audited as what they are. */
  readonly rawCalls: RawCalls;
  /** Deadline of an execution whose definition states none, in milliseconds. */
  readonly defaultTimeoutMs: number;
  /** Hears of every execution once it is settled, or cannot be: metrics, traces and log. */
  readonly onExecution?: (execution: Execution, trace: TraceContext | null) => void;
}

/** A settled execution. */
export type Executed = Execution & {
  /** True when an earlier request with the same Idempotency-Key was executed, and this is its result. */
  readonly replayed?: boolean;
};

/** An outage of the database is not over sooner. */
const retryAfterMs = 1_000;

/**
 * Executes a prompt. Resolves only after the outcome is durable.
 * @returns the settled execution, status `succeeded`
 * @throws PromptgateError — any code of the error table, with `executionId` set whenever a row was written
 */
export async function executePrompt(deps: ExecuteDependencies, request: ExecuteRequest): Promise<Executed> {
  const clock = new ExecutionClock();
  const draft = draftAdmission(request);
  let prepared: Prepared;
  try {
    prepared = prepareExecution(deps, request, draft);
  } catch (error) {
    throw await refuse(deps, request, draft, toPromptgateError(error), clock);
  }
  const { admission } = prepared;
  const claim = claimOf(request);
  let holder: ClaimHolder | undefined;
  let ticket: BudgetTicket | undefined;
  try {
    ticket = await deps.budgets?.admit(admission, () => estimateCall(prepared), request.signal);
    if (ticket?.standing) request.onLimit?.(ticket.standing);
  } catch (error) {
    const refusal = toPromptgateError(error);
    const stored = claim && (await findStored(deps.trail, claim, refusal));
    if (claim && stored) return answerFor(deps, request, draft, claim, stored, clock);
    throw await refuse(deps, request, admission, refusal, clock);
  }
  const admit: AttemptControl['beforeAttempt'] = async (attempt, earlier) => {
    const intent = { ...admission, attempt, earlierAttempts: earlier.map(toWritableAttempt) };
    holder = await writeIntent(deps.trail, intent, claim);
    if (holder) throw new PromptgateError('conflict', 'Another execution holds the Idempotency-Key.');
  };
  try {
    const { answering, delivery } = callProvider(deps, request, prepared, clock, admit);
    const result = await answering;
    clock.providerDone();
    const delivered = delivery?.close();
    if (claim && holder) return await answerFor(deps, request, draft, claim, holder, clock);
    return await settle(deps, request, { ...prepared, ticket }, result, clock, delivered);
  } finally {
    ticket?.settle(null);
    deps.trail.leave(admission.id);
  }
}

/**
 * The answer, streamed to the reader where there is one. Not async: thousands of open streams would each keep one more
 * suspended function.
 * @param admit makes the intent of an attempt durable
 */
function callProvider(
  deps: ExecuteDependencies,
  request: ExecuteRequest,
  { definition, route, messages, admission }: Prepared,
  clock: ExecutionClock,
  admit: AttemptControl['beforeAttempt'],
): { answering: Promise<ProviderResult>; delivery: OpenDelivery | undefined } {
  const { parameters, tools, toolChoice, outputFormat, outputSchema } = definition;
  const output = { format: outputFormat, schema: outputSchema };
  const choice = toolChoice === undefined ? {} : { toolChoice };
  const call = { route, messages, parameters, tools, ...choice, output };
  const control: AttemptControl = {
    signal: request.signal ?? new AbortController().signal,
    deadlineMs: parameters.timeoutMs ?? deps.defaultTimeoutMs,
    beforeAttempt: (attempt, earlier) => clock.own(() => admit(attempt, earlier)),
  };
  const delivery = request.reader && new OpenDelivery(request.reader, admission, () => clock.elapsedMs());
  const answering = delivery
    ? deps.providers.stream(call, delivery.control(control))
    : deps.providers.call(call, control);
  return { answering, delivery };
}

/** Who has the answer to a request that no budget has room for: what was executed once takes nothing of it again. */
async function findStored(trail: AuditTrail, claim: IdempotencyClaim, refusal: PromptgateError) {
  if (refusal.auditStatus !== 'refused') return undefined;
  return trail.findHolder(claim).catch(() => undefined);
}

/** The answer to a request whose Idempotency-Key an earlier execution holds. */
async function answerFor(
  deps: ExecuteDependencies,
  request: ExecuteRequest,
  draft: Admission,
  claim: IdempotencyClaim,
  holder: ClaimHolder,
  clock: ExecutionClock,
): Promise<Executed> {
  const refusal = refuseClaim(claim, holder);
  if (refusal && request.runId !== undefined && holder.fingerprint === claim.fingerprint) {
    // Of a run it is the same call, which has its row or will: another one would say that it was refused, and cost nothing.
    refusal.executionId = holder.executionId;
    throw refusal;
  }
  if (refusal) throw await refuse(deps, request, draft, refusal, clock);
  const stored = await deps.audit.findExecution(holder.executionId);
  if (!stored) throw new PromptgateError('internal', 'The stored result of this Idempotency-Key is gone.');
  return replayStored(stored, findOutputIssues(deps.snapshot, stored));
}

/** What was wrong with a stored answer, which its row keeps only in a sentence: a version never changes, so it is the same. */
function findOutputIssues(snapshot: RegistrySnapshot, stored: StoredExecution): readonly Issue[] {
  const { promptName, promptVersion, rawOutput, finishReason, errorCode } = stored;
  if (errorCode !== 'invalid_output' || promptVersion === null || finishReason === null) return [];
  const version = snapshot.find(promptName)?.versions.get(promptVersion);
  return version ? snapshot.compile(version).validateOutput(rawOutput ?? '', finishReason) : [];
}

/** Writes the audit row of a call that was refused before it had variables: an unreadable body, a denied scope. */
export async function refuseExecution(
  deps: Pick<ExecuteDependencies, 'trail' | 'onExecution'>,
  request: Omit<ExecuteRequest, 'variables'>,
  error: PromptgateError,
): Promise<PromptgateError> {
  return refuse(deps, request, draftAdmission({ ...request, variables: {} }), error, new ExecutionClock());
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
  request: ExecuteRequest,
  prepared: Prepared & { ticket: BudgetTicket | undefined },
  result: ProviderResult,
  clock: ExecutionClock,
  delivered: ClosedDelivery | undefined,
): Promise<Execution> {
  const { admission, route } = prepared;
  const failure = result.ok ? refuseOutput(prepared, result.answer) : result.error;
  if (failure) failure.providerAsked = result.attempts.length > 0;
  const outcome = result.ok
    ? toAnswered(admission, route, result, failure, clock)
    : toFailed(admission, route, result, clock, delivered?.partial);
  const execution = { ...outcome, delivery: delivered?.delivery ?? null };
  prepared.ticket?.settle(execution);
  const settling = deps.trail.settle(toWritableOutcome(execution));
  if (failure?.code === 'audit_unavailable' && result.attempts.length === 0) {
    // Nothing was called because nothing can be written. The row is still owed, but nobody waits for it.
    settling.catch(() => {});
    throw tellUnrecorded(deps, request, execution, failure);
  }
  try {
    await settling;
  } catch (error) {
    const lost = auditUnavailable(
      error,
      `The call was made, as execution ${execution.id}: its intent is recorded, and its outcome follows or becomes unknown`,
    );
    lost.executionId = execution.id;
    throw tellUnrecorded(deps, request, execution, lost);
  }
  deps.onExecution?.(execution, request.trace ?? null);
  if (!failure) return execution;
  failure.executionId = execution.id;
  throw failure;
}

async function refuse(
  deps: Pick<ExecuteDependencies, 'trail' | 'onExecution'>,
  request: Pick<ExecuteRequest, 'trace'>,
  draft: Admission,
  error: PromptgateError,
  clock: ExecutionClock,
): Promise<PromptgateError> {
  const execution = toRefused(toWritableDraft(draft), error, clock);
  try {
    await deps.trail.settle(execution);
  } catch (cause) {
    const lost = auditUnavailable(cause, 'The request was refused, and the refusal could not be recorded');
    return tellUnrecorded(deps, request, execution, lost);
  }
  deps.onExecution?.(execution, request.trace ?? null);
  error.executionId = execution.id;
  return error;
}

/** An execution as its caller hears of it: while nothing can be recorded, only metrics, traces and log tell of it. */
function tellUnrecorded(
  deps: Pick<ExecuteDependencies, 'onExecution'>,
  request: Pick<ExecuteRequest, 'trace'>,
  execution: Execution,
  error: PromptgateError,
): PromptgateError {
  deps.onExecution?.({ ...execution, ...toEnd(error) }, request.trace ?? null);
  return error;
}

function auditUnavailable(cause: unknown, consequence: string, retryAfterMs?: number): PromptgateError {
  return new PromptgateError('audit_unavailable', `The audit trail cannot be written. ${consequence}.`, {
    cause,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}
