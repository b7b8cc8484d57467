import { describe, expect, it } from 'vitest';
import { createCallRun, endedBefore, type RunLimits } from '../../src/application/call-run.ts';
import { execution } from '../support/records.ts';

/** A clock that goes on when somebody waits, and to where whoever waits least wants it. */
function createClock() {
  let at = 0;
  let sleepers: { readonly until: number; readonly wake: () => void }[] = [];
  const turn = () => new Promise<void>((done) => setImmediate(done));
  return {
    now: () => at,
    wait: (milliseconds: number) =>
      new Promise<void>((wake) => sleepers.push({ until: at + milliseconds, wake })),
    /** Lets time pass until `work` is done. */
    async pass(work: Promise<unknown>): Promise<void> {
      let isDone = false;
      void work.finally(() => {
        isDone = true;
      });
      for (await turn(); !isDone; await turn()) {
        at = Math.min(...sleepers.map(({ until }) => until));
        const due = sleepers.filter(({ until }) => until <= at);
        sleepers = sleepers.filter(({ until }) => until > at);
        for (const { wake } of due) wake();
      }
      await work;
    },
  };
}

/** @param answerMs how long each call takes */
async function run(limits: Partial<RunLimits>, calls: number, answerMs: (index: number) => number) {
  const clock = createClock();
  const starts: number[] = [];
  let open = 0;
  let mostOpen = 0;
  const { now, wait } = clock;
  const callRun = createCallRun(
    {
      ...{ now, wait, audit: { findExecution: async () => undefined } },
      async execute() {
        starts.push(now());
        mostOpen = Math.max(mostOpen, ++open);
        await wait(answerMs(starts.length));
        open--;
        return execution();
      },
    },
    {
      ...{ runId: 'run', concurrency: 4, budget: null, callsPerMinute: null, deadline: null },
      ...{ retryUnanswered: false, signal: new AbortController().signal, ...limits },
    },
    [],
  );
  const made: unknown[] = [];
  const place = (index: number) => ({ place: [index], before: [], bound: () => 0n, request: {} as never });
  const items = Array.from({ length: calls }, (_, index) => index);
  await clock.pass(callRun.each(items, async (index) => void made.push(await callRun.make(place(index)))));
  return { starts, mostOpen, made, stopped: callRun.stopped() };
}

/** Most starts in any stretch of `ms`, the end not counted. */
const mostWithin = (starts: readonly number[], ms: number) =>
  Math.max(...starts.map((from) => starts.filter((at) => at >= from && at < from + ms).length));

describe('the calls of a run', () => {
  it('start no oftener than the rate, in any second and in any minute, however fast answers come', async () => {
    const { starts, mostOpen } = await run({ callsPerMinute: 300, concurrency: 8 }, 400, () => 1);
    expect(starts).toHaveLength(400);
    expect([mostWithin(starts, 1_000), mostWithin(starts, 60_000)]).toEqual([5, 300]);
    // And no rarer: a rate is no tax.
    expect(starts.at(-1)).toBeCloseTo(399 * 200, 0);
    expect(mostOpen).toBeLessThanOrEqual(8);
  });

  it('do not make up for time in which answers were slow by coming in a burst', async () => {
    const slow = (index: number) => (index <= 2 ? 30_000 : 1);
    const { starts } = await run({ callsPerMinute: 60, concurrency: 2 }, 40, slow);
    expect([starts[1]! - starts[0]!, mostWithin(starts, 1_000)]).toEqual([1_000, 1]);
  });

  it('are never more at once than asked for, and so many where they are slow', async () => {
    const { starts, mostOpen } = await run({ concurrency: 5 }, 60, (index) => 10 + (index % 7));
    expect([starts.length, mostOpen]).toEqual([60, 5]);
  });

  it('that wait for their turn are not made once the time is over', async () => {
    const { starts, made, stopped } = await run({ callsPerMinute: 60, deadline: 9_500 }, 40, () => 1);
    expect([starts.length, stopped]).toEqual([10, 'time']);
    expect(made.filter((one) => one === endedBefore)).toHaveLength(30);
  });
});
