import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createRollupKeeper, type RollupKeeper } from '../../src/application/rollup-keeper.ts';

// Fake timers leave those of promises as they are.
vi.mock('node:timers/promises', () => ({
  setTimeout: (ms: number, value?: unknown, { signal }: { signal?: AbortSignal } = {}) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => resolve(value), ms);
      const abort = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      if (signal?.aborted) abort();
      signal?.addEventListener('abort', abort);
    }),
}));

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('the keeper of the rollups', () => {
  it('counts what it tries in vain, and tells what waits, until a turn succeeds', async () => {
    let broken = true;
    let waiting = 40;
    const errors: unknown[] = [];
    const keeper = createRollupKeeper(
      {
        async rollUp() {
          if (broken) throw new Error('bigint out of range');
          waiting = 0;
          return 0;
        },
        pending: async () => waiting,
      },
      { intervalMs: 10, onError: (error) => errors.push(error) },
    );
    expect(keeper.health()).toEqual({ pending: 0, failures: 0 });
    keeper.start();
    await vi.advanceTimersByTimeAsync(30);
    expect(keeper.health()).toEqual({ pending: 40, failures: 3 });
    expect(errors).toHaveLength(3);
    broken = false;
    await vi.advanceTimersByTimeAsync(60);
    expect(keeper.health()).toEqual({ pending: 0, failures: 3 });
    await keeper.stop();
  });

  /** Every batch is full, and takes `batchMs`. */
  function neverDone(batchMs: number) {
    const batches: number[] = [];
    return {
      batches,
      async rollUp(limit: number) {
        batches.push(limit);
        await new Promise((done) => setTimeout(done, batchMs));
        return limit;
      },
      pending: async () => 70_000,
    };
  }

  async function stopAfterBatch(keeper: RollupKeeper): Promise<void> {
    const stopped = keeper.stop();
    await vi.advanceTimersByTimeAsync(10);
    await stopped;
  }

  it('rests after a batch three times as long as that took, so that calls have the database meanwhile', async () => {
    const store = neverDone(10);
    const keeper = createRollupKeeper(store, { onError() {} });
    const running = keeper.catchUp();
    await vi.advanceTimersByTimeAsync(39);
    expect(store.batches).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(store.batches).toHaveLength(2);
    await stopAfterBatch(keeper);
    await running;
    expect(store.batches).toHaveLength(2);
  });

  it('does not wait for the end of a rest to stop', async () => {
    const store = neverDone(1_000);
    const keeper = createRollupKeeper(store, { onError() {} });
    const running = keeper.catchUp();
    await vi.advanceTimersByTimeAsync(1_001);
    await keeper.stop();
    await running;
    expect(store.batches).toHaveLength(1);
  });

  it('rests no longer, takes more at a time and tells what waits when a turn lasts into the next', async () => {
    const store = neverDone(10);
    const keeper = createRollupKeeper(store, { intervalMs: 400, onError() {} });
    keeper.start();
    await vi.advanceTimersByTimeAsync(799);
    expect(store.batches).toHaveLength(10);
    expect(keeper.health()).toEqual({ pending: 70_000, failures: 0 });
    const from = store.batches.length;
    await vi.advanceTimersByTimeAsync(100);
    const behind = store.batches.slice(from);
    expect(behind).toHaveLength(10);
    expect(new Set(behind)).toEqual(new Set([2_000]));
    await stopAfterBatch(keeper);
  });

  it('counts what waits again and again while a turn does not end', async () => {
    let counted = 0;
    const keeper = createRollupKeeper(
      { ...neverDone(10), pending: async () => ++counted },
      { intervalMs: 100, onError() {} },
    );
    keeper.start();
    await vi.advanceTimersByTimeAsync(1_300);
    expect(counted).toBe(3);
    await stopAfterBatch(keeper);
  });

  it('counts a failure once, however many turns it lasted', async () => {
    const rollUp = async () => {
      await new Promise((done) => setTimeout(done, 250));
      throw new Error('away');
    };
    const keeper = createRollupKeeper({ rollUp, pending: async () => 0 }, { intervalMs: 100, onError() {} });
    keeper.start();
    await vi.advanceTimersByTimeAsync(360);
    expect(keeper.health().failures).toBe(1);
    await stopAfterBatch(keeper);
  });

  it('keeps what it knew where nothing can be counted', async () => {
    let away = false;
    const answer = async <T>(value: T) => {
      if (away) throw new Error('away');
      return value;
    };
    const keeper = createRollupKeeper(
      { rollUp: () => answer(null), pending: () => answer(7) },
      { intervalMs: 10, onError() {} },
    );
    keeper.start();
    await vi.advanceTimersByTimeAsync(10);
    away = true;
    await vi.advanceTimersByTimeAsync(60);
    expect(keeper.health()).toEqual({ pending: 7, failures: 6 });
    await keeper.stop();
  });
});
