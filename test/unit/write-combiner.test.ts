import { setImmediate as endOfTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { createWriteCombiner, type WriteCombinerOptions } from '../../src/store/write-combiner.ts';

class Unavailable extends Error {}

function combiner(changes: Partial<WriteCombinerOptions<string>>) {
  return createWriteCombiner<string>({
    flush: async (rows) => rows,
    isTransient: (error) => error instanceof Unavailable,
    timeoutMs: 1_000,
    onTimeout: () => new Error('timed out'),
    ...changes,
  });
}

/** A flush that is held until the test lets it go. */
function heldFlush() {
  const groups: string[][] = [];
  const gates: PromiseWithResolvers<void>[] = [];
  return {
    groups,
    async flush(rows: readonly string[]) {
      groups.push([...rows]);
      const gate = Promise.withResolvers<void>();
      gates.push(gate);
      await gate.promise;
      return rows;
    },
    release: (index: number, error?: Error) =>
      error ? gates[index]?.reject(error) : gates[index]?.resolve(),
  };
}

describe('the write combiner', () => {
  it('writes together what comes together, and gathers what comes while a commit is in flight', async () => {
    const held = heldFlush();
    const { write, depth } = combiner({ flush: held.flush });
    const writes = ['a', 'b'].map(write);
    await endOfTurn();
    expect(held.groups).toEqual([['a', 'b']]);
    writes.push(...['c', 'd'].map(write));
    await endOfTurn();
    expect(held.groups).toEqual([['a', 'b']]);
    expect(depth()).toBe(4);
    held.release(0);
    await vi.waitFor(() =>
      expect(held.groups).toEqual([
        ['a', 'b'],
        ['c', 'd'],
      ]),
    );
    held.release(1);
    expect(await Promise.all(writes)).toEqual(['a', 'b', 'c', 'd']);
    expect(depth()).toBe(0);
  });

  it('bounds a group in rows and in length; a row beyond the length goes alone', async () => {
    const groups: string[][] = [];
    const { write } = combiner({
      maxBatchRows: 3,
      maxBatchLength: 10,
      flush: async (rows) => {
        groups.push([...rows]);
        return rows;
      },
    });
    await Promise.all(['-', '1', '2', '3', '4444', '55555', '666666666666', '7'].map(write));
    expect(groups).toEqual([['-', '1', '2'], ['3', '4444', '55555'], ['666666666666'], ['7']]);
  });

  it('repeats a commit in doubt until it succeeds, with what came meanwhile', async () => {
    const held = heldFlush();
    const { write } = combiner({ flush: held.flush });
    const writes = [write('a')];
    await endOfTurn();
    writes.push(write('b'));
    held.release(0, new Unavailable());
    await vi.waitFor(() => expect(held.groups).toEqual([['a'], ['a', 'b']]));
    held.release(1);
    expect(await Promise.all(writes)).toEqual(['a', 'b']);
  });

  it('gives up on a row when its time has passed, with the reason, and leaves no timer behind', async () => {
    vi.useFakeTimers();
    try {
      const { write, idle } = combiner({
        timeoutMs: 500,
        flush: async () => {
          throw new Unavailable('away');
        },
      });
      const outcome = expect(write('a')).rejects.toThrow('away');
      await vi.advanceTimersByTimeAsync(500);
      await outcome;
      await idle();
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it('never lets a poisoned row fail its neighbours, and answers each writer once, in any mixture of faults', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ poisoned: fc.boolean(), length: fc.nat({ max: 30 }) }), { maxLength: 60 }),
        fc.infiniteStream(fc.boolean()),
        fc.integer({ min: 1, max: 8 }),
        async (kinds, faults, maxBatchRows) => {
          const stored = new Map<string, number>();
          const { write, depth, idle } = combiner({
            maxBatchRows,
            maxBatchLength: 64,
            timeoutMs: 60_000,
            flush: async (rows) => {
              await null;
              if (rows.some((row) => row.startsWith('bad'))) throw new Error('data');
              const lost = faults.next().value === true && faults.next().value === true;
              // A commit in doubt: either it happened before the connection was lost, or it did not.
              if (!lost || faults.next().value === true) {
                for (const row of rows) stored.set(row, (stored.get(row) ?? 0) + 1);
              }
              if (lost) throw new Unavailable();
              return rows;
            },
          });
          const rows = kinds.map(
            ({ poisoned, length }, index) => `${poisoned ? 'bad' : 'ok'}${index}${'x'.repeat(length)}`,
          );
          const results = await Promise.allSettled(rows.map(write));
          for (const [index, result] of results.entries()) {
            expect(result.status).toBe(kinds[index]?.poisoned ? 'rejected' : 'fulfilled');
            if (result.status === 'fulfilled') expect(result.value).toBe(rows[index]);
          }
          expect(new Set(stored.keys())).toEqual(new Set(rows.filter((row) => row.startsWith('ok'))));
          await idle();
          expect(depth()).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });
});
