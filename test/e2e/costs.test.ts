// What a person asks about costs, over HTTP and the command line, of a gateway whose trail is known to the last digit.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '../../src/store/store.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { execution } from '../support/records.ts';
import { runAgainst } from '../support/run-against.ts';

const price = (cost: string | null, currency = 'USD', billed: unknown = null) =>
  ({
    cost,
    currency,
    source: 'test',
    unknownReason: cost ? null : 'unknown model',
    unitPrices: null,
    billed,
  }) as never;

describe.each(databases)('costs on $name', ({ create }) => {
  let database: TestDatabase;
  let gateway: TestGateway;
  let receiver: Server;
  const posted: { id: unknown; body: string }[] = [];
  let answer = 204;

  const get = (path: string, key = gateway.keys.admin) => gateway.call('GET', path, { key });

  const command = async (...args: string[]) => (await runAgainst(gateway, '/', args)).out;

  beforeAll(async () => {
    database = await create();
    receiver = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      posted.push({ id: request.headers['webhook-id'], body });
      response.writeHead(answer).end();
    });
    await once(receiver.listen(0, '127.0.0.1'), 'listening');
    // With a key the provider is the real one, whose prices are published; nothing is sent to it here.
    gateway = await startGateway(database, {
      environment: {
        OPENAI_API_KEY: 'never-sent',
        PROMPTGATE_WEBHOOK_URL: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`,
        PROMPTGATE_WEBHOOK_SECRET: 'a secret of 24 characters',
      },
    });
    const keyId = gateway.app.gateway.listKeys().find(({ name }) => name.startsWith('execute'))!.id;
    const store = await openStore({ databaseUrl: database.url });
    const one = (version: number, cost: string | null, promptTokens: number, more = {}) =>
      execution({
        promptName: 'digest',
        promptVersion: version,
        purpose: 'call',
        startedAt: new Date(),
        promptTokens,
        completionTokens: 10,
        price: price(cost),
        ...more,
      });
    await store.audit.settle([
      ...Array.from({ length: 20 }, (_, i) => one(2, `0.000${100 + i}`, 100 + i)),
      ...Array.from({ length: 20 }, (_, i) => one(3, `0.000${280 + 2 * i}`, 200 + i)),
      one(3, '0.5', 10, { price: price('0.5', 'EUR'), label: 'staging', keyId }),
      one(3, null, 1000, {
        price: price(null, 'USD', [
          { model: 'gpt-4o-mini', tier: null, usage: { prompt_tokens: 1000, completion_tokens: 10 } },
          { model: 'gpt-4o-mini', tier: null, usage: { prompt_tokens: 1000, completion_tokens: 10 } },
        ]),
      }),
      one(3, null, 5, {
        price: price(null, 'USD', [
          { model: 'gpt-99', tier: null, usage: { prompt_tokens: 5, completion_tokens: 1 } },
        ]),
      }),
    ]);
    await store.close();
  });
  afterAll(async () => {
    await gateway.close();
    await database.drop();
    receiver.close();
  });

  it('are told by version, each currency apart, with what nobody knows', async () => {
    const { body } = await get('/v1/costs?by=prompt,version');
    // 20 × 0.0001 + 0.00019; 20 × 0.00028 + 0.00038
    expect(body.data).toMatchObject([
      {
        group: { prompt: 'digest', version: 2 },
        executions: 20,
        costs: [{ currency: 'USD', cost: '0.00219' }],
      },
      {
        group: { prompt: 'digest', version: 3 },
        executions: 23,
        unknown_costs: 2,
        costs: [
          { currency: 'EUR', cost: '0.5' },
          { currency: 'USD', cost: '0.00598' },
        ],
      },
    ]);
    expect(body.pending).toBe(0);
  });

  it('are told by any dimension, by hour and by day alike, filtered, and as CSV', async () => {
    const hour = new Date(Date.now() - 3_600_000).toISOString();
    const byHour = await get(`/v1/costs?by=label,key,model,day,purpose,status&since=${hour}&latency=true`);
    const byDay = await get('/v1/costs?by=label,key,model,day,purpose,status&latency=true');
    expect(byHour.body.data).toEqual(byDay.body.data);
    expect(byDay.body.data[1]).toMatchObject({
      group: { label: 'staging', model: 'gpt-4o-mini', purpose: 'call', status: 'succeeded' },
      key_name: expect.stringMatching(/^execute-/),
      latency_ms: { p50: expect.any(Number) },
    });
    const csv = await get('/v1/costs?by=version&label=production&format=csv');
    expect(csv.headers.get('content-type')).toContain('text/csv');
    expect(String(csv.body).split('\r\n').slice(0, 2)).toEqual([
      'version,executions,succeeded,attempts,prompt_tokens,completion_tokens,cached_tokens,cache_write_tokens,reasoning_tokens,unknown_costs,later_costs,currency,cost,later_cost',
      '2,20,20,40,2190,200,0,0,100,0,0,USD,0.00219,0',
    ]);
  });

  it('are at most as many lines as are wanted: a list says that it was cut, and a table is not cut', async () => {
    const cut = await get('/v1/costs?by=version&limit=1');
    expect(cut.body).toMatchObject({ data: [{ group: { version: 2 } }], more: true });
    expect((await get('/v1/costs?by=version&limit=2')).body.more).toBe(false);
    const csv = await get('/v1/costs?by=version&limit=1&format=csv');
    expect(csv.status).toBe(400);
    expect(csv.body.error.message).toContain('more than 1 lines');
    expect(await command('costs', '--limit', '1')).toContain('Only the first 1 lines');
    // A name that nobody knows is none of the sums.
    await gateway.execute('no-such-prompt', { variables: {} }, { key: gateway.keys.admin });
    expect(await command('costs', '--status', 'refused')).toMatch(/^\(none\)\s+—\s+1\s+0/m);
  });

  it('are its own for a key without admin, and refused where the question is wrong', async () => {
    const own = await get('/v1/costs?by=version', gateway.keys.execute);
    expect(own.body.data).toMatchObject([{ executions: 1, costs: [{ currency: 'EUR', cost: '0.5' }] }]);
    expect((await get('/v1/costs?by=colour')).status).toBe(400);
    expect((await get('/v1/costs?since=yesterday')).status).toBe(400);
    for (const path of ['/v1/costs/backfills', '/v1/costs/rebuild']) {
      expect((await gateway.call('POST', path, { body: {} })).status).toBe(403);
    }
  });

  it('compare versions for the same input', async () => {
    const { body } = await get('/v1/costs/comparison?prompt=digest&from=2&to=3');
    const usd = body.data.find(({ currency }: { currency: string }) => currency === 'USD');
    // 0.00598 / 20 against 0.00219 / 20; 0.00598 / 4190 against 0.00219 / 2190
    expect(usd.per_execution.change).toBeCloseTo(1.7306, 3);
    expect(usd.per_1k_prompt_tokens.change).toBeCloseTo(0.4272, 3);
    expect(usd.per_1k_prompt_tokens.lower).toBeGreaterThan(0.4);
    expect(usd.per_1k_prompt_tokens.p_value).toBeLessThan(0.001);
    const told = await command('costs', '--prompt', 'digest', '--compare', '2..3');
    // What is paid comes first.
    expect(told).toMatch(
      /A run of version 3 costs 173\.1 % more \(95 % sure: \+1.*\n.*1,000 prompt tokens.* costs 42\.7 % more \(95 % sure: \+4/,
    );
    expect(await command('costs', '--prompt', 'digest')).toMatch(
      /digest\s+v2\s+20\s+20\s+2190\s+200\s+0.00219\s+USD/,
    );
  });

  it('which version ran for a request is found by its trace, by the provider’s id of it, and by ours', async () => {
    // Refused for want of variables: nothing is sent to the provider.
    const headers = { traceparent: `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`, 'x-request-id': 'shop-77' };
    const answer = await gateway.execute('greet', { variables: {} }, { headers });
    const id = answer.body.error.execution_id;
    for (const ids of [`trace_id=${'ab'.repeat(16)}`, 'request_id=shop-77']) {
      const { body } = await get(`/v1/executions?${ids}`);
      expect(body.data).toMatchObject([{ id, prompt: 'greet', status: 'refused', label: 'production' }]);
    }
    const found = await get('/v1/executions?provider_request_id=req_2&version=2&limit=3');
    expect(found.body.data.map(({ version }: { version: number }) => version)).toEqual([2, 2, 2]);
    expect(await command('executions', '--request-id', 'shop-77')).toContain(id);
    expect(await command('executions', '--trace-id', 'ef'.repeat(16))).toBe('No executions yet.');
    const others = await get(`/v1/executions?provider_request_id=req_2`, gateway.keys.execute);
    expect(others.body.data).toHaveLength(1);
  });

  it('that were not known are worked out beside their rows, on record, once; the rows stay', async () => {
    const since = '1h';
    const rows = () => gateway.query('select id, cost, price::text from ai_executions order by id');
    const before = await rows();
    const backfill = (...more: string[]) =>
      command('costs', 'backfill', '--since', since, '--reason', 'The list knows it now', ...more);
    const unknown = '  1: no price is known for the model gpt-99';
    expect(await backfill('--dry-run')).toBe(
      `1 of 2 calls without a known price would get a cost.\n${unknown}`,
    );
    expect(await backfill()).toBe(`1 of 2 calls without a known price got a cost.\n${unknown}`);
    expect(await backfill()).toBe(`0 of 1 calls without a known price got a cost.\n${unknown}`);
    expect(await rows()).toEqual(before);

    const { body } = await get('/v1/costs?by=version&version=3');
    expect(body.data).toMatchObject([{ unknown_costs: 1, later_costs: 1 }]);
    // 2 × (1000 × 0.15 + 10 × 0.6) per million
    expect(body.data[0].costs[1]).toMatchObject({ cost: '0.006292', later_cost: '0.000312' });
    const [{ execution_id: id }] = await gateway.query('select execution_id from execution_cost_backfills');
    expect((await get(`/v1/executions/${id}`)).body).toMatchObject({
      cost: null,
      backfilled_cost: { cost: '0.000312', currency: 'USD', reason: 'The list knows it now' },
    });
    for (const table of ['execution_cost_backfills', 'cost_backfills']) {
      await expect(gateway.query(`delete from ${table}`)).rejects.toThrow();
    }
  });

  describe('of a day', () => {
    const dayMs = 86_400_000;
    const dayBack = (days: number) => new Date(Date.now() - days * dayMs).toISOString().slice(0, 10);
    const [day, next] = [dayBack(6), dayBack(5)];
    const post = (which: string) =>
      gateway.call('POST', '/v1/costs/summary', { key: gateway.keys.admin, body: { day: which } });

    async function settle(on: string, costs: readonly (string | null)[], more = {}): Promise<void> {
      const store = await openStore({ databaseUrl: database.url });
      const startedAt = new Date(`${on}T12:00:00Z`);
      const row = (cost: string | null) =>
        execution({ promptName: 'daily', promptVersion: 1, startedAt, price: price(cost), ...more });
      await store.audit.settle(costs.map(row));
      await store.close();
    }

    it('are summed up by version against the day before and the week, with budgets', async () => {
      await settle(dayBack(8), ['0.3']);
      await settle(dayBack(7), ['0.1']);
      await settle(day, ['0.1', '0.15', null]);
      await settle(day, ['0.02'], { promptVersion: 2, status: 'failed' });
      const budget = { scope: 'prompt', subject: 'greet', measure: 'cost', period: 'day', refuse_at: '2' };
      await gateway.call('PUT', '/v1/budgets', { key: gateway.keys.admin, body: budget });
      await gateway.query(
        `insert into budget_windows values ('prompt', 'greet', 'cost', 'day', 'USD', '${day}T00:00:00Z', 0.27)`,
      );
      const { body } = await get(`/v1/costs/summary?day=${day}`);
      expect(body.versions).toMatchObject([
        {
          ...{ prompt: 'daily', version: 1, executions: 3, succeeded: 3, unknown_costs: 1 },
          costs: [{ currency: 'USD', cost: '0.25', day_before: '0.1', week_mean: 0.2 }],
        },
        { prompt: 'daily', version: 2, executions: 1, succeeded: 0, costs: [{ cost: '0.02', change: null }] },
      ]);
      expect(body.versions[0].costs[0].change).toBeCloseTo(1.5, 9);
      expect(body.versions[0].costs[0].week_change).toBeCloseTo(0.25, 9);
      expect(body.total).toMatchObject({ executions: 4, costs: [{ cost: '0.27' }] });
      expect(body.budgets).toMatchObject([{ subject: 'greet', taken: '0.27', refuse_at: '2' }]);
      const told = await command('costs', 'summary', '--day', day);
      expect(told).toMatch(/daily v1\s+3\s+3\s+\d+\s+\d+\s+0.25\s+USD\s+\+150.0 %\s+\+25.0 %\s+1/);
      expect(told).toContain('budget  prompt:greet  0.27 of 2 USD that day');
      // The day after, nothing ran: that it stopped is told.
      const stopped = (await get(`/v1/costs/summary?day=${next}`)).body;
      expect(stopped.total).toMatchObject({
        executions: 0,
        costs: [{ cost: '0', day_before: '0.27', change: -1 }],
      });
      expect(await command('costs', 'summary', '--day', next)).toMatch(
        /daily v1\s+0\s+0\s+0\s+0\s+0\s+USD\s+−100.0 %/,
      );
      expect((await get(`/v1/costs/summary?day=${dayBack(0)}`)).status).toBe(400);
      expect((await get('/v1/costs/summary', gateway.keys.execute)).status).toBe(403);
    });

    it('are posted once, whoever asks at the same time, and again while nobody took them', async () => {
      const outcomes = (await Promise.all([post(day), post(day)])).map(({ body }) => body.outcome);
      expect(outcomes.filter((outcome) => outcome === 'taken')).toHaveLength(1);
      expect((await post(day)).body).toMatchObject({ outcome: 'before', event_id: `costs_${day}` });
      expect(posted).toHaveLength(1);
      expect(posted[0]!.id).toBe(`costs_${day}`);
      expect(JSON.parse(posted[0]!.body)).toMatchObject({ type: 'costs.daily', data: { day, late: [] } });

      // A gateway that died after its claim.
      const event = { id: `costs_${next}`, type: 'costs.daily', timestamp: new Date(), data: { day: next } };
      await gateway.query(
        `insert into daily_summaries (day, event, totals, actor, created_at)
         values ('${next}', '${JSON.stringify(event)}', '{"executions":0,"costs":{}}', 'dead', now() - interval '1 minute')`,
      );
      answer = 503;
      const command = await runAgainst(gateway, '/', ['costs', 'summary', '--day', next, '--post']);
      expect(command).toMatchObject({ code: 1 });
      expect(command.out).toContain('was not taken: it answered 503');
      answer = 204;
      expect((await post(next)).body.outcome).toBe('taken');
      expect(posted.slice(1).map(({ id }) => id)).toEqual([event.id, event.id]);
      expect(posted[1]!.body).toBe(posted[2]!.body);
      expect(JSON.parse(posted[2]!.body).data).toEqual({ day: next });
    });

    it('say what came late to a day that was posted', async () => {
      await settle(day, ['0.005', '0.005']);
      const last = dayBack(4);
      expect((await post(last)).body.outcome).toBe('taken');
      expect(JSON.parse(posted.at(-1)!.body).data.late).toEqual([
        { day, executions: 2, costs: { USD: '0.01' } },
      ]);
      // Also to who asks for a day on which nothing ran.
      const told = await command('costs', 'summary', '--day', last);
      expect(told).toContain(`Nothing ran on ${last} (UTC), nor on the day before.`);
      expect(told).toContain(`late  ${day} has more than was posted: 2 executions, 0.01 USD`);
      await expect(gateway.query('delete from daily_summaries')).rejects.toThrow();
      await expect(gateway.query('delete from daily_summary_deliveries')).rejects.toThrow();
    });

    it('are posted by the clock: yesterday, and of the week before what a dead gateway left and what none ever claimed', async () => {
      const left = dayBack(3);
      const event = { id: `costs_${left}`, type: 'costs.daily', timestamp: new Date(), data: { day: left } };
      await gateway.query(
        `insert into daily_summaries (day, event, totals, actor, created_at)
         values ('${left}', '${JSON.stringify(event)}', '{"executions":0,"costs":{}}', 'dead', now() - interval '1 minute')`,
      );
      const before = posted.length;
      const run = () =>
        gateway.app.gateway.postDueSummaries({ name: 'schedule:costs', keyId: null, scopes: ['admin'] });
      answer = 503;
      await expect(run()).rejects.toMatchObject({
        message: expect.stringContaining(`${left}: it answered 503`),
      });
      answer = 204;
      // Its own claim is seconds old: whoever made it may still be posting, so it has to be tried again.
      await expect(run()).rejects.toMatchObject({ message: expect.stringContaining('claimed seconds ago') });
      const ids = posted.slice(before).map(({ id }) => id);
      expect(ids.filter((id) => id === event.id)).toHaveLength(2);
      expect(ids).toContain(`costs_${dayBack(1)}`);
      // No gateway ran when it was due. Before the first day that was ever claimed, nobody had asked for any.
      expect(ids).toContain(`costs_${dayBack(2)}`);
      expect(ids).not.toContain(`costs_${dayBack(7)}`);
      expect(ids).not.toContain(`costs_${day}`);
    });
  });
});
