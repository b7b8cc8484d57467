// Rollups are the rows, summed: whatever order commits come in, however often they are rebuilt, whatever is dropped.
import fc from 'fast-check';
import postgres from 'postgres';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRollupKeeper } from '../../src/application/rollup-keeper.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { findWrongSums, insertExecutions, insertLaterCosts, truth } from '../support/cost-truth.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { execution } from '../support/records.ts';

const hourMs = 3_600_000;
const isLong = process.env.PROMPTGATE_FAULT === 'long';

describe.each(databases)('rollups on $name', ({ create, name }) => {
  let database: TestDatabase;
  let store: Store;
  let sql: postgres.Sql;

  beforeEach(async () => {
    database = await create();
    store = await openStore({ databaseUrl: database.url });
    await store.audit.ensurePartitions();
    sql = postgres(database.url, { max: 6, onnotice: () => {}, fetch_types: false });
  });
  afterEach(async () => {
    await sql.end();
    await store.close();
    await database.drop();
  });

  const catchUp = () =>
    createRollupKeeper(store.costs, {
      onError(error) {
        throw error;
      },
    }).catchUp();

  /** Whole days from sums of days, of versions where they do; the hours around them from sums of hours. */
  async function expectSumsAround(now: number): Promise<void> {
    await insertExecutions(sql, { count: 80, untilMs: now, spanMs: 70 * hourMs, salt: 50 });
    await catchUp();
    const hour = Math.floor(now / hourMs) * hourMs;
    for (const [from, to] of [
      [69, 5],
      [30, 29],
      [90, -1],
    ] as const) {
      const [since, until] = [new Date(hour - from * hourMs), new Date(hour - to * hourMs)];
      for (const more of [[], ['label'] as const]) {
        const lines = await store.costs.sum({
          since,
          until,
          by: ['prompt', 'version', ...more],
          latency: false,
        });
        const plain = await sql.unsafe(
          `select prompt_name, version, ${more[0] ?? 'null'} as label, count(*)::integer as executions,
             coalesce(sum(prompt), 0)::integer as prompt, sum(cost)::text as cost
           from (${truth}) t where hour at time zone 'UTC' >= '${since.toISOString()}' and hour at time zone 'UTC' < '${until.toISOString()}'
           group by 1, 2, 3 order by 1, 2, 3`,
        );
        const sums = lines.map(({ group, executions, promptTokens, costs }) => [
          ...[group.prompt, group.version, group.label, executions, promptTokens],
          costs.reduce((sum, { cost }) => sum + Number(cost), 0).toPrecision(12),
        ]);
        expect(sums).toEqual(
          plain.map((row) => [
            ...[row.prompt_name, row.version, row.label, row.executions, row.prompt],
            Number(row.cost ?? 0).toPrecision(12),
          ]),
        );
      }
    }
  }

  it('are exact over executions of every kind, late ones, failures and unknown ones, while more arrive and two sum up', async () => {
    const now = Date.now();
    // Each group of rows differs from the next: what more of them say, `bench:costs` says of a million.
    const count = isLong ? 2_000 : name === 'PostgreSQL' ? 150 : 60;
    const batch = (salt: number) => insertExecutions(sql, { count, untilMs: now, spanMs: 6 * hourMs, salt });
    await batch(0);
    for (const salt of [1, 4]) {
      await Promise.all([batch(salt), catchUp(), batch(salt + 1), catchUp(), batch(salt + 2)]);
      await insertLaterCosts(sql);
    }
    await catchUp();
    expect(await store.costs.pending()).toBe(0);
    expect(await findWrongSums(sql)).toEqual([]);
    const [{ n }] = await sql<[{ n: number }]>`select sum(executions)::integer as n from execution_rollups`;
    expect(n).toBe(7 * count);
    await expectSumsAround(now);
    // Again, by hour: nothing is added twice and nothing is lost.
    expect(await store.costs.rebuild(new Date(now - 5 * hourMs), new Date(now - 2 * hourMs))).toBeGreaterThan(
      3 * count,
    );
    expect(await findWrongSums(sql)).toEqual([]);
  });

  it('take in what recovery and spools write long after, and a repeated commit once', async () => {
    const old = execution({ startedAt: new Date(Date.now() - 30 * hourMs) });
    await store.audit.settle([execution()]);
    await catchUp();
    await store.audit.settle([old]);
    await store.audit.settle([old]);
    const lost = execution({ status: 'unknown', promptTokens: null, price: { ...old.price, cost: null } });
    await store.audit.settle([lost]);
    await store.audit.settle([{ ...lost, status: 'succeeded', promptTokens: 9, price: old.price }]);
    await catchUp();
    expect(await findWrongSums(sql)).toEqual([]);
    const [line] = await store.costs.sum({
      since: new Date(0),
      until: new Date('2100-01-01'),
      by: [],
      latency: true,
    });
    expect(line).toMatchObject({ executions: 3, laterCosts: 1, unknownCosts: 0 });
    expect(line?.costs[0]).toMatchObject({
      currency: 'USD',
      cost: '0.000370370367',
      laterCost: '0.000123456789',
    });
    expect(line?.p50Ms).toBeGreaterThan(794);
    expect(line?.p99Ms).toBeLessThan(1000);
  });

  it('of a dropped month stay, also those of rows that nobody had summed; its hours are not summed again', async () => {
    await sql
      .unsafe(
        `create table ai_executions_2026_01 partition of ai_executions
         for values from (execution_id_at('2026-01-01Z')) to (execution_id_at('2026-02-01Z'))`,
      )
      .catch(async () => {
        // A bound has to be a constant.
        const [{ a, b }] = await sql<[{ a: string; b: string }]>`
        select execution_id_at('2026-01-01Z')::text as a, execution_id_at('2026-02-01Z')::text as b`;
        await sql.unsafe(
          `create table ai_executions_2026_01 partition of ai_executions for values from ('${a}') to ('${b}')`,
        );
      });
    const january = { untilMs: Date.parse('2026-01-20Z'), spanMs: 100 * hourMs };
    await insertExecutions(sql, { ...january, count: 60, salt: 1 });
    await catchUp();
    await insertExecutions(sql, { ...january, count: 40, salt: 2 });
    await store.keeping.retain(1, 'test');
    const sums = () => sql<[{ n: number }]>`
      select sum(executions)::integer as n from execution_rollups where hour < '2026-02-01'`;
    expect(await sql`select from ai_executions`).toHaveLength(0);
    expect(await sums()).toMatchObject([{ n: 100 }]);
    await expect(store.costs.rebuild(new Date('2026-01-10'), new Date('2026-01-11'))).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(await sums()).toMatchObject([{ n: 100 }]);
  });

  it('hold what is known, not what was sent: made-up names and models are one row, and refusals have no latency', async () => {
    const startedAt = new Date(Math.floor(Date.now() / hourMs) * hourMs);
    const known = { startedAt, purpose: 'call' as const, latencyMs: 500, label: 'production' };
    const unanswered = { promptTokens: null, completionTokens: null, usageSource: 'none' as const };
    const refused = { status: 'refused' as const, ...unanswered, attempts: [], latencyMs: 0.1, model: null };
    const none = { promptVersionId: null, price: { ...execution().price, cost: null } };
    const names = Array.from({ length: 300 }, (_, i) => `made-up-${i}`);
    await store.audit.settle([
      execution(known),
      // A version that was found, and a draft that was run: their names are no inventions.
      execution({ ...known, ...none, ...refused, promptVersionId: 7 }),
      execution({ ...known, ...none, promptName: 'draft', promptVersion: null, label: null }),
      ...names.map((name, i) =>
        execution({ ...known, ...none, ...refused, promptName: name, promptVersion: i + 1, label: name }),
      ),
    ]);
    const raw = {
      ...known,
      ...none,
      purpose: 'raw' as const,
      promptName: '',
      promptVersion: null,
      label: null,
    };
    await store.audit.settle([
      ...names.map((model) => execution({ ...raw, ...unanswered, status: 'failed', model })),
      execution({ ...raw, model: 'answers' }),
    ]);
    await catchUp();
    expect(await findWrongSums(sql)).toEqual([]);
    for (const table of ['execution_rollups', 'execution_rollups_daily']) {
      const rows = await sql.unsafe(
        `select prompt_name, prompt_version, label, model, purpose, status, executions::integer as n from ${table} order by n, 1, 4, 6`,
      );
      const other = { prompt_version: 0, label: '' };
      const found = {
        prompt_name: 'summarize',
        prompt_version: 1,
        label: 'production',
        purpose: 'call',
        n: 1,
      };
      expect([...rows]).toEqual([
        { ...other, prompt_name: '', model: 'answers', purpose: 'raw', status: 'succeeded', n: 1 },
        { ...other, prompt_name: 'draft', model: 'gpt-4o-mini', purpose: 'call', status: 'succeeded', n: 1 },
        { ...found, model: '', status: 'refused' },
        { ...found, model: 'gpt-4o-mini', status: 'succeeded' },
        { ...other, prompt_name: '', model: '', purpose: 'raw', status: 'failed', n: 300 },
        { ...other, prompt_name: '', model: '', purpose: 'call', status: 'refused', n: 300 },
      ]);
    }
    const question = { since: startedAt, until: new Date(startedAt.getTime() + hourMs), latency: true };
    const lines = await store.costs.sum({ ...question, by: ['purpose', 'status'], purpose: 'call' });
    expect(lines).toMatchObject([
      { group: { status: 'refused' }, executions: 301, p50Ms: null, meanLatencyMs: null },
      { group: { status: 'succeeded' }, executions: 2, meanLatencyMs: 500 },
    ]);
    const [all] = await store.costs.sum({ ...question, by: [], purpose: 'call' });
    expect(all).toMatchObject({ executions: 303, meanLatencyMs: 500 });
    expect(all?.p50Ms).toBeGreaterThan(390);
    expect(await store.costs.sum({ ...question, by: ['model'], limit: 2 })).toHaveLength(2);
  });

  it('take a cost that is worked out for an unknown call, whose outcome came late and without a price; once', async () => {
    const lost = execution({
      status: 'unknown',
      promptTokens: null,
      price: { ...execution().price, cost: null },
    });
    const billed = [{ model: 'm', tier: null, usage: { prompt_tokens: 9 } }];
    const late = { ...lost, status: 'succeeded' as const, promptTokens: 9, price: { ...lost.price, billed } };
    const period = { since: new Date(0), until: new Date('2100-01-01') };
    const unpriced = () => store.costs.listUnpriced(period, '00000000-0000-0000-0000-000000000000', 9);
    const run = await store.costs.beginBackfill(period, 'ada', 'The list knows it now');
    const costs = [{ id: lost.id, price: { ...lost.price, cost: '0.25' } }];
    await store.audit.settle([lost]);
    // Nothing is known of it yet.
    expect(await unpriced()).toEqual([]);
    await expect(store.costs.recordBackfilled(run, costs)).rejects.toThrow();
    await store.audit.settle([late]);
    expect(await unpriced()).toMatchObject([{ id: lost.id, billed }]);
    expect(await store.costs.recordBackfilled(run, costs)).toBe(1);
    expect(await store.costs.recordBackfilled(run, costs)).toBe(0);
    expect(await unpriced()).toEqual([]);
    await catchUp();
    expect(await findWrongSums(sql)).toEqual([]);
    const [line] = await store.costs.sum({ ...period, by: [], latency: false });
    expect(line).toMatchObject({ executions: 1, promptTokens: 9, unknownCosts: 0, laterCosts: 1 });
    expect(line?.costs).toMatchObject([{ cost: '0.25', priced: 1, promptTokens: 9 }]);
  });

  // PGlite has one session: there is nothing to interleave.
  it.runIf(name === 'PostgreSQL')(
    'are exact whatever order transactions begin, commit, fail and sum up in',
    async () => {
      const step = fc.oneof(
        fc.record({
          do: fc.constant('insert' as const),
          in: fc.nat(3),
          count: fc.integer({ min: 1, max: 5 }),
        }),
        fc.record({ do: fc.constantFrom('commit' as const, 'rollback' as const), in: fc.nat(3) }),
        fc.record({ do: fc.constantFrom('sum' as const, 'later' as const, 'rebuild' as const) }),
      );
      const sessions = Array.from({ length: 4 }, () =>
        postgres(database.url, { max: 1, onnotice: () => {} }),
      );
      let salt = 100;
      const until = Date.now();
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
          const open = new Set<number>();
          for (const one of steps) {
            if (one.do === 'insert') {
              const session = sessions[one.in]!;
              if (!open.has(one.in)) await session`begin`;
              open.add(one.in);
              await insertExecutions(session, {
                count: one.count,
                untilMs: until,
                spanMs: 3 * hourMs,
                salt: salt++,
              });
            } else if (one.do === 'commit' || one.do === 'rollback') {
              await sessions[one.in]!.unsafe(one.do);
              open.delete(one.in);
            } else if (one.do === 'sum') {
              await store.costs.rollUp(3);
            } else if (one.do === 'later') {
              await insertLaterCosts(sql);
            } else {
              await store.costs.rebuild(new Date(until - 2 * hourMs), new Date(until - hourMs));
            }
          }
          await Promise.all(sessions.map((session) => session`commit`));
          await catchUp();
          expect(await findWrongSums(sql)).toEqual([]);
        }),
        { numRuns: isLong ? 50 : 4 },
      );
      for (const session of sessions) await session.end();
    },
  );
});
