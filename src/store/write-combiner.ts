/**
 * Group commit. Rows that arrive while nothing is in flight are committed at the end of the turn of the event loop; rows
 * that arrive during a commit are gathered and go together in the next one. So a lone call waits for nobody, and a thousand
 * share a few commits. There is no timer while there is nothing to write.
 *
 * It owns order, grouping, repetition and isolation. It knows neither SQL nor files: `flush` commits a group whole or
 * not at all, and may be told the same group twice.
 */
import { setTimeout as delay, setImmediate as endOfTurn } from 'node:timers/promises';

export interface WriteCombinerOptions<R> {
  /** Commits all rows (each a JSON text) or none, and gives one result per row, in order. Safe to repeat. */
  readonly flush: (rows: readonly string[]) => Promise<readonly R[]>;
  /** True when the same group may succeed later; any other error is the fault of a row. */
  readonly isTransient: (error: unknown) => boolean;
  /** How long a row may wait for its commit, in milliseconds. Then its writer hears the last error. */
  readonly timeoutMs: number;
  /** The error of a row whose time ran out before any commit was tried. */
  readonly onTimeout: () => Error;
  readonly maxBatchRows?: number;
  /** A single row may be larger: it then goes alone. In UTF-16 units of its text. */
  readonly maxBatchLength?: number;
  /** Hears of every group that was committed: its size and how long the commit took. */
  readonly onFlush?: (rows: number, ms: number) => void;
}

export interface WriteCombiner<R> {
  /** Resolves when the row is durable. @throws whatever `flush` threw for this row */
  write(row: string): Promise<R>;
  /** Rows that are not durable yet, those of the commit in flight included. */
  depth(): number;
  /** Resolves when there is nothing left to write. */
  idle(): Promise<void>;
  /** Tries nothing again: whoever still waits after the commit in flight hears the last error. */
  close(): Promise<void>;
}

interface Entry<R> {
  readonly row: string;
  readonly expiresAt: number;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
  lastError?: unknown;
}

/** Past this a group gains nothing: the commit is a small part of its cost. */
const defaultBatchRows = 200;
const defaultBatchLength = 4_194_304;
/** Waits after a group failed as a whole: short at first, and a database that is back is noticed within the last. */
const firstRetryMs = 20;
const lastRetryMs = 320;

export function createWriteCombiner<R>(options: WriteCombinerOptions<R>): WriteCombiner<R> {
  const maxRows = options.maxBatchRows ?? defaultBatchRows;
  const maxLength = options.maxBatchLength ?? defaultBatchLength;
  let queue: Entry<R>[] = [];
  let unsettled = 0;
  let running: Promise<void> | undefined;
  const closing = new AbortController();

  function takeBatch(): Entry<R>[] {
    let length = 0;
    let count = 0;
    while (count < queue.length && count < maxRows) {
      length += queue[count]!.row.length;
      if (count > 0 && length > maxLength) break;
      count++;
    }
    return queue.splice(0, count);
  }

  /** All rows wait equally long, so those that ran out of time are at the head. */
  function rejectExpired(): void {
    const now = performance.now();
    while (queue[0] && (closing.signal.aborted || queue[0].expiresAt <= now)) {
      const entry = queue.shift()!;
      unsettled--;
      entry.reject(entry.lastError ?? options.onTimeout());
    }
  }

  /**
   * One commit, or the halves of it where a row is at fault: its neighbours are written without it.
   * @returns what could not be tried to the end and is to be tried again
   */
  async function commit(batch: Entry<R>[]): Promise<Entry<R>[]> {
    const from = performance.now();
    try {
      const results = await options.flush(batch.map(({ row }) => row));
      options.onFlush?.(batch.length, performance.now() - from);
      unsettled -= batch.length;
      for (const [index, entry] of batch.entries()) entry.resolve(results[index] as R);
      return [];
    } catch (error) {
      if (options.isTransient(error)) {
        for (const entry of batch) entry.lastError = error;
        return batch;
      }
      if (batch.length === 1) {
        unsettled--;
        batch[0]!.reject(error);
        return [];
      }
      const middle = Math.ceil(batch.length / 2);
      const left = await commit(batch.slice(0, middle));
      return left.length > 0 ? [...left, ...batch.slice(middle)] : commit(batch.slice(middle));
    }
  }

  async function pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: closing.signal }).catch(() => {});
  }

  async function run(): Promise<void> {
    let retryMs = firstRetryMs;
    while (queue.length > 0) {
      // What has arrived together goes together: not the first row alone, and all others a commit later.
      await endOfTurn();
      const left = await commit(takeBatch());
      if (left.length === 0) {
        retryMs = firstRetryMs;
      } else {
        queue = [...left, ...queue];
        rejectExpired();
        if (queue[0]) await pause(Math.min(retryMs, queue[0].expiresAt - performance.now()));
        retryMs = Math.min(lastRetryMs, 2 * retryMs);
      }
      rejectExpired();
    }
  }

  function start(): void {
    running ??= run().finally(() => {
      running = undefined;
      // A row may have come between the last look at the queue and here.
      if (queue.length > 0) start();
    });
  }

  async function idle(): Promise<void> {
    while (running) await running;
  }

  return {
    write(row) {
      const { promise, resolve, reject } = Promise.withResolvers<R>();
      queue.push({ row, expiresAt: performance.now() + options.timeoutMs, resolve, reject });
      unsettled++;
      start();
      return promise;
    },
    depth: () => unsettled,
    idle,
    async close() {
      closing.abort();
      await idle();
    },
  };
}
