import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createRollupKeeper } from '../../src/application/rollup-keeper.ts';

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

  it('rests after a full batch, so that calls have the database meanwhile, and does not wait for that to stop', async () => {
    let batches = 0;
    const keeper = createRollupKeeper(
      {
        async rollUp(limit) {
          batches++;
          vi.advanceTimersByTime(60_000);
          return limit;
        },
        pending: async () => 0,
      },
      { onError() {} },
    );
    const running = keeper.catchUp();
    // As many turns of the event loop as several batches would take without a rest.
    for (let turn = 0; turn < 100; turn++) await Promise.resolve();
    await keeper.stop();
    await running;
    expect(batches).toBe(1);
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
