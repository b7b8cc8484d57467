import { mkdtemp } from 'node:fs/promises';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databases, type TestDatabase } from '../support/databases.ts';
import { type Call, type GatewayProcess, prepareGateway, runLoad } from '../support/gateway-process.ts';
import { type LedgerProvider, startLedgerProvider } from '../support/ledger-provider.ts';
import { findDiscrepancies, nothingWrong, readTrail } from '../support/trail.ts';

/** Of a machine that does much else. */
const timeout = 60_000;

describe('a gateway of two workers', { timeout }, () => {
  let database: TestDatabase;
  let sql: postgres.Sql;
  let provider: LedgerProvider;
  let gateway: GatewayProcess;
  const calls: Call[] = [];

  beforeAll(async () => {
    database = await databases[0]!.create();
    sql = postgres(database.url, { max: 1 });
    provider = await startLedgerProvider(await mkdtemp(join(tmpdir(), 'promptgate-workers-')));
    gateway = await prepareGateway({
      provider,
      databaseUrl: database.url,
      environment: { PROMPTGATE_LOG_LEVEL: 'info' },
      args: ['--workers', '2'],
    });
    await gateway.start();
  });
  afterAll(async () => {
    await gateway?.kill();
    await provider?.close();
    await sql?.end();
    await database?.drop();
  });

  const pids = async () => (await sql`select pid from gateway_instances`).map(({ pid }): number => pid);
  const readiness = async () => JSON.parse((await gateway.get('/readyz')).text);
  const metric = async (name: string) => {
    const lines = (await gateway.get('/metrics')).text.split('\n').filter((line) => line.startsWith(name));
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  };
  const held = async (prefix: string) => {
    await provider.behave({ holdAt: 'request' });
    const open = Array.from({ length: 8 }, (_, index) => gateway.call(`call-${prefix}-${index}`));
    await expect.poll(() => provider.held, { timeout: 20_000 }).toBe(8);
    return open;
  };
  const expectNothingWrong = async () => {
    const open = async () => (await sql`select id from ai_execution_intents`).length;
    await expect.poll(open, { timeout: 20_000 }).toBe(0);
    expect(findDiscrepancies(await readTrail(database.url), provider.ledger(), calls)).toEqual(nothingWrong);
  };

  it('that loses one under load listens on, replaces it, recovers its calls at once and loses nothing', async () => {
    await provider.behave({ delayMs: 10 });
    let done = false;
    const load = runLoad(gateway, { concurrency: 8, prefix: 'kill', until: () => done });
    await expect.poll(async () => (await pids()).length, { timeout: 20_000 }).toBe(2);
    expect(await readiness()).toMatchObject({ status: 'ready', workers: { wanted: 2, serving: 2 } });
    const counted = await metric('promptgate_executions_total');
    const [victim, other] = (await pids()) as [number, number];
    expect([victim, other]).not.toContain(gateway.pid);
    const killedAt = performance.now();
    process.kill(victim, 'SIGKILL');
    await expect.poll(() => metric('promptgate_workers_replaced_total'), { timeout: 20_000 }).toBe(1);
    await expect.poll(readiness, { timeout: 20_000 }).toMatchObject({ workers: { wanted: 2, serving: 2 } });
    // Connections that lived on or came back meanwhile are the other's; those that come now are dealt to both.
    const newcomers = runLoad(gateway, { concurrency: 8, prefix: 'new', until: () => done });
    // A lease lasts 20 s. The successor knows better.
    const successors = async () => (await pids()).filter((pid) => pid !== victim && pid !== other).length;
    await expect.poll(successors, { timeout: 20_000 }).toBe(1);
    expect(await pids()).not.toContain(victim);
    expect(await readiness()).toMatchObject({ status: 'ready', workers: { wanted: 2, serving: 2 } });
    expect(await metric('promptgate_executions_total')).toBeGreaterThanOrEqual(counted);
    done = true;
    calls.push(...(await load), ...(await newcomers));
    await expectNothingWrong();
    // Not more than what was on its way when it died went unanswered, and nothing was refused.
    expect(calls.filter(({ status }) => status !== 200 && status !== null)).toEqual([]);
    expect(calls.filter(({ status }) => status === null).length).toBeLessThanOrEqual(8);
    expect(calls.some(({ status, startedAt }) => status === 200 && startedAt > killedAt)).toBe(true);
    const lines = gateway
      .log()
      .split('\n')
      .filter((line) => line.includes('"msg":"execution"'));
    expect(new Set(lines.map((line) => JSON.parse(line).worker))).toEqual(new Set([1, 2]));
  });

  it('that loses one with a connection on its way to it tells the caller at once', async () => {
    const [victim] = (await pids()) as [number];
    process.kill(victim, 'SIGSTOP');
    // Dealt out in turn: one of them goes to the worker that does not take it.
    const fates = [1, 2, 3].map(() => fateOf(`${gateway.url}/healthz`));
    await expect.poll(() => fates.filter(({ end }) => end === 200).length, { timeout: 20_000 }).toBe(2);
    process.kill(victim, 'SIGKILL');
    await expect
      .poll(() => fates.map(({ end }) => end).sort(), { timeout: 20_000 })
      .toEqual([200, 200, 'ECONNRESET']);
    await expect.poll(readiness, { timeout: 20_000 }).toMatchObject({ workers: { wanted: 2, serving: 2 } });
  });

  it('cancels and records the calls of both at a second SIGTERM', async () => {
    const open = await held('hurry');
    gateway.signal('SIGTERM');
    await expect.poll(readiness, { timeout: 20_000 }).toMatchObject({ status: 'stopping' });
    const ended = gateway.exited();
    gateway.signal('SIGTERM');
    const answers = await Promise.all(open);
    calls.push(...answers);
    expect(answers.map(({ code }) => code)).toEqual(answers.map(() => 'cancelled'));
    expect(await ended).toBe(0);
    await provider.release();
    await expectNothingWrong();
  });

  it('drains both at SIGTERM, admits nothing meanwhile and leaves no lease', async () => {
    await gateway.start();
    const open = await held('drain');
    gateway.signal('SIGTERM');
    await expect
      .poll(readiness, { timeout: 20_000 })
      .toMatchObject({ status: 'stopping', workers: { wanted: 2, serving: 2 } });
    expect(await gateway.call('call-refused')).toMatchObject({ status: 503, code: 'audit_unavailable' });
    const ended = gateway.exited();
    await provider.release();
    const answers = await Promise.all(open);
    calls.push(...answers);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(await ended).toBe(0);
    expect(await pids()).toEqual([]);
    await expectNothingWrong();
  });
});

/** What becomes of a request on a connection of its own: its status, or the code of its error. */
function fateOf(url: string): { end?: number | string | undefined } {
  const fate: { end?: number | string | undefined } = {};
  const asking = get(url, { agent: false }, (response) => {
    response.resume();
    fate.end = response.statusCode;
  });
  asking.on('error', (error: NodeJS.ErrnoException) => {
    fate.end ??= error.code;
  });
  return fate;
}
