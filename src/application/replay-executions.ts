/**
 * A sample of stored executions once more, on something else or on the same, and how the answers moved. What is drawn is
 * recorded before the first call, so the batch can be gone on with; what was answered is not asked again.
 */

import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { Execution, StoredExecution } from '../domain/execution.ts';
import type { ReplayPair } from '../domain/replay-pair.ts';
import { type ReplayFindings, summariseReplays } from '../domain/replay-report.ts';
import type { AuditStore } from './audit-store.ts';
import { authorizePrompt } from './authorize.ts';
import {
  type CallRun,
  type CallRunDependencies,
  createCallRun,
  endedBefore,
  type RunProgress,
  type RunStop,
} from './call-run.ts';
import {
  awaitCallsInFlight,
  type EarlierCall,
  keepCalled,
  readRunRows,
  toEarlierCall,
} from './earlier-calls.ts';
import type { EvaluationStore } from './evaluation-store.ts';
import type { ExecuteDependencies } from './execute-prompt.ts';
import { newId } from './new-id.ts';
import { findRetired } from './replay-departures.ts';
import { type PlannedReplay, planReplay, type ReplayTarget } from './replay-execution.ts';
import { createReplayPairs, type PairCollection } from './replay-pairs.ts';
import { beginReplayRun, type ReplayDraw, readReplayRun } from './replay-run.ts';
import type { ReplayRun, ReplayStore } from './replay-store.ts';
import { boundCost } from './run-budget.ts';
import { readSampleCases } from './sample-assertions.ts';
import type { ScriptRunner } from './script-runner.ts';

export interface ReplayBatchDependencies
  extends CallRunDependencies,
    Pick<ExecuteDependencies, 'snapshot' | 'providers' | 'rawCalls'> {
  readonly audit: Pick<AuditStore, 'findExecution' | 'listExecutions' | 'countCallsInFlight'>;
  readonly evaluations: Pick<EvaluationStore, 'findSuite'>;
  readonly replays: ReplayStore;
  readonly scripts: ScriptRunner;
}

export interface ReplayBatchRequest {
  readonly actor: Actor;
  /** What to draw and what to run instead; or a run to go on with, which says so itself. */
  readonly draw: ReplayDraw | { readonly resume: string };
  /** A registered suite whose assertions judge both sides; left out: `default`, where there is one. */
  readonly suite?: string;
  readonly concurrency: number;
  /** Cap on what the whole batch may cost, as decimal text. */
  readonly budget?: string;
  readonly callsPerMinute?: number;
  /** Time after which no further call is started, in milliseconds. */
  readonly timeoutMs?: number;
  readonly retryUnanswered?: boolean;
  /** Render, and call no provider. */
  readonly dryRun?: boolean;
  /** Report what was called so far, and call nobody. */
  readonly readOnly?: boolean;
  readonly requestId: string;
  readonly signal: AbortSignal;
  /** Hears of calls of an earlier part that are in flight still, while they are waited for. */
  readonly onWait?: (calls: number) => void;
  readonly onStart?: (run: ReplayRun) => void;
  readonly onPair?: (progress: ReplayProgress) => void;
}

export interface ReplayProgress extends RunProgress {
  /** The same answer, another answer, no answer. */
  readonly same: number;
  readonly changed: number;
  readonly failed: number;
}

export interface ReplayBatch extends Pick<PairCollection, 'shown' | 'departures' | 'judged'> {
  readonly run: ReplayRun;
  /** In the order of the sample. */
  readonly pairs: readonly ReplayPair[];
  readonly findings: ReplayFindings;
  /** The suite whose assertions were asked; null without one. */
  readonly suite: { readonly name: string; readonly checksum: string } | null;
  readonly dryRun: boolean;
  readonly stopped: RunStop | null;
  readonly spent: ReturnType<CallRun['spent']>;
  readonly callCount: number;
  /** Of them, those that this part of the batch made. */
  readonly madeCount: number;
  readonly simulated: boolean;
  readonly durationMs: number;
}

/** @throws PromptgateError — whatever keeps the batch from beginning; what happens on the way is part of the report */
export async function replayExecutions(
  deps: ReplayBatchDependencies,
  request: ReplayBatchRequest,
): Promise<ReplayBatch> {
  const startedAt = deps.now();
  const { actor, draw, timeoutMs } = request;
  const isResumed = 'resume' in draw;
  const run = isResumed
    ? await readReplayRun(deps.replays, actor, draw.resume)
    : await beginReplayRun(deps, actor, draw, newId(), request.dryRun ?? false);
  authorizePrompt(actor, run.promptName);
  const earlier = isResumed ? await readEarlier(deps, request, run.runId) : [];
  const judge = await readSampleCases(deps, run.promptName, request.suite);
  const limits = {
    runId: run.runId,
    concurrency: request.concurrency,
    budget: request.budget ?? null,
    callsPerMinute: request.callsPerMinute ?? null,
    deadline: timeoutMs === undefined ? null : startedAt + timeoutMs,
    retryUnanswered: request.retryUnanswered ?? false,
    signal: request.signal,
  };
  const calls = createCallRun(deps, limits, earlier);
  const collection = createReplayPairs(judge.grade);
  const before = Map.groupBy(earlier, ({ replayOf }) => replayOf ?? '');
  const tell = createProgress(run.executionIds.length, request.onPair);
  const replayOne = createReplays(deps, request, run, calls);
  request.onStart?.(run);
  await calls.each(run.executionIds, async (id) => {
    const original = await deps.audit.findExecution(id);
    const replay = original
      ? await replayOne(original, before.get(id) ?? [])
      : { after: 'not kept any more: retention let its month go, with input and answer', plan: null };
    tell(await collection.add(id, original, replay), calls.spent().known);
  });
  const { shown, departures, judged } = collection;
  const pairs = collection.inOrder(run.executionIds);
  return {
    ...{ run, pairs, shown, departures, judged },
    findings: summariseReplays(pairs),
    suite: judge.suite,
    dryRun: request.dryRun ?? false,
    // What ran out after the last answer kept nothing from anybody.
    stopped: pairs.some(({ reason }) => reason === endedBefore) ? calls.stopped() : null,
    spent: calls.spent(),
    ...calls.counts(),
    durationMs: deps.now() - startedAt,
  };
}

/** Whoever only reads what has come so far waits for nothing. */
async function readEarlier(
  deps: ReplayBatchDependencies,
  request: ReplayBatchRequest,
  runId: string,
): Promise<EarlierCall[]> {
  if (!request.readOnly) await awaitCallsInFlight(deps, runId, null, request);
  const most = (row: StoredExecution) => mostOf(deps, request, row);
  return keepCalled(await readRunRows(deps.audit, runId, (row) => toEarlierCall(row, most)));
}

/** The new answer, or why there is none. */
export interface OneReplay {
  readonly after: Execution | string;
  readonly plan: PlannedReplay | null;
}

function createReplays(
  deps: ReplayBatchDependencies,
  { actor, dryRun, readOnly, requestId }: ReplayBatchRequest,
  { question: { instead } }: ReplayRun,
  calls: CallRun,
) {
  return async (original: StoredExecution, before: readonly EarlierCall[]): Promise<OneReplay> => {
    const planned = plan(deps, original, { actor, instead, requestId });
    if (typeof planned === 'string') return { after: planned, plan: null };
    if (dryRun) return { after: 'rendered only', plan: planned };
    if ((readOnly || calls.stopped()) && before.length === 0) return { after: endedBefore, plan: planned };
    const after = await calls.make({
      place: [original.id],
      before,
      bound: () => boundOf(deps, planned, new Date(deps.now())),
      request: planned.repeated,
    });
    if (typeof after === 'string') return { after, plan: planned };
    const retired = findRetired(original, after);
    const departures = [...planned.departures, ...(retired ? [retired] : [])];
    return { after: after.status === 'unknown' ? lost : after, plan: { ...planned, departures } };
  };
}

function boundOf(
  { providers }: ReplayBatchDependencies,
  { definition, rendered }: PlannedReplay,
  at: Date,
): bigint | null {
  const route = providers.route(definition.model);
  return route ? boundCost(route, definition, rendered.messages, at) : 0n;
}

/** Of a replay that an earlier part of the batch made, by its own row: that it tells no cost does not make it free. */
function mostOf(
  deps: ReplayBatchDependencies,
  { actor, requestId }: ReplayBatchRequest,
  row: StoredExecution,
): bigint | null {
  const planned = plan(deps, row, { actor, instead: {}, requestId });
  return typeof planned === 'string' ? null : boundOf(deps, planned, row.createdAt);
}

const lost = 'what became of the call is not known; it may have been paid for';

/** Why it cannot be repeated is said of the pair, and ends no batch. */
function plan(
  deps: ReplayBatchDependencies,
  original: StoredExecution,
  request: { readonly actor: Actor; readonly instead: ReplayTarget; readonly requestId: string },
): PlannedReplay | string {
  try {
    return planReplay(deps, original, request);
  } catch (error) {
    if (error instanceof PromptgateError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

function createProgress(trials: number, tell: ReplayBatchRequest['onPair']) {
  const counts = { done: 0, same: 0, changed: 0, failed: 0 };
  return ({ equal, after }: ReplayPair, spent: string) => {
    counts.done++;
    if (after?.ok && equal !== null) counts[equal ? 'same' : 'changed']++;
    else counts.failed++;
    tell?.({ ...counts, trials, spent });
  };
}
