/**
 * Whether rollups stay exact and their questions fast while the trail grows: executions of 90 days are inserted with late
 * outcomes, failures, unknown ones and back-fills, while 500 more a second arrive and are summed; then every sum is compared
 * with plain SQL over the rows, and cost by version over 90 days is asked for.
 *
 * `--rows 1000000,3000000,10000000` are the sizes to measure at; `--verify` how many rows are compared at most.
 */
import { parseArgs } from 'node:util';
import postgres from 'postgres';
import { createRollupKeeper } from '../src/application/rollup-keeper.ts';
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
const batch = 20_000;
const arrivalsPerSecond = 500;
const asks = 25;

/** Inserts at a steady rate until it is stopped. @returns how many came */
function startArrivals(sql: postgres.Sql): { stop(): Promise<number> } {
  let stopped = false;
  let count = 0;
  const run = async () => {
    for (const from = performance.now(); !stopped; ) {
      const due = Math.floor(((performance.now() - from) / 1_000) * arrivalsPerSecond) - count;
      if (due > 0) {
        await insertExecutions(sql, {
          count: due,
          untilMs: Date.now(),
          spanMs: 1_000,
          salt: 1_000_000_000 + count,
        });
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

async function grow(sql: postgres.Sql, store: Store, from: number, to: number): Promise<string> {
  const keeper = createRollupKeeper(store.costs, {
    onError(error) {
      throw error;
    },
  });
  const untilMs = Math.floor(Date.now() / dayMs) * dayMs;
  const arrivals = startArrivals(sql);
  let summingMs = 0;
  let fallenBehind = 0;
  for (let rows = from; rows < to; rows += batch) {
    await insertExecutions(sql, {
      count: Math.min(batch, to - rows),
      untilMs,
      spanMs: 89 * dayMs,
      salt: rows,
    });
    if ((rows / batch) % 5 === 0) await insertLaterCosts(sql);
    const at = performance.now();
    await keeper.catchUp();
    summingMs += performance.now() - at;
    fallenBehind = Math.max(fallenBehind, await store.costs.pending());
  }
  const arrived = await arrivals.stop();
  await keeper.catchUp();
  const perSecond = Math.round((to - from + arrived) / (summingMs / 1_000));
  return `${arrived} arrived meanwhile; summed ${perSecond} a second; at most ${fallenBehind} waited after a run`;
}

async function askCosts(store: Store): Promise<string> {
  const today = Math.ceil(Date.now() / dayMs) * dayMs;
  const question = { since: new Date(today - 90 * dayMs), until: new Date(today) };
  const times: number[] = [];
  let lines = 0;
  for (let ask = 0; ask < asks; ask++) {
    const at = performance.now();
    lines = (await store.costs.sum({ ...question, by: ['prompt', 'version'], latency: false })).length;
    times.push(performance.now() - at);
  }
  times.sort((a, b) => a - b);
  const ms = (share: number) => times[Math.floor(share * (asks - 1))]!.toFixed(1);
  return `cost by version over 90 days (${lines} lines): median ${ms(0.5)} ms, worst ${ms(1)} ms`;
}

async function sizeOf(sql: postgres.Sql): Promise<string> {
  const [row] = await sql`
    select (select sum(pg_total_relation_size(inhrelid)) from pg_inherits where inhparent = 'ai_executions'::regclass) as trail,
           (select sum(pg_relation_size(inhrelid)) from pg_inherits where inhparent = 'ai_executions'::regclass) as heap,
           pg_total_relation_size('execution_rollups') as hourly, pg_total_relation_size('execution_rollups_daily') as daily,
           (select sum(executions) from execution_rollups) as rows,
           (select count(*) from execution_rollups) as hours, (select count(*) from execution_rollups_daily) as days`;
  const per = (bytes: number) => Math.round(Number(bytes) / Number(row!.rows));
  return [
    `an execution takes ${per(row!.trail)} bytes with its indexes (${per(row!.heap)} without)`,
    `${row!.hours} rows by hour ${(row!.hourly / 1e6).toFixed(0)} MB, ${row!.days} by day ${(row!.daily / 1e6).toFixed(1)} MB`,
  ].join('; ');
}

const server = await startPostgres(['shared_buffers=512MB', 'max_wal_size=4GB']);
try {
  const store = await openStore({ databaseUrl: server.url }, { statementTimeoutMs: 600_000 });
  await store.migrate();
  const sql = postgres(server.url, { max: 4, onnotice: () => {}, fetch_types: false });
  let rows = 0;
  for (const size of sizes) {
    console.log(`${size.toLocaleString('en')} executions: ${await grow(sql, store, rows, size)}`);
    rows = size;
    await sql`analyze execution_rollups_daily`;
    console.log(`  ${await askCosts(store)}`);
    console.log(`  ${await sizeOf(sql)}`);
    if (size > verifyMax) continue;
    const wrong = await findWrongSums(sql);
    console.log(`  sums that differ from the rows: ${wrong.length}`);
    if (wrong.length > 0) throw new Error(JSON.stringify(wrong.slice(0, 3)));
  }
  await sql.end();
  await store.close();
} finally {
  await server.stop();
}
