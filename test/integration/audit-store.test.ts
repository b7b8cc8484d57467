import fc from 'fast-check';
import postgres from 'postgres';
import { v7 } from 'uuid';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type Execution,
  executionStatuses,
  finishReasons,
  type StoredExecution,
} from '../../src/domain/execution.ts';
import { createAuditStore } from '../../src/store/audit-store.ts';
import { createPool } from '../../src/store/connection.ts';
import { loadQueries } from '../../src/store/query-catalog.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { execution, intent } from '../support/records.ts';

/** Text that a database can hold: any, but NUL and lone surrogates. */
const text = fc.string({ unit: 'binary', maxLength: 40 }).map((value) => value.replaceAll('\0', ''));
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });
const tokens = maybe(fc.nat({ max: Number.MAX_SAFE_INTEGER }));
const object = fc
  .dictionary(
    text,
    fc.oneof(text, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.constant(null)),
  )
  // JSON has no -0, and an own key "__proto__" is no plain data.
  .map((value) => JSON.parse(JSON.stringify(value)));
const milliseconds = fc.double({ min: 0, max: 1e9, noNaN: true }).map((value) => value + 0);

const anyExecution: fc.Arbitrary<Execution> = fc
  .record({
    inputPayload: fc.record({ variables: object }),
    parameters: object,
    metadata: object,
    status: fc.constantFrom(...executionStatuses),
    finishReason: maybe(fc.constantFrom(...finishReasons)),
    rawOutput: maybe(text),
    errorMessage: maybe(text),
    label: maybe(text),
    promptTokens: tokens,
    completionTokens: tokens,
    cachedTokens: tokens,
    cacheWriteTokens: tokens,
    reasoningTokens: tokens,
    latencyMs: milliseconds,
    overheadMs: milliseconds,
    simulated: fc.boolean(),
    outputNormalised: fc.boolean(),
  })
  .map((changes) => execution(changes));

describe.each(databases)('the audit trail on $name', ({ name, create }) => {
  let database: TestDatabase;
  let store: Store;
  let sql: postgres.Sql;

  beforeAll(async () => {
    database = await create();
    store = await openStore({ databaseUrl: database.url });
    sql = postgres(database.url, { max: 1 });
  });

  afterAll(async () => {
    await sql.end();
    await store.close();
    await database.drop();
  });

  const inFlight = async () => (await sql`select id, attempt from ai_execution_intents`).length;

  it('gives back every column of an execution', async () => {
    const written = execution();
    await store.audit.settle([written]);
    const found = await store.audit.findExecution(written.id);
    expect(found).toEqual({ ...written, createdAt: expect.any(Date) });
    // A template may print an object, so a replay needs the caller's order of keys.
    expect(JSON.stringify(found?.inputPayload)).toBe(JSON.stringify(written.inputPayload));
  });

  it('gives back the nulls of an execution that was refused', async () => {
    const written = execution({
      ...{ promptVersionId: null, promptVersion: null, label: null, renderedHash: null, variablesHash: null },
      ...{ provider: null, model: null, keyId: null, traceId: null, idempotencyKey: null, replayOf: null },
      ...{ status: 'refused', errorCode: 'not_found', errorMessage: 'no such prompt', rawOutput: null },
      ...{ finishReason: null, responseModel: null, systemFingerprint: null, serviceTier: null },
      ...{ providerRequestId: null, usageSource: 'none', promptTokens: null, completionTokens: null },
      ...{ cachedTokens: null, reasoningTokens: null, responseHash: null, attempts: [], metadata: {} },
      price: {
        cost: null,
        currency: 'USD',
        source: null,
        unknownReason: 'no call',
        unitPrices: null,
        billed: null,
      },
    });
    await store.audit.settle([written]);
    expect(await store.audit.findExecution(written.id)).toEqual({ ...written, createdAt: expect.any(Date) });
  });

  it('gives back whatever can be written', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyExecution, { minLength: 1, maxLength: 5 }), async (group) => {
        await store.audit.settle(group);
        for (const written of group) {
          expect(await store.audit.findExecution(written.id)).toEqual({
            ...written,
            createdAt: expect.any(Date),
          });
        }
      }),
      { numRuns: 30 },
    );
  });

  it('clears every intent of the executions it settles, and no other', async () => {
    const { attempt: _attempt, earlierAttempts: _earlier, ...first } = intent();
    const other = intent();
    await store.audit.writeIntents([
      intent({ ...first, attempt: 1 }),
      intent({ ...first, attempt: 2 }),
      other,
    ]);
    expect(await inFlight()).toBe(3);
    await store.audit.settle([execution(first)]);
    expect(await sql`select id from ai_execution_intents`).toMatchObject([{ id: other.id }]);
    await store.audit.settle([execution({ id: other.id })]);
    expect(await inFlight()).toBe(0);
  });

  /** As a plan is that is kept: it knows nothing of what is asked. @param types of the arguments */
  async function planOf(
    connection: postgres.Sql,
    query: string,
    types: string,
    args: string,
  ): Promise<string[]> {
    return connection.begin(async (tx) => {
      await tx`set local plan_cache_mode = force_generic_plan`;
      await tx.unsafe(`prepare asking (${types}) as ${loadQueries().get(query)}`);
      const plan = await tx.unsafe(`explain execute asking (${args})`);
      await tx`deallocate asking`;
      return plan.map((step) => String(step['QUERY PLAN']));
    });
  }

  async function planOfSettling(connection: postgres.Sql): Promise<string> {
    const plan = await planOf(connection, 'settleExecutions', 'text', `'[]'`);
    return plan.filter((step) => step.includes('ai_execution_intents')).join('\n');
  }

  /** A plan is another one where many are open. */
  async function amongManyOpen<T>(plan: () => Promise<T>): Promise<T> {
    const open = Array.from({ length: 2_000 }, () => intent());
    await store.audit.writeIntents(open);
    await sql`analyze ai_execution_intents`;
    const planned = await plan();
    await store.audit.settle(open.map(({ id }) => execution({ id })));
    return planned;
  }

  it('looks for what dead gateways left without reading all that has settled', async () => {
    const types = 'uuid, text, boolean, integer';
    const plan = await amongManyOpen(() =>
      planOf(sql, 'lockExpiredIntents', types, `'${v7()}', '[]', false, 100`),
    );
    const isOfSettled = (step: string) => step.includes(' on ai_executions_');
    expect(plan.filter(isOfSettled).length).toBeGreaterThan(0);
    const isProbe = (step: string, index: number) =>
      /Index (Only )?Scan using \w+_pkey/.test(step) && plan[index + 1]?.includes('Index Cond: (id = i.id)');
    const readsAll = (step: string, index: number) => isOfSettled(step) && !isProbe(step, index);
    expect(plan.filter(readsAll)).toEqual([]);
  });

  it('finds the intents of what it settles by their index, not among all that are dead or open', async () => {
    const plan = await amongManyOpen(() => planOfSettling(sql));
    expect(plan).toContain('Index');
    expect(plan).not.toContain('Seq Scan');
  });

  // PGlite takes no settings of a connection.
  it.runIf(name === 'PostgreSQL')(
    'does so by the plan of an empty table, too, which is kept while it fills',
    async () => {
      await sql`truncate ai_execution_intents`;
      const pool = createPool(database.url, { max: 1, planOnce: true });
      const plan = await planOfSettling(pool.sql);
      await pool.end();
      expect(plan).toContain('Index');
      expect(plan).not.toContain('Seq Scan');
    },
  );

  it.runIf(name === 'PostgreSQL')('plans it once for a connection, however the table changes', async () => {
    const pool = createPool(database.url, { max: 1, planOnce: true });
    const { settle } = createAuditStore(pool, loadQueries());
    const settleSome = async () => {
      for (let group = 0; group < 10; group++) await settle([execution()]);
    };
    await settleSome();
    const open = Array.from({ length: 2_000 }, () => intent());
    await store.audit.writeIntents(open);
    // The plan is thrown away, and the next one costs more than those before it did on average.
    await sql`analyze ai_execution_intents`;
    await settleSome();
    const plans = await pool.sql`select custom_plans::int as for_its_arguments, generic_plans::int as kept
      from pg_prepared_statements where statement like 'with settled as %'`;
    expect(plans).toEqual([{ for_its_arguments: 0, kept: 20 }]);
    await pool.end();
    await store.audit.settle(open.map(({ id }) => execution({ id })));
  });

  it('counts the calls of a run that are in flight, each once, of one key or of all', async () => {
    const runId = v7();
    const [mine, other] = [intent({ runId, attempt: 1 }), intent({ runId, attempt: 1, keyId: 'key_2' })];
    await store.audit.writeIntents([mine, { ...mine, attempt: 2 }, other, intent()]);
    const count = (keyId: string | null) => store.audit.countCallsInFlight(runId, keyId);
    expect([await count(null), await count('key_2'), await count('')]).toEqual([2, 1, 0]);
    await store.audit.settle([execution({ id: mine.id }), execution({ id: other.id })]);
    expect(await count(null)).toBe(0);
    await sql`delete from ai_execution_intents`;
  });

  it('can be told the same twice: a COMMIT in doubt is repeated without harm', async () => {
    const admitted = intent();
    await store.audit.writeIntents([admitted]);
    await store.audit.writeIntents([admitted]);
    expect(await inFlight()).toBe(1);
    const outcome = execution({ id: admitted.id, rawOutput: 'first' });
    await store.audit.settle([outcome, execution()]);
    await store.audit.settle([{ ...outcome, rawOutput: 'second' }]);
    expect((await store.audit.findExecution(admitted.id))?.rawOutput).toBe('first');
  });

  it('keeps exactly one outcome when two settle the same execution at once', async () => {
    const id = v7();
    await Promise.all(['a', 'b', 'c'].map((rawOutput) => store.audit.settle([execution({ id, rawOutput })])));
    expect(await sql`select id from ai_executions where id = ${id}`).toHaveLength(1);
  });

  it('stores an execution of a month without a partition, and of this month in its own', async () => {
    const ancient = v7({ msecs: Date.UTC(2001, 0, 1) });
    const now = v7();
    await store.audit.settle([execution({ id: ancient }), execution({ id: now })]);
    expect((await store.audit.findExecution(ancient))?.id).toBe(ancient);
    const places =
      await sql`select tableoid::regclass::text as name from ai_executions where id in (${ancient}, ${now})
      order by id`;
    expect(places[0]?.name).toBe('ai_executions_default');
    expect(places[1]?.name).toMatch(/^ai_executions_\d{4}_\d{2}$/);
  });

  it('finds nothing for what is no id', async () => {
    expect(await store.audit.findExecution("' or 1=1")).toBeUndefined();
    expect(await store.audit.findExecution(v7())).toBeUndefined();
    expect(await store.audit.listExecutions({}, { limit: 5, before: 'nonsense' })).toEqual([]);
  });

  describe('lists', () => {
    const start = Date.UTC(2026, 0, 31, 23, 59, 0);
    let rows: Execution[];

    beforeAll(async () => {
      // A minute apart, so that they lie on both sides of a month.
      rows = Array.from({ length: 12 }, (_, index) => {
        const at = start + index * 60_000;
        return execution({
          id: v7({ msecs: at }),
          startedAt: new Date(at),
          promptName: `list-${index % 2}`,
          promptVersion: index % 3,
          label: index % 4 === 0 ? 'staging' : 'production',
          keyId: `list-key-${index % 2}`,
          status: index % 6 === 0 ? 'failed' : 'cancelled',
          purpose: index % 3 === 0 ? 'evaluation' : 'call',
          runId: listRuns[index % 3] ?? null,
        });
      });
      await store.audit.settle(rows);
    });

    const listRuns = [v7(), v7()];
    let expected: (filter: (row: Execution) => boolean) => string[];
    beforeEach(() => {
      expected = (filter) =>
        rows
          .filter(filter)
          .map((row) => row.id)
          .reverse();
    });
    const ids = (found: StoredExecution[]) => found.map((row) => row.id);
    const window = { since: new Date(start), until: new Date(start + 12 * 60_000) };

    it.each<[string, object, (row: Execution) => boolean]>([
      ['time', {}, () => true],
      ['prompt', { promptName: 'list-1' }, (row) => row.promptName === 'list-1'],
      [
        'prompt, version and label',
        { promptName: 'list-0', promptVersion: 0, label: 'staging' },
        (row) => row.promptName === 'list-0' && row.promptVersion === 0 && row.label === 'staging',
      ],
      ['key', { keyId: 'list-key-0' }, (row) => row.keyId === 'list-key-0'],
      ['status', { status: 'failed' }, (row) => row.status === 'failed'],
      [
        'prompt, key and status',
        { promptName: 'list-0', keyId: 'list-key-0', status: 'cancelled' },
        (row) => row.promptName === 'list-0' && row.status === 'cancelled',
      ],
      ['label', { label: 'staging' }, (row) => row.label === 'staging'],
      ['purpose', { purpose: 'evaluation' }, (row) => row.purpose === 'evaluation'],
      ['run', { runId: listRuns[1] }, (row) => row.runId === listRuns[1]],
    ])('by %s, newest first', async (_name, filter, keep) => {
      const found = await store.audit.listExecutions({ ...filter, ...window }, { limit: 100 });
      expect(ids(found)).toEqual(expected(keep));
    });

    it('a window that begins with the moment given and ends before it', async () => {
      const since = rows[3]?.startedAt ?? new Date(0);
      const until = rows[6]?.startedAt ?? new Date(0);
      const found = await store.audit.listExecutions({ since, until }, { limit: 100 });
      expect(ids(found)).toEqual(expected((row) => row.startedAt >= since && row.startedAt < until));
    });

    it('counts the traffic of applications by key, purpose and currency, with exact costs', async () => {
      const at = new Date('2026-11-11T10:00:00Z');
      const id = () => v7({ msecs: at.getTime() });
      const priced = (cost: string | null, currency = 'USD') => ({ ...execution().price, cost, currency });
      const call = { keyId: 'key_c', actor: 'key:c', startedAt: at, purpose: 'call' as const };
      const rows: Partial<Execution>[] = [
        { ...call, price: priced('0.1') },
        { ...call, price: priced('0.2'), status: 'failed' },
        { ...call, price: priced(null) },
        { ...call, price: priced('9'), simulated: true },
        { ...call, price: priced('0.000000000001', 'EUR') },
        { ...call, purpose: 'raw', price: priced('0.5') },
        { ...call, purpose: 'raw', price: priced(null), status: 'refused' },
        { ...call, purpose: 'evaluation', price: priced('7') },
        { ...call, keyId: 'key_d', actor: 'key:d', price: priced('1') },
        { ...call, startedAt: new Date(at.getTime() + 60_000), price: priced('3') },
      ];
      await store.audit.settle(rows.map((row) => execution({ ...row, id: id() })));
      const window = { since: at, until: new Date(at.getTime() + 1_000) };
      const none = { calls: 0, unknownCosts: 0, cost: '0', refused: 0, simulated: 0 };
      const own = { ...none, keyId: 'key_c', actor: 'key:c', purpose: 'call', currency: 'USD' };
      const counted = [
        { ...own, calls: 3, unknownCosts: 1, cost: '0.3', simulated: 1 },
        { ...own, currency: 'EUR', calls: 1, cost: '0.000000000001' },
        { ...own, purpose: 'raw', calls: 1, cost: '0.5', refused: 1 },
      ];
      const ofOne = await store.audit.countTraffic({ ...window, keyId: 'key_c' });
      expect(ofOne).toHaveLength(counted.length);
      expect(ofOne).toEqual(expect.arrayContaining(counted));
      expect(await store.audit.countTraffic({ ...window, keyId: null })).toHaveLength(counted.length + 1);
    });

    it('page by page without gap or repetition', async () => {
      const pages: string[] = [];
      for (let before: string | undefined; ; before = pages.at(-1)) {
        const page = { limit: 5, ...(before ? { before } : {}) };
        const found = await store.audit.listExecutions(window, page);
        pages.push(...ids(found));
        if (found.length < 5) break;
      }
      expect(pages).toEqual(expected(() => true));
    });
  });
});
