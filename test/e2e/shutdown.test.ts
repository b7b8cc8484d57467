import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type SimulatedProvider, startSimulatedProvider } from '../../src/providers/simulated-provider.ts';
import { type RunningCommand, runCommand, startCommand } from '../support/command.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { definitions } from '../support/gateway.ts';

describe('a gateway that is told to stop', () => {
  let provider: SimulatedProvider;
  let database: TestDatabase;
  let sql: postgres.Sql;
  let cwd: string;
  let key: string;
  let environment: Record<string, string>;

  beforeAll(async () => {
    provider = await startSimulatedProvider();
    database = await databases[0]!.create();
    sql = postgres(database.url, { max: 1 });
    cwd = await mkdtemp(join(tmpdir(), 'promptgate-shutdown-'));
    await mkdir(join(cwd, 'prompts'));
    await writeFile(join(cwd, 'prompts', 'greet.prompt'), definitions['greet.prompt']);
    environment = {
      PORT: '0',
      DATABASE_URL: database.url,
      OPENAI_BASE_URL: `${provider.url}/v1`,
      PROMPTGATE_DRAIN_TIMEOUT_MS: '20000',
    };
    await runCommand(['sync'], { cwd, environment });
    key = (await runCommand(['keys', 'create', 'app'], { cwd, environment })).stdout.trim();
  });
  afterAll(async () => {
    await sql.end();
    await provider.close();
    await database.drop();
  });
  beforeEach(() => sql.unsafe('delete from ai_execution_intents'));

  const simulate = (fault: object) =>
    fetch(`${provider.url}/simulate`, { method: 'POST', body: JSON.stringify(fault) });
  const slow = (delayMs: number) => simulate({ kind: 'slow', delayMs });
  const execute = async (serve: RunningCommand) => {
    const response = await fetch(`${serve.ready.url}/v1/prompts/greet/executions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify({ variables: { name: 'Ada' }, version: 1 }),
    });
    // biome-ignore lint/suspicious/noExplicitAny: a test reads what the wire carries
    return { status: response.status, body: (await response.json()) as any };
  };
  const inFlight = async () => (await sql`select distinct id from ai_execution_intents`).length;
  const statusOf = async (id: string) =>
    (await sql`select status from ai_executions where id = ${id}`)[0]?.status;
  const leases = async () => (await sql`select id from gateway_instances`).length;

  it('is not ready at once, admits nothing, ends its hundred calls with their rows, and exits with 0', async () => {
    const serve = await startCommand(['serve'], { cwd, environment });
    await slow(5_000);
    const calls = Array.from({ length: 100 }, () => execute(serve));
    await expect.poll(inFlight, { timeout: 4_500 }).toBe(100);
    const ended = serve.stop('SIGTERM');
    await expect
      .poll(async () => (await fetch(`${serve.ready.url}/readyz`)).json())
      .toMatchObject({ status: 'stopping' });
    const refused = await execute(serve);
    expect([refused.status, refused.body.error.code]).toEqual([503, 'audit_unavailable']);
    const answers = await Promise.all(calls);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(await ended).toBe(0);
    expect(await inFlight()).toBe(0);
    expect(await leases()).toBe(0);
    for (const { body } of answers) expect(await statusOf(body.id)).toBe('succeeded');
  });

  it('cancels and records its calls at a second signal, and still exits with 0', async () => {
    const serve = await startCommand(['serve'], { cwd, environment });
    await slow(15_000);
    const calls = Array.from({ length: 10 }, () => execute(serve));
    await expect.poll(inFlight).toBe(10);
    const from = performance.now();
    void serve.stop('SIGTERM');
    await expect
      .poll(async () => (await fetch(`${serve.ready.url}/readyz`)).json())
      .toMatchObject({ status: 'stopping' });
    const ended = serve.stop('SIGTERM');
    for (const { status, body } of await Promise.all(calls)) {
      expect([status, body.error.message]).toEqual([499, 'The gateway stopped before the answer.']);
      expect(await statusOf(body.error.execution_id)).toBe('cancelled');
    }
    expect(await ended).toBe(0);
    expect(performance.now() - from).toBeLessThan(10_000);
    expect(await inFlight()).toBe(0);
  });

  it('ends an evaluation after the call that is on its way, with a report that says how to go on', async () => {
    const serve = await startCommand(['serve'], { cwd, environment });
    await slow(1_000);
    const tests = Array.from({ length: 50 }, (_, index) => ({
      vars: { name: `n${index}` },
      assert: [{ type: 'contains', value: 'model' }],
    }));
    const suite = { path: 'greet.eval.yaml', source: JSON.stringify({ tests }) };
    const run = fetch(`${serve.ready.url}/v1/prompts/greet/evaluations`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify({ suite, concurrency: 1, stream: true }),
    }).then((response) => response.text());
    await expect.poll(inFlight).toBe(1);
    const ended = serve.stop('SIGTERM');
    expect(await run).toMatch(/event: report\n.*"evaluation_id":null.*"stopped":"stopping"/);
    expect(await ended).toBe(0);
    expect(await inFlight()).toBe(0);
  });

  const streamed = async (serve: RunningCommand) => {
    const response = await fetch(`${serve.ready.url}/v1/prompts/greet/executions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify({ variables: { name: 'Ada' }, version: 1, stream: true }),
    });
    return { id: response.headers.get('x-promptgate-execution-id') ?? '', text: await response.text() };
  };

  it('ends its open streams with their last event and their rows', async () => {
    const serve = await startCommand(['serve'], { cwd, environment });
    await simulate({ kind: 'stream_slow', delayMs: 200 });
    const streams = Array.from({ length: 10 }, () => streamed(serve));
    await expect.poll(inFlight).toBe(10);
    const ended = serve.stop('SIGTERM');
    for (const { id, text } of await Promise.all(streams)) {
      expect(text).toContain('event: done');
      expect(await statusOf(id)).toBe('succeeded');
    }
    expect(await ended).toBe(0);
  });

  it('cuts its open streams at a second signal with an error event, and records what came', async () => {
    const serve = await startCommand(['serve'], { cwd, environment });
    await simulate({ kind: 'stream_slow', delayMs: 3_000 });
    const streams = Array.from({ length: 10 }, () => streamed(serve));
    await expect.poll(inFlight).toBe(10);
    void serve.stop('SIGTERM');
    await expect
      .poll(async () => (await fetch(`${serve.ready.url}/readyz`)).json())
      .toMatchObject({ status: 'stopping' });
    const ended = serve.stop('SIGTERM');
    for (const { id, text } of await Promise.all(streams)) {
      expect(text).toContain('The gateway stopped before the answer.');
      expect(await statusOf(id)).toBe('cancelled');
    }
    expect(await ended).toBe(0);
    expect(await inFlight()).toBe(0);
  });

  it('says with its exit code that outcomes are left to recovery, which makes them unknown', async () => {
    const serve = await startCommand(['serve'], {
      cwd,
      environment: { ...environment, PROMPTGATE_AUDIT_TIMEOUT_MS: '800' },
    });
    await slow(1_000);
    const call = execute(serve);
    await expect.poll(inFlight).toBe(1);
    const release = Promise.withResolvers<void>();
    const locked = Promise.withResolvers<void>();
    const other = postgres(database.url, { max: 1 });
    const lock = other.begin(async (tx) => {
      await tx`lock table ai_executions in exclusive mode`;
      locked.resolve();
      await release.promise;
    });
    await locked.promise;
    const ended = serve.stop('SIGTERM');
    expect((await call).status).toBe(503);
    expect(await ended).toBe(16);
    release.resolve();
    await lock;
    await other.end();
    const [intent] = await sql`select id from ai_execution_intents`;
    const next = await startCommand(['serve'], { cwd, environment });
    await expect.poll(() => statusOf(intent?.id), { timeout: 30_000 }).toBe('unknown');
    expect(await next.stop()).toBe(0);
  });

  it('has an audit that verifies, whatever was done to it above', async () => {
    const verified = await runCommand(['audit', 'verify'], { cwd, environment });
    expect([verified.code, verified.stdout]).toEqual([0, expect.stringContaining('is sound')]);
    await sql`alter table ai_executions disable trigger refuse_change`;
    const broken = await runCommand(['audit', 'verify', '--json'], { cwd, environment });
    await sql`alter table ai_executions enable trigger refuse_change`;
    expect([broken.code, JSON.parse(broken.stdout).sound]).toEqual([1, false]);
    const retained = await runCommand(['audit', 'retain', '--months', '1'], { cwd, environment });
    expect([retained.code, retained.stdout]).toEqual([0, expect.stringContaining('no older month')]);
  });
});
