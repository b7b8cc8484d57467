/** A gateway process, the provider that keeps the ledger, and a database: what every fault test starts from. */
import { cp, mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { expect, inject, vi } from 'vitest';
import { openEmbeddedDatabase } from '../../src/store/embedded-database.ts';
import { databases } from './databases.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { type Call, type GatewayProcess, prepareGateway } from './gateway-process.ts';
import { type LedgerProvider, startLedgerProvider } from './ledger-provider.ts';
import { findDiscrepancies, nothingWrong, readTrail, type Trail } from './trail.ts';

export interface Rig {
  readonly gateway: GatewayProcess;
  readonly provider: LedgerProvider;
  /** Between the gateway and PostgreSQL. @throws Error on PGlite, which is inside the gateway */
  readonly proxy: FaultProxy;
  /** Another gateway on the same database, in the time after the lease of the first has expired. */
  startSecond(): Promise<GatewayProcess>;
  /** Rows of the database. @throws Error on PGlite, which is inside the gateway */
  query(text: string): Promise<Record<string, unknown>[]>;
  /** Starts the gateway again after it was killed. On PostgreSQL the time passes in which its lease is respected. */
  restart(): Promise<void>;
  /** Lets the gateway recover what others left and reads the trail; on PGlite the gateway ends with that. */
  settle(): Promise<Trail>;
  /** Waits until the gateway's journal is empty. */
  expectReplayed(): Promise<void>;
  /** `settle`, and expects that nothing was lost, doubled or invented; a gateway that runs has to say so too. */
  expectNothingWrong(calls: readonly Call[]): Promise<Trail>;
  close(): Promise<void>;
}

export type RigKind = 'PostgreSQL' | 'PGlite';

export async function startRig(
  kind: RigKind,
  options: { databaseUrl?: string; environment?: Record<string, string> } = {},
): Promise<Rig> {
  const scratch = await mkdtemp(join(tmpdir(), 'promptgate-rig-'));
  const provider = await startLedgerProvider(scratch);
  const environment = { ...options.environment };
  if (kind === 'PGlite') return embeddedRig(provider, scratch, environment);

  const database = options.databaseUrl ? undefined : await databases[0]!.create();
  const databaseUrl = options.databaseUrl ?? database?.url ?? '';
  const proxy = await startFaultProxy(Number(new URL(databaseUrl).port));
  const gateway = await prepareGateway({
    provider,
    databaseUrl,
    connectUrl: proxy.through(databaseUrl),
    environment,
  });
  const settle = async () => {
    if (gateway.isRunning) await expectRecovered(databaseUrl);
    return readTrail(databaseUrl);
  };
  return {
    ...common({ gateway, provider, settle }),
    proxy,
    async startSecond() {
      const second = await prepareGateway({ provider, databaseUrl, environment });
      await expireLeases(databaseUrl);
      await second.start();
      return second;
    },
    query: (text) => queryAt(databaseUrl, text),
    async restart() {
      await expireLeases(databaseUrl);
      await gateway.start();
    },
    async close() {
      await gateway.kill();
      await proxy.close();
      await provider.close();
      await database?.drop();
    },
  };
}

async function embeddedRig(
  provider: LedgerProvider,
  scratch: string,
  environment: Record<string, string>,
): Promise<Rig> {
  const data = join(scratch, 'data');
  await cp(inject('pgliteTemplate'), data, { recursive: true });
  const gateway = await prepareGateway({
    provider,
    environment: { ...environment, PROMPTGATE_DATA_DIR: data },
  });
  const settle = async () => {
    if (gateway.isRunning) await gateway.stop();
    const database = await openEmbeddedDatabase({ directory: data });
    const trail = await readTrail(database.url);
    await database.close();
    return trail;
  };
  return {
    ...common({ gateway, provider, settle }),
    restart: () => gateway.start(),
    startSecond: withoutConnection,
    query: withoutConnection,
    get proxy() {
      return withoutConnection();
    },
    async close() {
      await gateway.kill();
      await provider.close();
    },
  };
}

function common<T extends Pick<Rig, 'gateway' | 'provider' | 'settle'>>(parts: T) {
  return {
    ...parts,
    async expectReplayed() {
      const journal = join(parts.gateway.directory, '.promptgate', 'spool');
      const left = async () => (await readdir(journal)).filter((name) => name.includes('.journal'));
      await vi.waitFor(async () => expect(await left()).toEqual([]), { timeout: 30_000, interval: 50 });
    },
    async expectNothingWrong(calls: readonly Call[]) {
      if (parts.gateway.isRunning) await expectSound(parts.gateway);
      const trail = await parts.settle();
      expect(findDiscrepancies(trail, parts.provider.ledger(), calls)).toEqual(nothingWrong);
      return trail;
    },
  };
}

function withoutConnection(): never {
  throw new Error('PGlite has no connection to stand in');
}

async function queryAt(databaseUrl: string, text: string): Promise<Record<string, unknown>[]> {
  const sql = postgres(databaseUrl, { max: 1, fetch_types: false, onnotice: () => {} });
  try {
    return [...(await sql.unsafe(text))];
  } finally {
    await sql.end();
  }
}

async function expireLeases(databaseUrl: string): Promise<void> {
  await queryAt(databaseUrl, 'update gateway_instances set lease_expires_at = clock_timestamp()');
}

/** What `promptgate audit verify` asks. */
async function expectSound(gateway: GatewayProcess): Promise<void> {
  await vi.waitFor(
    async () => {
      const { status, text } = await gateway.get('/v1/audit/verify');
      const { checks } = JSON.parse(text) as { checks: { violations: number }[] };
      expect([status, checks.filter(({ violations }) => violations > 0)]).toEqual([200, []]);
    },
    { timeout: 60_000, interval: 200 },
  );
}

async function expectRecovered(databaseUrl: string): Promise<void> {
  const open = () => queryAt(databaseUrl, 'select id, attempt from ai_execution_intents');
  await vi.waitFor(async () => expect(await open()).toEqual([]), { timeout: 60_000, interval: 100 });
}

/** How often each outcome occurs among the calls whose token contains `part`. */
export function countStatuses(trail: Trail, part = 'call-'): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of trail.executions.filter(({ token }) => token.includes(part)))
    counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}
