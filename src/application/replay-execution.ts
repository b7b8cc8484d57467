/**
 * One execution once more, from its own row. The original is never touched; what is run is an execution of its own that
 * points at it. A dry run renders only, and proves that the row still makes the messages that were sent.
 */
import { type AnswerComparison, compareAnswers } from '../domain/answer-comparison.ts';
import type { Actor } from '../domain/api-key.ts';
import { type Definition, parseDefinition } from '../domain/definition.ts';
import { PromptgateError, toPromptgateError } from '../domain/errors.ts';
import type { DefinitionText, Execution, StoredExecution } from '../domain/execution.ts';
import type { RenderedMessage } from '../domain/message.ts';
import type { Overrides } from '../domain/overrides.ts';
import { partialsFrom } from '../domain/template-includes.ts';
import type { TraceContext } from '../domain/trace-context.ts';
import type { AuditStore } from './audit-store.ts';
import type { CostStore } from './cost-store.ts';
import { type ExecuteDependencies, type ExecuteRequest, executePrompt } from './execute-prompt.ts';
import { type ReadCall, readCall } from './prepare-execution.ts';
import { getExecution } from './read-executions.ts';
import { type Departure, findDepartures, findRetired } from './replay-departures.ts';

export interface ReplayRequest {
  readonly actor: Actor;
  readonly executionId: string;
  /** What is run instead of what was; nothing: the very same. */
  readonly instead?: ReplayTarget;
  /** Render, and call no provider. */
  readonly dryRun?: boolean;
  /** The batch that makes the replay. */
  readonly runId?: string;
  readonly idempotencyKey?: string;
  readonly requestId: string;
  readonly trace?: TraceContext | null;
  readonly signal?: AbortSignal;
}

export interface ReplayTarget extends Pick<Overrides, 'model' | 'parameters'> {
  readonly version?: number;
  readonly label?: string;
  /** A definition that is no version of the registry. */
  readonly definition?: DefinitionText;
}

export interface Replay {
  readonly original: StoredExecution;
  readonly messages: readonly RenderedMessage[];
  readonly renderedHash: string;
  /** Empty: what is asked is exactly what was asked then. */
  readonly departures: readonly Departure[];
  /** Null after a dry run. A call that failed is a replay too. */
  readonly execution: Execution | null;
  readonly comparison: AnswerComparison | null;
}

type Dependencies = ExecuteDependencies & {
  readonly audit: AuditStore;
  readonly costs: Pick<CostStore, 'findBackfilled'>;
};

/**
 * Repeats an execution. What the replay's call ends with, be it a failure, is part of the answer.
 * @throws PromptgateError not_found; invalid_request — there is nothing to repeat, or the target is no definition;
 *   invalid_variables — the target does not take these variables; forbidden; audit_unavailable
 */
export async function replayExecution(deps: Dependencies, request: ReplayRequest): Promise<Replay> {
  const { execution: original } = await getExecution(deps, request.actor, request.executionId);
  const { repeated, rendered, departures } = planReplay(deps, original, request);
  const { messages, renderedHash } = rendered;
  const execution = request.dryRun ? null : await run(deps, repeated);
  const comparison = execution && compareAnswers(original, execution);
  const retired = execution && findRetired(original, execution);
  const all = retired ? [...departures, retired] : departures;
  return { original, messages, renderedHash, departures: all, execution, comparison };
}

export interface PlannedReplay extends Pick<ReadCall, 'definition' | 'rendered'> {
  /** What is asked of the main verb. */
  readonly repeated: ExecuteRequest;
  readonly departures: readonly Departure[];
}

/** What a replay will ask, and what of it is not as it was. @throws PromptgateError — as `replayExecution` */
export function planReplay(
  deps: Pick<Dependencies, 'snapshot' | 'providers' | 'rawCalls'>,
  original: StoredExecution,
  request: Omit<ReplayRequest, 'executionId'>,
): PlannedReplay {
  const repeated = repeat(original, request);
  const { definition, rendered } = readRepeated(deps, original, repeated, request.instead ?? {});
  const departures = findDepartures(deps, original, request.instead ?? {}, {
    renderedHash: rendered.renderedHash,
    variablesHash: rendered.variablesHash,
    model: definition.model,
    parameters: definition.parameters,
  });
  return { repeated, definition, rendered, departures };
}

/** What was rendered once and is no more has not the variables that it had. @throws PromptgateError — as `planReplay` */
function readRepeated(
  deps: Pick<Dependencies, 'snapshot' | 'rawCalls'>,
  original: StoredExecution,
  repeated: ExecuteRequest,
  { version, label, definition }: ReplayTarget,
): ReadCall {
  try {
    return readCall(deps, repeated);
  } catch (error) {
    const isOther = namedTargets([version, label, definition]).length > 0;
    const isChanged =
      error instanceof PromptgateError &&
      error.code === 'invalid_variables' &&
      original.renderedHash !== null;
    if (isOther || !isChanged) throw error;
    throw new PromptgateError(
      'invalid_request',
      `The variables in the row of execution ${original.id} are not those that were rendered then: they were erased or changed since, so it cannot be replayed.`,
      { issues: error.issues },
    );
  }
}

/** The request that an application would have to make to be answered by the same call, or by what is wanted instead. */
function repeat(original: StoredExecution, request: Omit<ReplayRequest, 'executionId'>): ExecuteRequest {
  const { instead = {} } = request;
  const { variables, messages, definition, overrides } = original.inputPayload;
  const target = targetOf(original, instead, definition);
  const { model, parameters } = instead;
  const all: Overrides = {
    ...overrides,
    ...(model === undefined ? {} : { model }),
    ...(parameters === undefined ? {} : { parameters: { ...overrides?.parameters, ...parameters } }),
  };
  return {
    actor: request.actor,
    promptName: original.promptName,
    ...target,
    variables,
    ...(messages ? { messages } : {}),
    ...(Object.keys(all).length === 0 ? {} : { overrides: all }),
    metadata: original.metadata as ExecuteRequest['metadata'] & {},
    purpose: 'replay',
    replayOf: original.id,
    requestId: request.requestId,
    trace: request.trace ?? null,
    ...(request.runId === undefined ? {} : { runId: request.runId }),
    ...(request.idempotencyKey === undefined ? {} : { idempotencyKey: request.idempotencyKey }),
    ...(request.signal ? { signal: request.signal } : {}),
  };
}

function targetOf(
  original: StoredExecution,
  { version, label, definition }: ReplayTarget,
  ran: DefinitionText | undefined,
): Pick<ExecuteRequest, 'version' | 'label' | 'draft' | 'raw'> {
  const named = namedTargets([version, label, definition]);
  if (original.purpose === 'raw' || original.promptName === '') {
    if (named.length === 0) return { raw: true };
    throw new PromptgateError(
      'invalid_request',
      'That call named no prompt, so it has no versions: replay it as it is, or on another model.',
    );
  }
  if (version !== undefined) return { version };
  if (label !== undefined) return { label };
  const draft = definition ?? ran;
  if (draft) return { draft: parseDraft(original.promptName, draft) };
  if (original.promptVersion !== null) return { version: original.promptVersion };
  throw new PromptgateError(
    'invalid_request',
    `Execution ${original.id} was refused before it had a version (${original.errorCode}). Name one to run it on.`,
  );
}

/** @throws PromptgateError invalid_request — more than one of them */
function namedTargets(targets: readonly unknown[]): unknown[] {
  const named = targets.filter((one) => one !== undefined);
  if (named.length <= 1) return named;
  throw new PromptgateError(
    'invalid_request',
    'It runs on one thing: a version, a label or a definition. Name only one of them.',
  );
}

/** What no execution of a prompt could be run on, said before any is. @throws PromptgateError invalid_request */
export function refuseTarget(promptName: string, target: ReplayTarget): void {
  namedTargets([target.version, target.label, target.definition]);
  if (target.definition) parseDraft(promptName, target.definition);
}

/** @throws PromptgateError invalid_request — with an issue for each fault */
function parseDraft(promptName: string, { source, partials }: DefinitionText): Definition {
  const definition = parseDefinition(source, {
    path: `${promptName}.prompt`,
    partial: partialsFrom(partials),
  });
  if (definition.name === promptName) return definition;
  throw new PromptgateError(
    'invalid_request',
    `The definition is of "${definition.name}", and the execution of "${promptName}".`,
  );
}

/** A failure that has its row is what the replay ended with. */
async function run(deps: Dependencies, request: ExecuteRequest): Promise<Execution> {
  try {
    return await executePrompt(deps, request);
  } catch (thrown) {
    const error = toPromptgateError(thrown);
    const failed = error.executionId === null ? undefined : await deps.audit.findExecution(error.executionId);
    if (!failed || failed.status === 'refused') throw error;
    return failed;
  }
}
