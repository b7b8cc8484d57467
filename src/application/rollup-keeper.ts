/**
 * Keeps the rollups: every few seconds, what has settled since is added. Any number of gateways may try; one at a time
 * does it, and whoever finds another at it has nothing to do.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { CostStore } from './cost-store.ts';

export interface RollupKeeper {
  start(): void;
  /** Adds everything that has settled by now, unless another process is at it. */
  catchUp(): Promise<void>;
  health(): RollupHealth;
  /** Resolves when nothing is under way. */
  stop(): Promise<void>;
}

export interface RollupHealth {
  /** Executions that are in no sum yet, whichever gateway is behind with them; as they were counted last. */
  readonly pending: number;
  /** Times that this gateway tried in vain. */
  readonly failures: number;
}

export interface RollupKeeperOptions {
  readonly intervalMs?: number;
  readonly onError: (error: unknown) => void;
}

const defaultIntervalMs = 5_000;
/** A batch takes some ten milliseconds: calls that commit meanwhile hardly feel it, and a failure repeats little. */
const batch = 500;
/** After a batch it rests so many times as long as that took: a quarter of one connection is the most it has. */
const restShare = 3;
/** Twice a minute is often enough for an alert, and seldom enough for a table that has grown long. */
const turnsPerCount = 6;

export function createRollupKeeper(
  store: Pick<CostStore, 'rollUp' | 'pending'>,
  { intervalMs = defaultIntervalMs, onError }: RollupKeeperOptions,
): RollupKeeper {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let turning: Promise<void> | undefined;
  const stopping = new AbortController();
  let turns = 0;
  let pending = 0;
  let failures = 0;

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const from = performance.now();
      if ((await store.rollUp(batch)) !== batch) return;
      await delay(restShare * (performance.now() - from), undefined, { signal: stopping.signal }).catch(
        () => {},
      );
    }
  }

  function catchUp(): Promise<void> {
    running ??= run().finally(() => {
      running = undefined;
    });
    return running;
  }

  async function turn(): Promise<void> {
    await catchUp().catch((error) => {
      failures++;
      onError(error);
    });
    if (stopping.signal.aborted || turns++ % turnsPerCount !== 0) return;
    // Where nothing can be counted nothing could be added: that is told already.
    pending = await store.pending().catch(() => pending);
  }

  return {
    start() {
      timer ??= setInterval(() => {
        turning ??= turn().finally(() => {
          turning = undefined;
        });
      }, intervalMs).unref();
    },
    catchUp,
    health: () => ({ pending, failures }),
    async stop() {
      stopping.abort();
      clearInterval(timer);
      await running?.catch(() => {});
      await turning;
    },
  };
}
