/**
 * Whether rollups stay exact and their questions fast while the trail grows. Executions of 90 days are inserted in the order
 * of their time, with late outcomes, failures, unknown ones and back-fills, and are summed as a gateway sums them; up to
 * `--verify` rows, 500 more a second arrive meanwhile, and then every sum is compared with plain SQL over the rows. At each
 * size, cost by version over 90 days is asked for.
 *
 * `--rows 1000000,3000000,10000000` are the sizes to measure at; `--verify` how many rows are compared at most.
 */
import { parseArgs } from 'node:util';
import postgres from 'postgres';
import { readCosts } from '../src/application/read-costs.ts';
import { createRollupKeeper } from '../src/application/rollup-keeper.ts';
import type { Actor } from '../src/domain/api-key.ts';
import { openStore, type Store } from '../src/store/store.ts';
import { findWrongSums, insertExecutions, insertLaterCosts } from '../test/support/cost-truth.ts';
import { startPostgres } from '../test/support/postgres-process.ts';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    verify: { type: 'string', default: '1000000' },
  },
});
const sizes = values.rows.split(',').map(Number);
const verifyMax = Number(values.verify);
const dayMs = 86_400_000;
const spanMs = 89 * dayMs;
const today = Math.floor(Date.now() / dayMs) * dayMs;
const batch = 50_000;
const arrivalsPerSecond = 500;
const asks = 200;

/** Inserts at a steady rate until it is stopped. @returns how many came */
function startArrivals(sql: postgres.Sql): { stop(): Promise<number> } {
  let stopped = false;
  let count = 0;
  const run = async () => {
    for (const from = performance.now(); !stopped; ) {
      const due = Math.floor(((performance.now() - from) / 1_000) * arrivalsPerSecond) - count;
      if (due > 0) {
        const salt = 1_000_000_000 + Math.floor(Date.now() % 1e9) + count;
        await insertExecutions(sql, { count: due, untilMs: Date.now(), spanMs: 1_000, salt });
        count += due;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return count;
  };
  const running = run();
  return {
    async stop() {
      stopped = true;
      return running;
    },
  };
}

/** The sums are made while the next rows are inserted. */
async function grow(sql: postgres.Sql, store: Store, from: number, to: number): Promise<string> {
  const keeper = createRollupKeeper(store.costs, behind);
  const arrivals = to <= verifyMax ? startArrivals(sql) : undefined;
  const batches = Math.ceil((to - from) / batch);
  let summingMs = 0;
  let summing = Promise.resolve();
  const sum = async () => {
    summingMs += await timed(() => keeper.catchUp());
  };
  for (let index = 0; index < batches; index++) {
    const count = Math.min(batch, to - from - index * batch);
    const untilMs = today - spanMs + ((index + 1) * spanMs) / batches;
    const half = { count: Math.ceil(count / 2), spanMs: spanMs / batches / 2 };
    await Promise.all([
      insertExecutions(sql, { ...half, untilMs: untilMs - half.spanMs, salt: from + index * batch }),
      insertExecutions(sql, { ...half, untilMs, salt: from + index * batch + 1 }),
    ]);
    if (index % 5 === 4) await insertLaterCosts(sql, untilMs - (6 * spanMs) / batches);
    await summing;
    summing = sum();
  }
  await summing;
  const arrived = (await arrivals?.stop()) ?? 0;
  await keeper.catchUp();
  const perSecond = Math.round((to - from + arrived) / (summingMs / 1_000));
  return `summed ${perSecond} a second${arrivals ? `, while ${arrived} arrived at ${arrivalsPerSecond} a second` : ''}`;
}

/** As a gateway that has more to add than a turn takes: without rests. */
const behind = { intervalMs: 0, onError: raise };

function raise(error: unknown): never {
  throw error;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const at = performance.now();
  await work();
  return performance.now() - at;
}

const since = new Date(today - 89 * dayMs);
const question = {
  since,
  until: new Date(today + dayMs),
  by: ['prompt', 'version'] as const,
  latency: false,
};

async function askCosts(store: Store): Promise<string> {
  const { length: lines } = await store.costs.sum(question);
  const from = 'cost by version over 90 days';
  return `${from} (${lines} lines): ${await describeTimes(() => store.costs.sum(question))}`;
}

/** The verb, which first adds what has settled just now. */
async function askWhileTheyArrive(sql: postgres.Sql, store: Store): Promise<string> {
  const actor: Actor = { name: 'system', keyId: null, scopes: ['admin'] };
  const keeper = createRollupKeeper(store.costs, { onError: raise });
  keeper.start();
  const arrivals = startArrivals(sql);
  const pause = () => new Promise((resolve) => setTimeout(resolve, 25));
  const times = await describeTimes(() => readCosts(store.costs, actor, question), pause);
  await arrivals.stop();
  await keeper.stop();
  return `the same of the verb, while ${arrivalsPerSecond} a second arrive: ${times}`;
}

async function describeTimes(work: () => Promise<unknown>, pause?: () => Promise<unknown>): Promise<string> {
  const times: number[] = [];
  for (let ask = 0; ask < asks; ask++) {
    times.push(await timed(work));
    await pause?.();
  }
  times.sort((a, b) => a - b);
  const ms = (share: number) => times[Math.floor(share * (asks - 1))]!.toFixed(1);
  return `median ${ms(0.5)} ms, p95 ${ms(0.95)} ms, worst ${ms(1)} ms`;
}

async function sizeOf(sql: postgres.Sql): Promise<string> {
  const [row] = await sql`
    select (select sum(pg_total_relation_size(inhrelid)) from pg_inherits where inhparent = 'ai_executions'::regclass) as trail,
           (select sum(pg_relation_size(inhrelid)) from pg_inherits where inhparent = 'ai_executions'::regclass) as heap,
           pg_total_relation_size('execution_rollups') as hourly, pg_total_relation_size('execution_rollups_daily') as daily,
           pg_total_relation_size('execution_rollups_daily_versions') as versions,
           (select sum(executions) from execution_rollups_daily_versions) as rows,
           (select count(*) from execution_rollups) as hours, (select count(*) from execution_rollups_daily) as days,
           (select count(*) from execution_rollups_daily_versions) as version_days`;
  const per = (bytes: number) => Math.round(Number(bytes) / Number(row!.rows));
  const sums = (rows: string, bytes: string) =>
    `${Number(rows).toLocaleString('en')} (${(Number(bytes) / 1e6).toFixed(1)} MB)`;
  return [
    `an execution takes ${per(row!.trail)} bytes with its indexes (${per(row!.heap)} without)`,
    `sums by hour ${sums(row!.hours, row!.hourly)}, by day ${sums(row!.days, row!.daily)}, of versions by day ${sums(row!.version_days, row!.versions)}`,
  ].join('; ');
}

/** What a power loss would take is not measured here. */
const settings = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'wal_level=minimal'];
const server = await startPostgres([
  ...settings,
  'max_wal_senders=0',
  'shared_buffers=1GB',
  'max_wal_size=8GB',
  'checkpoint_timeout=30min',
  'autovacuum_naptime=10s',
]);
const step = async (name: string, work: () => Promise<string>) => {
  const at = performance.now();
  const said = await work();
  console.log(`  ${name} [${((performance.now() - at) / 1_000).toFixed(1)} s]: ${said}`);
};
try {
  const store = await openStore({ databaseUrl: server.url }, { statementTimeoutMs: 600_000 });
  await store.migrate();
  const sql = postgres(server.url, { max: 4, onnotice: () => {}, fetch_types: false });
  let rows = 0;
  for (const size of sizes) {
    console.log(`${size.toLocaleString('en')} executions`);
    await step('insert and sum', () => grow(sql, store, rows, size));
    rows = size;
    await step('ask', () => askCosts(store));
    await step('ask', () => askWhileTheyArrive(sql, store));
    await step('size', () => sizeOf(sql));
    if (size > verifyMax) continue;
    await step('compare', async () => {
      await createRollupKeeper(store.costs, behind).catchUp();
      const wrong = await findWrongSums(sql);
      if (wrong.length > 0) throw new Error(JSON.stringify(wrong.slice(0, 3)));
      return 'sums that differ from the rows: 0';
    });
  }
  await sql.end();
  await store.close();
} finally {
  await server.stop();
}
