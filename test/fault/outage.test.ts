/**
 * PostgreSQL goes away under load, in four ways, and comes back. Strictly: no call goes out meanwhile, and everyone
 * hears so in time. With a spool: calls go on, and their records arrive once.
 */
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countStatuses, type Rig, startRig } from '../support/fault-rig.ts';
import { report, scaled } from '../support/fault-run.ts';
import { type Call, runLoad } from '../support/gateway-process.ts';
import { type PostgresProcess, startPostgres } from '../support/postgres-process.ts';

const auditTimeoutMs = 1_000;
const outageMs = scaled(3_000, 30_000);
/** What a busy machine may add to a deadline. */
const slackMs = 1_500;
const recoveryMs = 5_000;

interface Outage {
  begin(): Promise<void>;
  end(): Promise<void>;
}

let server: PostgresProcess;
let rig: Rig;
let databases = 0;

beforeAll(async () => {
  server = await startPostgres(['fsync=off', 'full_page_writes=off', 'max_connections=60']);
  await asAdmin(`create role app login password 'app'`);
});
afterAll(() => server?.stop());

async function asAdmin(...statements: string[]): Promise<void> {
  const sql = postgres(server.url, { max: 1, onnotice: () => {} });
  for (const statement of statements) await sql.unsafe(statement);
  await sql.end();
}

async function start(mode: 'strict' | 'spool'): Promise<void> {
  databases += 1;
  await asAdmin(`create database outage_${databases} owner app`);
  const url = new URL(server.url);
  url.pathname = `/outage_${databases}`;
  url.username = 'app';
  url.password = 'app';
  rig = await startRig('PostgreSQL', {
    databaseUrl: url.href,
    environment: {
      ...(mode === 'spool' ? { PROMPTGATE_AUDIT_MODE: mode } : {}),
      PROMPTGATE_AUDIT_TIMEOUT_MS: String(auditTimeoutMs),
    },
  });
  await rig.gateway.start();
}

const outages: Record<string, Outage> = {
  stopped: { begin: () => server.halt(), end: () => server.resume() },
  'frozen (SIGSTOP)': { begin: () => server.freeze(), end: () => server.thaw() },
  'behind a black hole': {
    begin: async () => rig.proxy.blackHole(),
    end: async () => rig.proxy.heal(),
  },
  'out of connections': {
    begin: () =>
      asAdmin(
        'alter role app connection limit 0',
        `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'`,
      ),
    end: () => asAdmin('alter role app connection limit -1'),
  },
};

/** Load before, during and after the outage. Times are those of `performance.now()`. */
async function loadThrough(outage: Outage, prefix: string) {
  let stopped = false;
  const until = () => stopped;
  const seen: Call[] = [];
  const calls = runLoad(rig.gateway, {
    concurrency: 8,
    prefix,
    until,
    onCall: (call) => seen.push(call),
  });
  const succeededSince = (from: number) => () =>
    seen.some((call) => call.status === 200 && call.startedAt > from);
  await expect.poll(succeededSince(0), { timeout: 10_000 }).toBe(true);
  await outage.begin();
  const beganAt = performance.now();
  await expect.poll(() => performance.now() - beganAt > outageMs, { timeout: 2 * outageMs }).toBe(true);
  const endedAt = performance.now();
  await outage.end();
  const backAt = performance.now();
  await expect.poll(succeededSince(endedAt), { timeout: 30_000, interval: 10 }).toBe(true);
  const recoveredMs = performance.now() - backAt;
  stopped = true;
  return { calls: await calls, beganAt, endedAt, recoveredMs };
}

const timeout = 60_000 + 3 * outageMs;

const cases = Object.entries(outages).map(([name, outage], number) => ({
  name,
  outage,
  prefix: `outage${number}`,
}));

describe('a strict gateway, while PostgreSQL is', () => {
  beforeAll(() => start('strict'));
  afterAll(() => rig.close());

  it.each(cases)(
    '$name, calls no provider, answers 503 in time, and is back within 5 s',
    {
      timeout,
    },
    async ({ name, outage, prefix }) => {
      const { calls, beganAt, endedAt, recoveredMs } = await loadThrough(outage, prefix);
      const during = calls.filter((call) => call.startedAt > beganAt && call.startedAt + call.ms < endedAt);
      const trail = await rig.expectNothingWrong(calls);
      const slowestMs = Math.round(Math.max(...calls.map(({ ms }) => ms)));
      report(`${name}, strict`, {
        seconds: outageMs / 1000,
        refused: during.length,
        slowestMs,
        recoveredMs: Math.round(recoveredMs),
        ...countStatuses(trail, prefix),
      });
      expect(during.length).toBeGreaterThan(0);
      expect(new Set(during.map(({ status, code }) => `${status} ${code}`))).toEqual(
        new Set(['503 audit_unavailable']),
      );
      const refused = new Set(during.map(({ token }) => token));
      expect(rig.provider.ledger().filter(({ token }) => refused.has(token))).toEqual([]);
      // Once for the intent, once for the outcome.
      expect(slowestMs).toBeLessThan(2 * auditTimeoutMs + slackMs);
      expect(recoveredMs).toBeLessThan(recoveryMs);
    },
  );
});
