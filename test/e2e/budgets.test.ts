// Two gateways, one budget: what is spent stays within it, whoever calls at the same time, and every refusal is a row.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SimulatedProvider, startSimulatedProvider } from '../../src/providers/simulated-provider.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { definition, definitions, startGateway, type TestGateway } from '../support/gateway.ts';

/** Its answers are priced: a call costs 0.001 times its tokens of completion, which are always as many. */
const prices = 'prices:\n  - { provider: openai, model: "*", input: 0, output: 1000 }\n';

/** What it may cost at most is near to what it costs. */
const brief = definition('brief', 1, 'gpt-4o-mini', 'Greet {{name}}.', 'config: { maxOutputTokens: 30 }\n');
const files = { ...definitions, 'brief.prompt': brief };

describe.each(databases)('budgets on $name', ({ create, name }) => {
  let database: TestDatabase;
  let provider: SimulatedProvider;
  let gateways: TestGateway[];

  beforeAll(async () => {
    database = await create();
    provider = await startSimulatedProvider();
    const file = join(mkdtempSync(join(tmpdir(), 'promptgate-budgets-')), 'promptgate.yaml');
    writeFileSync(file, prices);
    const environment = { OPENAI_BASE_URL: `${provider.url}/v1`, PROMPTGATE_CONFIG: file };
    gateways = [await startGateway(database, { environment, files })];
    if (name === 'PostgreSQL') gateways.push(await startGateway(database, { environment, files }));
  });
  afterAll(async () => {
    for (const gateway of gateways) await gateway.close();
    await provider.close();
    await database.drop();
  });

  const set = (body: object) =>
    gateways[0]!.call('PUT', '/v1/budgets', { key: gateways[0]!.keys.admin, body });
  const call = (index: number, path = 'greet') =>
    gateways[index % gateways.length]!.execute(path, { variables: { name: 'Ada' } });
  const rows = (where: string) =>
    gateways[0]!.query(`select status, error_code, cost, attempts from ai_executions where ${where}`);

  // The embedded database has one gateway, which shares with nobody: half says as much.
  const [room, callers] = name === 'PostgreSQL' ? [50, 200] : [40, 100];

  it(`${callers} calls at once against room for ${room}: no more is spent than the budget holds`, async () => {
    const first = await call(0);
    expect(first.body).toMatchObject({ status: 'succeeded', cost: expect.any(String) });
    const one = Number(first.body.cost);
    const limit = room * one;
    const budget = { scope: 'prompt', subject: 'greet', measure: 'cost', period: 'day' };
    expect(
      (await set({ ...budget, refuse_at: limit.toFixed(6), warn_at: (limit / 2).toFixed(6) })).body,
    ).toEqual({ set: true });
    // A gateway that knows of no call yet holds much of so small a budget for the first one, and keeps the rest of it for no longer.
    for (const [index, { app }] of gateways.entries()) {
      await app.refreshBudgets();
      expect((await call(index)).status).toBe(200);
      await app.refreshBudgets();
    }

    const answers = await Promise.all(Array.from({ length: callers }, (_, index) => call(index)));
    const served = answers.filter(({ status }) => status === 200);
    const refused = answers.filter(({ status }) => status === 402);
    expect(served.length + refused.length).toBe(callers);
    // Each costs what is expected of it. The last part may lie with the other gateway.
    expect(served.length).toBeGreaterThan(0.6 * room);
    expect(served.length).toBeLessThanOrEqual(room - gateways.length);
    expect(refused[0]!.body.error).toMatchObject({
      code: 'budget_exceeded',
      execution_id: expect.any(String),
    });
    expect(Number(refused[0]!.headers.get('retry-after'))).toBeGreaterThan(0);
    // Those headers are of requests and tokens: money has no business there.
    expect(refused[0]!.headers.get('ratelimit-limit')).toBeNull();
    const recorded = await rows(`error_code = 'budget_exceeded'`);
    expect(recorded).toHaveLength(refused.length);
    for (const row of recorded) expect(row).toMatchObject({ status: 'refused', cost: null, attempts: [] });

    const { body } = await gateways[0]!.call('GET', '/v1/budgets', { key: gateways[0]!.keys.admin });
    expect(Number(body.data[0].taken)).toBeGreaterThanOrEqual(served.length * one - 1e-9);
    expect((await set(budget)).body).toEqual({ set: false });
    expect((await call(0)).status).toBe(200);
  });

  it(`${callers} calls at once that cost differently, after the first have failed: neither is a way around the budget`, async () => {
    const greet = (index: number, name = 'Ada', headers = {}) =>
      gateways[index % gateways.length]!.execute('brief', { variables: { name } }, { headers });
    const least = Number((await greet(0, 'A')).body.cost);
    const limit = room * least;
    const budget = { scope: 'prompt', subject: 'brief', measure: 'cost', period: 'month' };
    await set({ ...budget, refuse_at: limit.toFixed(6) });
    for (const { app } of gateways) await app.refreshBudgets();
    // Neither says what it cost: the second may have been billed, and counts as what was expected of it.
    for (const [kind, code] of [
      ['unauthorized', 'provider_misconfigured'],
      ['malformed_json', 'provider_protocol_error'],
    ] as const) {
      provider.setFault({ kind, times: gateways.length });
      for (const index of gateways.keys()) expect((await greet(index)).body.error.code).toBe(code);
    }
    const kept = await greet(0, 'A', { 'idempotency-key': 'kept' });
    expect(kept.status).toBe(200);

    const answers = await Promise.all(
      Array.from({ length: callers }, (_, index) => greet(index, 'A'.repeat(1 + (index % 60)))),
    );
    const served = answers.filter(({ status }) => status === 200).length;
    expect(answers.filter(({ status }) => status === 402)).toHaveLength(callers - served);
    // No call is held for less than the cheapest takes, but the first of a gateway, which may get the rest.
    expect(served).toBeLessThan(room);
    // What lies idle goes back, and what is owed is told.
    for (const { app } of [...gateways, ...gateways]) await app.refreshBudgets();
    const { body } = await gateways[0]!.call('GET', '/v1/budgets', { key: gateways[0]!.keys.admin });
    const spent = answers.reduce((sum, answer) => sum + Number(answer.body.cost ?? 0), least);
    expect(Number(body.data[0].taken)).toBeGreaterThan(spent);

    for (let more = 0; more < callers && (await greet(0, 'A')).status !== 402; more++);
    const again = await greet(0, 'A', { 'idempotency-key': 'kept' });
    expect([again.status, again.body]).toEqual([200, kept.body]);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    await set(budget);
  });

  it('requests and tokens by minute are refused with 429 and a time to come back, of a key alone', async () => {
    const gateway = gateways[0]!;
    const key = gateway.app.gateway.listKeys().find(({ name }) => name.startsWith('execute'))!.name;
    await set({ scope: 'key', subject: key, measure: 'requests', period: 'minute', refuse_at: 3 });
    const statuses: number[] = [];
    for (let calls = 0; calls < 8; calls++) {
      const { status, headers } = await call(0);
      statuses.push(status);
      // So that a caller may slow down before it is refused.
      expect(headers.get('ratelimit-limit')).toBe('3');
      expect(Number(headers.get('ratelimit-remaining'))).toBeLessThan(3);
      expect(Number(headers.get('ratelimit-reset'))).toBeLessThanOrEqual(60);
    }
    // A minute may turn over in between: then three more are free.
    expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(6);
    expect(statuses).toContain(429);
    const refused = await gateway.execute('greet', { variables: { name: 'Ada' } });
    if (refused.status === 429) {
      expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(60);
      expect(refused.headers.get('ratelimit-limit')).toBe('3');
      expect(refused.headers.get('ratelimit-remaining')).toBe('0');
    }
    const other = await gateway.execute('greet', { variables: { name: 'Ada' } }, { key: gateway.keys.admin });
    expect(other.status).toBe(200);
    expect(other.headers.get('ratelimit-limit')).toBeNull();
    await set({ scope: 'key', subject: key, measure: 'requests', period: 'minute' });
  });

  it('are set by an admin alone, for what there is, and kept as facts', async () => {
    const gateway = gateways[0]!;
    const body = {
      scope: 'label',
      subject: 'production',
      measure: 'tokens',
      period: 'minute',
      refuse_at: 100_000,
    };
    expect((await gateway.call('PUT', '/v1/budgets', { body })).status).toBe(403);
    expect((await set({ ...body, period: 'day' })).status).toBe(400);
    expect((await set({ ...body, refuse_at: -1 })).status).toBe(400);
    expect((await set({ ...body, scope: 'key', subject: 'nobody' })).status).toBe(404);
    const typo = await set({ ...body, scope: 'prompt', subject: 'gret' });
    expect([typo.status, typo.body.error.message]).toEqual([
      ...[404, 'There is no prompt "gret". Did you mean "greet"?'],
    ]);
    expect((await set({ ...body, subject: 'prodution' })).body.error.message).toBe(
      'There is no label "prodution". Did you mean "production"?',
    );
    expect((await set({ ...body, scope: 'prompt', subject: 'gone', refuse_at: null })).status).toBe(200);
    await expect(gateway.query('delete from budgets')).rejects.toThrow();
  });
});
