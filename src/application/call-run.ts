/**
 * The calls of a run, whatever it is made for: so many at once, within a budget, a rate and a time. Each is an execution
 * like any other, with its row; one that an earlier part of the run made is not made again.
 */
import { sha256 } from '../domain/canonical-json.ts';
import { type PromptgateError, toPromptgateError } from '../domain/errors.ts';
import type { Execution } from '../domain/execution.ts';
import type { AuditStore } from './audit-store.ts';
import type { EarlierCall } from './earlier-calls.ts';
import type { Executed, ExecuteRequest } from './execute-prompt.ts';
import { type BudgetStop, createRunBudget, type RunBudget } from './run-budget.ts';

export interface CallRunDependencies {
  readonly execute: (request: ExecuteRequest) => Promise<Executed>;
  readonly audit: Pick<AuditStore, 'findExecution'>;
  /** Epoch in milliseconds. */
  readonly now: () => number;
  readonly wait: (milliseconds: number) => Promise<void>;
}

/** Why a run ended before its last call. */
export type RunStop = BudgetStop | 'time' | 'cancelled' | 'stopping';

export interface RunLimits {
  readonly runId: string;
  readonly concurrency: number;
  /** Decimal text; null: none. */
  readonly budget: string | null;
  /** Calls that may start in a minute; null: as many as are answered. */
  readonly callsPerMinute: number | null;
  /** Epoch in milliseconds; null: none. */
  readonly deadline: number | null;
  /** Make calls again that got no answer, though they may have been paid for. */
  readonly retryUnanswered: boolean;
  readonly signal: AbortSignal;
}

export interface PlannedCall {
  /** Which call of the run it is. */
  readonly place: readonly (string | number)[];
  /** Calls that an earlier part of the run made for the place, oldest first. */
  readonly before: readonly EarlierCall[];
  /** The most that it can cost; null: not known. */
  readonly bound: () => bigint | null;
  readonly request: Omit<ExecuteRequest, 'runId' | 'idempotencyKey'>;
}

/** How far a run is; what became of those that are done stands beside it. */
export interface RunProgress {
  readonly done: number;
  readonly trials: number;
  /** Known cost so far, as decimal text. */
  readonly spent: string;
}

export interface CallRun {
  /** Works on every item, so many at once, in order. */
  each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void>;
  /** An execution of the place, made now or before; a reason where there is none. */
  make(call: PlannedCall): Promise<Execution | string>;
  stopped(): RunStop | null;
  spent(): ReturnType<RunBudget['total']>;
  counts(): {
    /** Executions that the run consists of. */
    readonly callCount: number;
    /** Of them, those that this part of it made. */
    readonly madeCount: number;
    readonly simulated: boolean;
  };
}

const firstPauseMs = 500;
const longestPauseMs = 8_000;
/** A run that waits for its rate still hears that it has to stop. */
const longestWaitMs = 500;

/** @param earlier every call that an earlier part of the run made */
export function createCallRun(
  deps: CallRunDependencies,
  run: RunLimits,
  earlier: readonly EarlierCall[],
): CallRun {
  const budget = createRunBudget(run.budget);
  for (const call of earlier) budget.add(call, call.most);
  const made = new Set(earlier.map(({ id }) => id));
  let simulated = earlier.some((call) => call.simulated);
  let stop: RunStop | null = null;
  let nextStart = 0;

  function stopped(): RunStop | null {
    if (stop === null && run.signal.aborted) stop = 'cancelled';
    if (stop === null && run.deadline !== null && deps.now() >= run.deadline) stop = 'time';
    return stop;
  }

  function note(execution: Execution): void {
    if (execution.attempts.length === 0) return;
    made.add(execution.id);
    simulated ||= execution.simulated;
  }

  /** Starts are spread evenly: what a provider limits by the minute it limits by the second too. */
  async function awaitTurn(): Promise<void> {
    if (run.callsPerMinute === null) return;
    const start = Math.max(deps.now(), nextStart);
    nextStart = start + 60_000 / run.callsPerMinute;
    for (let left = start - deps.now(); left > 0 && !stopped(); left = start - deps.now()) {
      await deps.wait(Math.min(left, longestWaitMs));
    }
  }

  async function make(planned: PlannedCall): Promise<Execution | string> {
    const last = planned.before.at(-1);
    if (last && (isAnswered(last) || !run.retryUnanswered)) {
      return (await deps.audit.findExecution(last.id)) ?? 'its execution is not kept any more';
    }
    await awaitTurn();
    if (stopped()) return endedBefore;
    const reservation = await budget.reserve(planned.bound());
    if (typeof reservation === 'string') {
      stop ??= reservation;
      return endedBefore;
    }
    let execution: Execution | undefined;
    try {
      execution = await call(planned);
    } catch (thrown) {
      const error = toPromptgateError(thrown);
      if (error.code === 'audit_unavailable' && !error.providerAsked) {
        // Nothing can be recorded, so nothing may be called: what is left waits for another time.
        stop ??= 'stopping';
        return `${error.code}: ${error.message}`;
      }
      execution = error.executionId === null ? undefined : await deps.audit.findExecution(error.executionId);
      // Another part of the run has it in flight, and this one was told to stop before it ended.
      if (!execution && isInFlight(error)) return endedBefore;
      if (!execution) return `${error.code}: ${error.message}`;
    } finally {
      reservation.settle(execution);
    }
    note(execution);
    return execution;
  }

  /** Of one place and number of tries only one call is ever made, whichever part of the run comes first. */
  async function call({ place, before, request }: PlannedCall): Promise<Executed> {
    const key = sha256(JSON.stringify([...place, before.length]));
    const idempotencyKey = `${run.runId}:${key.slice(0, 32)}`;
    for (let pause = firstPauseMs; ; pause = Math.min(2 * pause, longestPauseMs)) {
      try {
        return await deps.execute({ ...request, runId: run.runId, idempotencyKey });
      } catch (thrown) {
        const error = toPromptgateError(thrown);
        // Another part of the run has it in flight, or died with it: recovery says which.
        if (!isInFlight(error) || stopped()) throw error;
        await deps.wait(pause);
      }
    }
  }

  return {
    async each(items, work) {
      const queue = items.values();
      const next = async () => {
        for (const item of queue) await work(item);
      };
      await Promise.all(Array.from({ length: Math.min(run.concurrency, items.length) }, next));
    },
    make,
    stopped,
    spent: budget.total,
    counts: () => ({ callCount: made.size, madeCount: made.size - earlier.length, simulated }),
  };
}

export const endedBefore = 'the run ended before it';

function isInFlight({ code, retryAfterMs }: PromptgateError): boolean {
  return code === 'conflict' && retryAfterMs !== null;
}

/** An answer that breaks the schema of the definition is an answer: it was bought, and it fails. */
function isAnswered({ status, errorCode }: EarlierCall): boolean {
  return status === 'succeeded' || errorCode === 'invalid_output';
}
