/**
 * pg-boss over the gateway's database, in a schema of its own. It is loaded when the first thing is scheduled: a command
 * never pays for it, nor does the start of a gateway. Why it is pg-boss: docs/decisions/2026-11-21-jobs-by-pg-boss.md.
 */
import type { PgBoss } from 'pg-boss';
import type { JobQueue } from '../application/job-queue.ts';
import { PromptgateError } from '../domain/errors.ts';
import { poolerOf } from './connection.ts';

export interface JobQueueOptions {
  readonly url: string;
  /** PGlite: one session. */
  readonly embedded: boolean;
  /** The library cannot do its work now; it goes on trying. */
  readonly onError: (error: unknown) => void;
  /**
   * How often due jobs are looked for, how often it is looked what falls due, and how soon after a failure a job is tried
   * again, in seconds.
   */
  readonly everySeconds?: { readonly jobs: number; readonly times: number; readonly retry: number };
}

const schema = 'promptgate_jobs';
/** A pass looks back a minute, so none may be more than that from the next. */
const defaultEverySeconds = { jobs: 2, times: 30, retry: 5 };

/** Of a job whose process died nobody hears for this long; then it is given to another. */
const heartbeatSeconds = 30;
const jobOptions = {
  heartbeatSeconds,
  expireInSeconds: 6 * 3_600,
  // After about 5, 10, 20 s … for what failed, was given back, or was left by a process that died.
  retryLimit: 5,
  retryBackoff: true,
  // What nobody took for a day is of no use: the next one is due.
  retentionSeconds: 86_400,
} as const;

/** @throws PromptgateError — the database is not there, or does not let this user make the schema */
export async function openJobQueue(options: JobQueueOptions): Promise<JobQueue> {
  const [{ PgBoss }, { CronExpressionParser }] = await Promise.all([
    import('pg-boss'),
    import('cron-parser'),
  ]);
  /** The last time at or before; the parser goes to what is strictly before. */
  const lastTime = (cron: string, at: Date) =>
    CronExpressionParser.parse(cron, { tz: 'UTC', currentDate: new Date(at.getTime() + 1) })
      .prev()
      .toDate();
  const every = options.everySeconds ?? defaultEverySeconds;
  const boss = new PgBoss({
    ...connectionOf(options),
    schema,
    cronWorkerIntervalSeconds: Math.max(1, every.jobs),
    cronMonitorIntervalSeconds: every.times,
    superviseIntervalSeconds: heartbeatSeconds,
    monitorIntervalSeconds: heartbeatSeconds,
    // A handful of rows a day need neither.
    reindex: false,
    monitorVacuum: false,
  });
  boss.on('error', (error) => options.onError(toJobError(error)));
  try {
    await boss.start();
  } catch (error) {
    await boss.stop({ graceful: false }).catch(() => {});
    throw toJobError(error);
  }
  return toQueue(boss, every, lastTime);
}

function toQueue(
  boss: PgBoss,
  every: Required<JobQueueOptions>['everySeconds'],
  lastTime: (cron: string, at: Date) => Date,
): JobQueue {
  const made = new Set<string>();

  async function heldBy(name: string) {
    if (!made.has(name)) await boss.createQueue(name, { ...jobOptions, retryDelay: every.retry });
    made.add(name);
    return boss.getSchedules(name);
  }

  /** What fell due while no gateway ran is made up for once. */
  const schedule = (name: string, key: string, cron: string) =>
    boss.schedule(name, cron, { key, cron }, { key, tz: 'UTC', missed: 'once' });

  return {
    async set(name, crons) {
      const held = await heldBy(name);
      for (const { key } of held) if (!crons.has(key)) await boss.unschedule(name, key);
      for (const [key, cron] of crons) {
        if (!held.some((one) => one.key === key && one.cron === cron)) await schedule(name, key, cron);
      }
    },
    async restore(name, crons) {
      const held = await heldBy(name);
      for (const [key, cron] of crons) {
        if (!held.some((one) => one.key === key)) await schedule(name, key, cron);
      }
    },
    async work(name, run) {
      const options = { includeMetadata: true, pollingIntervalSeconds: every.jobs } as const;
      await boss.work<{ key: string; cron: string }, void, typeof options>(name, options, async ([job]) => {
        // A job is sent within a minute of its time, or late, for the last time that was missed.
        if (job) await run({ key: job.data.key, dueAt: lastTime(job.data.cron, job.createdOn) });
      });
    },
    stop: (timeoutMs) => boss.stop({ graceful: true, timeout: timeoutMs }),
  };
}

function connectionOf({ url, embedded }: JobQueueOptions) {
  const pooler = poolerOf(url);
  return {
    connectionString: withSslAsOurs(pooler ?? url),
    application_name: 'promptgate jobs',
    max: embedded ? 1 : 2,
    connectionTimeoutMillis: 5_000,
    // A database that is frozen, or cut off in silence, answers nothing for ever.
    query_timeout: 35_000,
    keepAlive: true,
    ...(embedded ? { backend: 'pglite' as const } : {}),
    // A pooler takes no settings of a session.
    ...(embedded || pooler !== undefined ? {} : { options: '-c statement_timeout=30000' }),
  };
}

/** `pg` reads `sslmode=require` as `verify-full` unless it is told to read it as everybody else does, our own client too. */
function withSslAsOurs(url: string): string {
  if (!URL.canParse(url)) return url;
  const parsed = new URL(url);
  if (!parsed.searchParams.has('sslmode')) return url;
  parsed.searchParams.set('uselibpqcompat', 'true');
  return parsed.href;
}

/** A driver's message can echo values: only its code leaves. */
function toJobError(error: unknown): PromptgateError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const why =
    code === '42501'
      ? `it may not make the schema ${schema}: grant create on the database, or make it once as its owner`
      : 'the database is not available';
  const cause = new Error(`job library: ${code || (error instanceof Error ? error.name : typeof error)}`);
  return new PromptgateError('internal', `The schedules cannot be kept: ${why}.`, { cause });
}
