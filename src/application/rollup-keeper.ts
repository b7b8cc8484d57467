/**
 * Keeps the rollups: every few seconds, what has settled since is added. Any number of gateways may try; one at a time
 * adds a batch, and whoever finds another at it is done for this turn.
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
/** After a batch a gateway rests so many times as long as that took: of one connection it has a quarter. */
const restShare = 3;
/** Whoever is not done when the next turn is due is behind: without larger batches and no rests it might stay so. */
const batchBehind = 2_000;
/** Twice a minute is often enough for an alert, and seldom enough for a table that has grown long. */
const turnsPerCount = 6;

export function createRollupKeeper(
  store: Pick<CostStore, 'rollUp' | 'pending'>,
  { intervalMs = defaultIntervalMs, onError }: RollupKeeperOptions,
): RollupKeeper {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let counting: Promise<void> | undefined;
  const stopping = new AbortController();
  let turns = 0;
  let pending = 0;
  let failures = 0;

  async function run(): Promise<void> {
    const behindAt = performance.now() + intervalMs;
    while (!stopping.signal.aborted) {
      const from = performance.now();
      const limit = from < behindAt ? batch : batchBehind;
      if ((await store.rollUp(limit)) !== limit) return;
      const now = performance.now();
      const restMs = Math.min(restShare * (now - from), behindAt - now);
      if (restMs > 0) await delay(restMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  }

  function catchUp(): Promise<void> {
    running ??= run().finally(() => {
      running = undefined;
    });
    return running;
  }

  /** Where nothing can be counted nothing could be added: that is told already. */
  async function count(): Promise<void> {
    pending = await store.pending().catch(() => pending);
  }

  /** What waits is counted also where a turn takes long: that is when someone has to know. */
  function tick(): void {
    if (!running)
      catchUp().catch((error) => {
        failures++;
        onError(error);
      });
    if (turns++ % turnsPerCount === 0)
      counting ??= count().finally(() => {
        counting = undefined;
      });
  }

  return {
    start() {
      timer ??= setInterval(tick, intervalMs).unref();
    },
    catchUp,
    health: () => ({ pending, failures }),
    async stop() {
      stopping.abort();
      clearInterval(timer);
      await running?.catch(() => {});
      await counting;
    },
  };
}
