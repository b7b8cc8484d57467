/** A rig whose PostgreSQL is its own, and the ways in which that goes away and comes back. */
import postgres from 'postgres';
import { expect } from 'vitest';
import { type Rig, startRig } from './fault-rig.ts';
import { type Call, runLoad } from './gateway-process.ts';
import { type PostgresProcess, startPostgres } from './postgres-process.ts';

interface Outage {
  begin(): Promise<void>;
  end(): Promise<void>;
}

export interface OutageRig extends Rig {
  /** All that the gateway is connected to. */
  endBackends(): Promise<void>;
  readonly outages: Record<OutageName, Outage>;
}

export const outageNames = ['stopped', 'frozen', 'behind a black hole', 'out of connections'] as const;
export type OutageName = (typeof outageNames)[number];

/** The gateway runs when this resolves. */
export async function startOutageRig(environment: Record<string, string>): Promise<OutageRig> {
  const server = await startPostgres(['fsync=off', 'full_page_writes=off', 'max_connections=60']);
  await asAdmin(server, `create role app login password 'app'`, 'create database app owner app');
  const url = new URL(server.url);
  url.pathname = '/app';
  url.username = 'app';
  url.password = 'app';
  const rig = await startRig('PostgreSQL', { databaseUrl: url.href, environment });
  await rig.gateway.start();
  return {
    ...rig,
    endBackends: () => asAdmin(server, endBackends),
    outages: outagesOf(server, rig),
    async close() {
      await rig.close();
      await server.stop();
    },
  };
}

const endBackends = `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'`;

function outagesOf(server: PostgresProcess, { proxy }: Rig): Record<OutageName, Outage> {
  return {
    stopped: { begin: () => server.halt(), end: () => server.resume() },
    frozen: { begin: () => server.freeze(), end: () => server.thaw() },
    'behind a black hole': { begin: async () => proxy.blackHole(), end: async () => proxy.heal() },
    'out of connections': {
      begin: () => asAdmin(server, 'alter role app connection limit 0', endBackends),
      end: () => asAdmin(server, 'alter role app connection limit -1'),
    },
  };
}

async function asAdmin(server: PostgresProcess, ...statements: string[]): Promise<void> {
  const sql = postgres(server.url, { max: 1, onnotice: () => {} });
  for (const statement of statements) await sql.unsafe(statement);
  await sql.end();
}

export interface LoadThrough {
  readonly calls: Call[];
  /** Those that began and ended while the database was away. */
  readonly during: Call[];
  /** From the end of the outage to the answer of a call that began after it. */
  readonly recoveredMs: number;
}

/** Load before, during and after an outage. */
export async function loadThrough(
  rig: OutageRig,
  options: { name: OutageName; prefix: string; outageMs: number },
): Promise<LoadThrough> {
  const { name, prefix, outageMs } = options;
  let stopped = false;
  const seen: Call[] = [];
  const load = runLoad(rig.gateway, {
    concurrency: 8,
    prefix,
    until: () => stopped,
    onCall: (call) => seen.push(call),
  });
  const succeededSince = (from: number) => () =>
    seen.some(({ status, startedAt }) => status === 200 && startedAt > from);
  await expect.poll(succeededSince(0), { timeout: 10_000 }).toBe(true);
  await rig.outages[name].begin();
  const beganAt = performance.now();
  await expect.poll(() => performance.now() - beganAt > outageMs, { timeout: 2 * outageMs }).toBe(true);
  const endedAt = performance.now();
  await rig.outages[name].end();
  const backAt = performance.now();
  await expect.poll(succeededSince(endedAt), { timeout: 30_000, interval: 10 }).toBe(true);
  const recoveredMs = Math.round(performance.now() - backAt);
  stopped = true;
  const calls = await load;
  const during = calls.filter(({ startedAt, ms }) => startedAt > beganAt && startedAt + ms < endedAt);
  return { calls, during, recoveredMs };
}
