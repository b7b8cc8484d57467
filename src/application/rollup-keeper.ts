/**
 * Keeps the rollups: every few seconds, what has settled since is added. Any number of gateways may try; one at a time
 * does it, and whoever finds another at it has nothing to do.
 */
import type { CostStore } from './cost-store.ts';

export interface RollupKeeper {
  start(): void;
  /** Adds everything that has settled by now, unless another process is at it. */
  catchUp(): Promise<void>;
  /** Resolves when nothing is under way. */
  stop(): Promise<void>;
}

export interface RollupKeeperOptions {
  readonly intervalMs?: number;
  readonly onError: (error: unknown) => void;
}

const defaultIntervalMs = 5_000;
/** A batch takes some tens of milliseconds: short locks, and little to repeat after a failure. */
const batch = 2_000;

export function createRollupKeeper(
  store: Pick<CostStore, 'rollUp'>,
  { intervalMs = defaultIntervalMs, onError }: RollupKeeperOptions,
): RollupKeeper {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let stopped = false;

  async function run(): Promise<void> {
    while (!stopped && (await store.rollUp(batch)) === batch);
  }

  function catchUp(): Promise<void> {
    running ??= run().finally(() => {
      running = undefined;
    });
    return running;
  }

  return {
    start() {
      timer ??= setInterval(() => void catchUp().catch(onError), intervalMs).unref();
    },
    catchUp,
    async stop() {
      stopped = true;
      clearInterval(timer);
      await running?.catch(() => {});
    },
  };
}
