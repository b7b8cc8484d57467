/**
 * What the gateway does by the clock. Any number of gateways keep the same schedules: the job library gives each due job
 * to one of them. It is not loaded before there is something to schedule.
 */
import { PromptgateError } from '../domain/errors.ts';
import type { DueJob, JobQueue } from './job-queue.ts';

/** One thing that is done by the clock: its name, its times, and what it is. */
export interface Schedule {
  /** Lower-case letters; the label of its metric. */
  readonly name: string;
  /** Cron in UTC by key; of one that is alone the key is ''. Asked again every half a minute; empty: nothing is due. */
  readonly crons: () => Promise<ReadonlyMap<string, string>>;
  /**
   * Where the times stand. `database`: every gateway reads the same, and what is not there any more is forgotten.
   * `configuration`: this gateway's, so that without any it leaves those of others alone, and does none of their jobs.
   */
  readonly kept: 'configuration' | 'database';
  readonly run: (job: DueJob) => Promise<unknown>;
}

/** `failed`: it is tried again, then the next time comes. `given_back`: the gateway was stopping, another one does it. */
export type ScheduleOutcome = 'completed' | 'failed' | 'given_back';

export interface SchedulesOptions {
  readonly schedules: readonly Schedule[];
  /** @param onError hears when the queue cannot do its work */
  readonly open: (onError: (error: unknown) => void) => Promise<JobQueue>;
  readonly onRun: (schedule: string, outcome: ScheduleOutcome, error: unknown) => void;
  /** Once when the schedules can no longer be kept, and once, with null, when they are kept again. */
  readonly onTrouble: (error: unknown) => void;
  readonly lookMs?: number;
}

export interface Schedules {
  /** From now on, in the background. */
  start(): void;
  /**
   * Begins no job from now on. Resolves when those under way have ended, or were given back; two seconds after the time at
   * the latest, whether or not the database answers.
   */
  stop(timeoutMs: number): Promise<void>;
}

const defaultLookMs = 30_000;
/** For giving back what is under way, after its time is over. */
const graceMs = 2_000;
const notEnded = new PromptgateError(
  'internal',
  'The schedules could not be ended in time: the database does not answer. What was under way is given to another gateway.',
);

/** Times that the configuration says; `off`: none. */
export function timesOf(cron: string): Schedule['crons'] {
  const times: ReadonlyMap<string, string> = cron === 'off' ? new Map() : new Map([['', cron]]);
  return async () => times;
}

export function createSchedules(options: SchedulesOptions): Schedules {
  /** Schedules whose configured times were told to the queue. */
  const told = new Set<string>();
  const working = new Set<string>();
  let troubled = false;
  let queue: JobQueue | undefined;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  let stopping: Promise<void> | undefined;

  async function look(): Promise<void> {
    const wanted = await Promise.all(
      options.schedules.map(async (schedule) => ({ schedule, crons: await schedule.crons() })),
    );
    if (!queue && wanted.every(({ crons }) => crons.size === 0)) return;
    queue ??= await options.open(onError);
    for (const { schedule, crons } of wanted) {
      if (stopping) return;
      await keep(queue, schedule, crons);
    }
  }

  async function keep(queue: JobQueue, schedule: Schedule, crons: ReadonlyMap<string, string>) {
    const { name, kept } = schedule;
    if (kept === 'configuration' && crons.size === 0) return;
    // Gateways with other times would overrule each other at every look: who started last says when.
    if (told.has(name)) await queue.restore(name, crons);
    else await queue.set(name, crons);
    if (kept === 'configuration') told.add(name);
    // What it does is done here from the first time on that there is something to do.
    if (crons.size > 0 && !working.has(name)) {
      await queue.work(name, (job) => run(schedule, job));
      working.add(name);
    }
  }

  async function run(schedule: Schedule, job: DueJob): Promise<void> {
    try {
      await schedule.run(job);
    } catch (error) {
      options.onRun(schedule.name, stopping ? 'given_back' : 'failed', error);
      throw error;
    }
    options.onRun(schedule.name, 'completed', null);
  }

  function onError(error: unknown): void {
    if (!troubled) options.onTrouble(error);
    troubled = true;
  }

  function onSuccess(): void {
    if (troubled) options.onTrouble(null);
    troubled = false;
  }

  function lookOnce(): void {
    looking ??= look()
      .then(onSuccess, onError)
      .finally(() => {
        looking = undefined;
      });
  }

  return {
    start() {
      if (timer || stopping) return;
      timer = setInterval(lookOnce, options.lookMs ?? defaultLookMs).unref();
      lookOnce();
    },
    stop(timeoutMs) {
      stopping ??= (async () => {
        clearInterval(timer);
        const end = async () => {
          await looking;
          await queue?.stop(timeoutMs).catch(onError);
        };
        if (!(await isWithin(timeoutMs + graceMs, end()))) onError(notEnded);
      })();
      return stopping;
    },
  };
}

/** @returns false — it goes on, and nobody waits for it */
async function isWithin(ms: number, work: Promise<void>): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(resolve, ms, false);
  return Promise.race([work.then(() => true), promise]).finally(() => clearTimeout(timer));
}
