import { describe, expect, it, vi } from 'vitest';
import type { DueJob, JobQueue } from '../../src/application/job-queue.ts';
import { createSchedules, type Schedule, timesOf } from '../../src/application/schedules.ts';

const job: DueJob = { key: '', dueAt: new Date('2026-11-21T06:30:00Z') };

/** A queue that gives a job when the test says so. */
function createQueue() {
  const kept = new Map<string, ReadonlyMap<string, string>>();
  const working = new Map<string, (job: DueJob) => Promise<void>>();
  const queue: JobQueue = {
    set: async (name, crons) => void kept.set(name, crons),
    restore: async (name, crons) => void (kept.has(name) || kept.set(name, crons)),
    work: async (name, run) => void working.set(name, run),
    stop: async () => {},
  };
  return { queue, kept, give: (name: string) => working.get(name)?.(job) };
}

function start(schedules: readonly Schedule[], open: () => Promise<JobQueue>) {
  const runs: unknown[] = [];
  const troubles: unknown[] = [];
  const kept = createSchedules({
    schedules,
    open,
    onRun: (...run) => runs.push(run),
    onTrouble: (error) => troubles.push(error),
    lookMs: 5,
  });
  kept.start();
  return { runs, troubles, stop: () => kept.stop(1_000) };
}

describe('what is done by the clock', () => {
  it('opens no queue while nothing is scheduled, and keeps what is scheduled later', async () => {
    const { queue, kept } = createQueue();
    let crons: ReadonlyMap<string, string> = new Map();
    let opened = 0;
    const probes = {
      name: 'probes',
      kept: 'database' as const,
      crons: async () => crons,
      run: async () => {},
    };
    const { stop } = start(
      [probes, { name: 'drift', kept: 'configuration', crons: timesOf('off'), run: async () => {} }],
      async () => {
        opened += 1;
        return queue;
      },
    );
    await stop();
    expect(opened).toBe(0);

    const later = start([probes], async () => queue);
    crons = new Map([['greet/default', '* * * * *']]);
    await expect.poll(() => kept.get('probes')).toBe(crons);
    crons = new Map();
    await expect.poll(() => kept.get('probes')).toBe(crons);
    await later.stop();
  });

  it('tells of what failed and has it tried again; what a stop cut short is given back', async () => {
    const { queue, give } = createQueue();
    const failure = new Error('no database');
    let fails = false;
    const drift = {
      name: 'drift',
      kept: 'configuration' as const,
      crons: timesOf('30 6 * * *'),
      async run() {
        if (fails) throw failure;
      },
    };
    const { runs, stop } = start([drift], async () => queue);
    await expect.poll(() => give('drift')?.then(() => runs.length)).toBeGreaterThan(0);
    fails = true;
    await expect(give('drift')).rejects.toBe(failure);
    expect([runs[0], runs.at(-1)]).toEqual([
      ['drift', 'completed', null],
      ['drift', 'failed', failure],
    ]);
    await stop();
    await expect(give('drift')).rejects.toBe(failure);
    expect(runs.at(-1)).toEqual(['drift', 'given_back', failure]);
  });

  it('says once that it cannot keep the schedules, goes on trying, and says once that it can', async () => {
    const { queue, kept } = createQueue();
    let tries = 0;
    const refusal = new Error('no right');
    const { troubles, stop } = start(
      [{ name: 'drift', kept: 'configuration', crons: timesOf('30 6 * * *'), run: async () => {} }],
      async () => {
        tries += 1;
        if (tries < 4) throw refusal;
        return queue;
      },
    );
    await expect.poll(() => troubles).toEqual([refusal, null]);
    expect([tries, kept.has('drift')]).toEqual([4, true]);
    await stop();
  });

  it('leaves the times of others alone where it is off, and gives back what somebody took away', async () => {
    const { queue, kept, give } = createQueue();
    const daily = new Map([['', '30 6 * * *']]);
    kept.set('drift', daily);
    const probes = {
      name: 'probes',
      kept: 'database' as const,
      crons: async () => daily,
      run: async () => {},
    };
    const drift = (cron: string): Schedule => ({
      ...{ name: 'drift', kept: 'configuration', crons: timesOf(cron), run: async () => {} },
    });
    const off = start([drift('off'), probes], async () => queue);
    await expect.poll(() => kept.has('probes')).toBe(true);
    expect([kept.get('drift'), give('drift')]).toEqual([daily, undefined]);
    await off.stop();

    const on = start([drift('0 7 * * *')], async () => queue);
    await expect.poll(() => kept.get('drift')).toEqual(new Map([['', '0 7 * * *']]));
    // Another gateway started later with a time of its own.
    kept.set('drift', daily);
    const looked = new Promise<void>((resolve) => {
      const { restore } = queue;
      queue.restore = async (...args) => restore(...args).then(resolve);
    });
    await looked;
    expect(kept.get('drift')).toBe(daily);
    kept.delete('drift');
    await expect.poll(() => kept.get('drift')).toEqual(new Map([['', '0 7 * * *']]));
    await on.stop();
  });

  it('stops in bounded time though the database answers nothing, be it at a look or at the end', async () => {
    vi.useFakeTimers();
    try {
      const never = new Promise<never>(() => {});
      const { queue } = createQueue();
      for (const frozen of [
        { ...queue, stop: () => never },
        { ...queue, set: () => never },
      ]) {
        const drift = { name: 'drift', kept: 'configuration', crons: timesOf('30 6 * * *') } as const;
        const { stop, troubles } = start([{ ...drift, run: async () => {} }], async () => frozen);
        await vi.advanceTimersByTimeAsync(1);
        const stopped = vi.fn();
        void stop().then(stopped);
        await vi.advanceTimersByTimeAsync(2_999);
        expect(stopped).not.toHaveBeenCalled();
        await vi.advanceTimersByTimeAsync(1);
        expect(stopped).toHaveBeenCalled();
        expect(String(troubles[0])).toContain('could not be ended in time');
      }
    } finally {
      vi.useRealTimers();
    }
  });
});
