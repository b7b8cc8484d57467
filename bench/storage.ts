/**
 * What executions ask of PostgreSQL: WAL, bytes on disk by table, commits, connections, CPU of the server, for one million.
 * They go the way of the gateway (`openAuditTrail`), in groups as they form under `--concurrency`, without a gateway around.
 *
 * Input and output are prose of `docs/`, because how it compresses decides what it takes. Their defaults are the means of
 * Azure's conversation trace of 2023 (1,155 and 211 tokens) at four bytes a token.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import postgres from 'postgres';
import { v7 } from 'uuid';
import { toUnknownExecution } from '../src/application/recover-intents.ts';
import { openStore, type Store } from '../src/store/store.ts';
import { startPostgres } from '../test/support/postgres-process.ts';
import { execution, intent } from '../test/support/records.ts';

const { values } = parseArgs({
  options: {
    executions: { type: 'string', default: '20000' },
    concurrency: { type: 'string', default: '64' },
    input: { type: 'string', default: '4620' },
    output: { type: 'string', default: '844' },
  },
});
const [executions, concurrency] = [Number(values.executions), Number(values.concurrency)];
const [inputBytes, outputBytes] = [Number(values.input), Number(values.output)];

const docs = join(import.meta.dirname, '../docs');
const prose = readdirSync(docs)
  .filter((name) => name.endsWith('.md'))
  .map((name) => readFileSync(join(docs, name), 'utf8'))
  .join('\n')
  .replace(/[^\x20-\x7e\n]/g, '-');

/** A different piece of the prose each time. */
function text(bytes: number, seed: number): string {
  const from = (seed * 7_919) % Math.max(1, prose.length - bytes);
  return prose.slice(from, from + bytes);
}

async function writeExecutions(store: Store, count: number, seed: number): Promise<void> {
  const trail = await store.openAuditTrail({
    timeoutMs: 60_000,
    settleTimeoutMs: 60_000,
    maxOpen: concurrency * 2,
    maxOpenBytes: 1e9,
    toUnknown: toUnknownExecution,
    onRecovered() {},
  });
  let next = 0;
  const caller = async () => {
    while (next < count) {
      const number = seed + next++;
      const rest = {
        id: v7(),
        inputPayload: { variables: { text: text(inputBytes, number) } },
        idempotencyKey: null,
        replayOf: null,
        runId: null,
        purpose: 'call' as const,
        startedAt: new Date(),
        metadata: {},
      };
      await trail.writeIntent(intent({ ...rest, attempt: 1, earlierAttempts: [] }));
      const [attempt] = execution().attempts.slice(-1);
      const answer = { rawOutput: text(outputBytes, number + 1), toolCalls: [], reasoning: [] };
      const attempts = attempt ? [{ ...attempt, number: 1 }] : [];
      await trail.settle(execution({ ...rest, ...answer, attempts, providerRequestId: `req_${rest.id}` }));
    }
  };
  await Promise.all(Array.from({ length: concurrency }, caller));
  await trail.close();
}

/** From the state of a process on: its parent comes second. */
function processStat(pid: number | string): string[] {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
}

/** CPU seconds of the server with all its processes, those that have ended among them. */
function serverCpu(postmaster: number): number {
  const sum = (fields: string[], at: readonly number[]) => at.reduce((all, i) => all + Number(fields[i]), 0);
  // utime, stime, and of the postmaster cutime and cstime, in hundredths of a second.
  let hundredths = sum(processStat(postmaster), [11, 12, 13, 14]);
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = processStat(pid);
      if (Number(fields[1]) === postmaster) hundredths += sum(fields, [11, 12]);
    } catch {
      // It ended while we looked.
    }
  }
  return hundredths / 100;
}

interface TableSize {
  readonly name: string;
  readonly rows_bytes: number;
  readonly index_bytes: number;
}

async function look(sql: postgres.Sql) {
  const [state] = await sql<{ lsn: string; fpi: number; commits: number; child: number }[]>`
    select pg_current_wal_insert_lsn()::text as lsn, s.wal_fpi::float8 as fpi, d.xact_commit::float8 as commits,
           (select pid from pg_stat_activity where backend_type = 'checkpointer') as child
      from pg_stat_wal s, pg_stat_database d where d.datname = current_database()`;
  if (!state) throw new Error('the server says nothing about itself');
  const tables = await sql<TableSize[]>`
    select coalesce(i.inhparent::regclass, c.oid::regclass)::text as name,
           sum(pg_table_size(c.oid))::float8 as rows_bytes, sum(pg_indexes_size(c.oid))::float8 as index_bytes
      from pg_class c left join pg_inherits i on i.inhrelid = c.oid
     where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace group by 1`;
  return { ...state, tables: [...tables], cpu: serverCpu(Number(processStat(state.child)[1])) };
}

const server = await startPostgres(['max_wal_size=4GB']);
const sql = postgres(server.url, { max: 1, fetch_types: false });
const store = await openStore({ databaseUrl: server.url });
try {
  await store.migrate();
  await writeExecutions(store, 1_000, 0);
  while (await store.costs.rollUp(2_000));
  await sql`vacuum`;
  await sql`checkpoint`;
  const before = await look(sql);
  const from = performance.now();
  let most = 0;
  const watch = setInterval(async () => {
    const [row] =
      await sql`select count(*)::int as n from pg_stat_activity where application_name = 'promptgate'`;
    most = Math.max(most, row?.n ?? 0);
  }, 200);
  await writeExecutions(store, executions, 1_000);
  const seconds = (performance.now() - from) / 1_000;
  const written = await look(sql);
  while (await store.costs.rollUp(2_000));
  clearInterval(watch);
  const after = await look(sql);
  const [diff] = await sql`
    select pg_wal_lsn_diff(${written.lsn}::pg_lsn, ${before.lsn}::pg_lsn)::float8 as trail,
           pg_wal_lsn_diff(${after.lsn}::pg_lsn, ${written.lsn}::pg_lsn)::float8 as rollups`;
  const each = (total: number) => Math.round(total / executions);
  const sizeOf = (state: typeof after, name: string, column: 'rows_bytes' | 'index_bytes') =>
    state.tables.find((table) => table.name === name)?.[column] ?? 0;
  const grown = (name: string, column: 'rows_bytes' | 'index_bytes') =>
    sizeOf(after, name, column) - sizeOf(before, name, column);
  console.log(
    `${executions} executions, ${concurrency} at a time, ${inputBytes} bytes in, ${outputBytes} out, ${Math.round(executions / seconds)} a second`,
  );
  console.table({
    'WAL of intents and outcomes': { 'bytes each': each(diff?.trail) },
    'WAL of rollups': { 'bytes each': each(diff?.rollups) },
    'ai_executions, rows': { 'bytes each': each(grown('ai_executions', 'rows_bytes')) },
    'ai_executions, indexes': { 'bytes each': each(grown('ai_executions', 'index_bytes')) },
  });
  const left = ['ai_execution_intents', 'execution_rollup_pending', 'execution_rollups']
    .map(
      (name) =>
        `${name} ${Math.round((sizeOf(after, name, 'rows_bytes') + sizeOf(after, name, 'index_bytes')) / 1024)} kB`,
    )
    .join(', ');
  console.log(`afterwards: ${left}`);
  console.log(
    `rows per commit ${((2 * executions) / (after.commits - before.commits)).toFixed(1)}, full pages in the WAL ${after.fpi - before.fpi}, connections at most ${most}`,
  );
  console.log(
    `CPU of the server ${Math.round(((written.cpu - before.cpu) * 1e6) / executions)} µs each, rollups ${Math.round(((after.cpu - written.cpu) * 1e6) / executions)} µs`,
  );
} finally {
  await store.close();
  await sql.end();
  await server.stop();
}
