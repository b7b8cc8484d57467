import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { databases, type TestDatabase } from '../support/databases.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

/** The outage is one that a server makes: it lets nobody in, and cuts whoever is. */
describe('a gateway whose PostgreSQL goes away', () => {
  let database: TestDatabase;
  let gateway: TestGateway;
  let admin: postgres.Sql;

  beforeEach(async () => {
    database = await databases[0]!.create();
    admin = postgres(inject('postgresUrl'), { max: 1 });
  });
  afterEach(async () => {
    await allow(true);
    await gateway.close();
    await admin.end();
    await database.drop();
  });

  const name = () => new URL(database.url).pathname.slice(1);
  async function allow(connections: boolean) {
    await admin.unsafe(`alter database ${name()} allow_connections ${connections}`);
    if (!connections) {
      await admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name()}`;
    }
  }
  async function start(mode: string) {
    const data = await mkdtemp(join(tmpdir(), 'promptgate-data-'));
    gateway = await startGateway(database, {
      environment: {
        PROMPTGATE_AUDIT_MODE: mode,
        PROMPTGATE_AUDIT_TIMEOUT_MS: '1000',
        PROMPTGATE_DATA_DIR: data,
      },
    });
  }
  const execute = (headers: Record<string, string> = {}) =>
    gateway.execute('greet', { variables: { name: 'Ada' } }, { headers });
  const rows = () => gateway.query(`select id, status from ai_executions order by id`);

  it('strict: calls no provider, answers 503 within its deadline, counts what it refused, and is back by itself', async () => {
    await start('strict');
    expect((await execute()).status).toBe(200);
    const before = await gateway.providerRequests();
    await allow(false);
    const from = performance.now();
    const unfit = () => gateway.execute('greet', { variables: {} });
    const refused = await Promise.all(Array.from({ length: 20 }, (_, i) => (i < 5 ? unfit() : execute())));
    expect(performance.now() - from).toBeLessThan(3_000);
    for (const answer of refused) {
      expect([answer.status, answer.body.error.code]).toEqual([503, 'audit_unavailable']);
    }
    for (const { headers } of refused.slice(5)) {
      expect([headers.get('retry-after'), headers.get('x-should-retry')]).toEqual(['1', null]);
    }
    expect(await gateway.providerRequests()).toBe(before);
    // The alerts read this: rows there are none.
    const { body: metrics } = await gateway.call('GET', '/metrics');
    const unrecorded = metrics.matchAll(
      /^promptgate_executions_total\{.*error_code="audit_unavailable".*\} (\d+)$/gm,
    );
    expect([...unrecorded].reduce((sum, [, count]) => sum + Number(count), 0)).toBe(20);
    await allow(true);
    await expect.poll(async () => (await execute()).status, { timeout: 5_000 }).toBe(200);
  });

  it('spool: executes on, loses nothing, and has every row once in the database afterwards', async () => {
    await start('spool');
    const before = (await execute()).body.id;
    await allow(false);
    const answers = await Promise.all(Array.from({ length: 30 }, () => execute()));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const claimed = await execute({ 'idempotency-key': 'k' });
    expect([claimed.status, claimed.body.error.message]).toEqual([
      503,
      expect.stringContaining('Idempotency-Key'),
    ]);
    const ready = await gateway.call('GET', '/readyz');
    expect([ready.status, ready.body.status]).toEqual([200, 'spooling']);
    expect((await gateway.call('GET', '/metrics')).body).toMatch(/^promptgate_audit_spooling 1$/m);
    await allow(true);
    const ids = [before, ...answers.map(({ body }) => body.id)];
    await expect
      .poll(async () => (await rows().catch(() => [])).filter((row) => row.status === 'succeeded').length, {
        timeout: 10_000,
      })
      .toBe(31);
    expect((await rows()).map((row) => row.id).filter((id) => ids.includes(id))).toHaveLength(31);
    await expect.poll(() => gateway.query('select * from ai_execution_intents')).toEqual([]);
    await expect
      .poll(async () => (await gateway.call('GET', '/metrics')).body)
      .toMatch(/^promptgate_audit_spooling 0$[\s\S]*^promptgate_audit_rows_dropped_total 0$/m);
  });
});
