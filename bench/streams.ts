/**
 * Many streams at once through one gateway process, on a real PostgreSQL: whether all are whole and every row is right,
 * what memory a stream takes, and how much later its first token comes than from the provider itself.
 *
 * Load, provider and database are processes of their own. `--streams`, `--tokens` and `--per-second` set the size.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import postgres from 'postgres';
import { startPostgres } from '../test/support/postgres-process.ts';
import type { GatewayUsage } from './gateway-process.ts';
import { answerOf } from './stream-content.ts';
import type { StreamOrder, StreamReport } from './stream-load-process.ts';

const { values } = parseArgs({
  options: {
    streams: { type: 'string', default: '1000' },
    tokens: { type: 'string', default: '200' },
    'per-second': { type: 'string', default: '20' },
  },
});
const streams = Number(values.streams);
const tokens = Number(values.tokens);
const pauseMs = 1000 / Number(values['per-second']);
/** They begin over this time, as independent ones would, and all are open for the rest of it. */
const openingMs = (tokens * pauseMs) / 4;

function start(file: string, args: unknown[] = []): ChildProcess {
  return fork(join(import.meta.dirname, file), args.map(String), {
    execArgv: ['--expose-gc'],
    env: { PATH: process.env.PATH },
  });
}

function answerFrom<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as T));
    child.once('exit', (code) => reject(new Error(`a process of the benchmark ended with ${code}`)));
  });
}

function ask<T>(child: ChildProcess, question: object): Promise<T> {
  const answer = answerFrom<T>(child);
  child.send(question);
  return answer;
}

/** Waits until all are open, or until it is clear that they will not be. @returns how many were */
async function mostOpen(sql: postgres.Sql): Promise<number> {
  let most = 0;
  for (const until = performance.now() + openingMs + tokens * pauseMs; performance.now() < until; ) {
    const [now] = await sql`select count(*)::int as n from ai_execution_intents`;
    most = Math.max(most, now?.n);
    if (most === streams) break;
    await delay(200);
  }
  // One more second: every one of them talks.
  await delay(1_000);
  return most;
}

/** How many rows are not what their stream was, and how many there are. */
async function checkRows(databaseUrl: string): Promise<{ rows: number; wrong: number; intents: number }> {
  const sql = postgres(databaseUrl, { max: 1 });
  const rows =
    await sql`select * from ai_executions where input_payload->'variables'->>'text' like 'seed:s%'`;
  const seeds = new Set<string>();
  const wrong = rows.filter((row) => {
    const seed = row.input_payload.variables.text.slice('seed:'.length);
    seeds.add(seed);
    const answer = answerOf(seed, tokens);
    return !(
      row.status === 'succeeded' &&
      row.raw_output === answer &&
      Number(row.completion_tokens) === tokens &&
      Number(row.delivered_bytes) === Buffer.byteLength(answer) &&
      row.disconnected_at === null
    );
  });
  const [intents] = await sql`select count(*)::int as n from ai_execution_intents`;
  await sql.end();
  return { rows: seeds.size, wrong: wrong.length, intents: intents?.n };
}

function print(
  report: StreamReport,
  usage: Readonly<Record<'before' | 'during' | 'after', GatewayUsage>>,
): void {
  const at = (numbers: readonly number[], share: number) =>
    Number(
      (numbers[Math.min(numbers.length - 1, Math.floor(numbers.length * share))] ?? Number.NaN).toFixed(1),
    );
  const { before, during, after } = usage;
  const perStream = (name: 'rss' | 'heapUsed') => Math.round((during[name] - before[name]) / streams / 1024);
  const mib = (bytes: number) => Math.round(bytes / 1024 / 1024);
  console.table([
    {
      'first token': 'through the gateway',
      'p50 ms': at(report.firstMs, 0.5),
      'p99 ms': at(report.firstMs, 0.99),
    },
    {
      'first token': 'from the provider',
      'p50 ms': at(report.directFirstMs, 0.5),
      'p99 ms': at(report.directFirstMs, 0.99),
    },
  ]);
  console.table([
    {
      memory: 'RSS',
      'before MiB': mib(before.rss),
      'during MiB': mib(during.rss),
      'after MiB': mib(after.rss),
      'KiB/stream': perStream('rss'),
    },
    {
      memory: 'heap',
      'before MiB': mib(before.heapUsed),
      'during MiB': mib(during.heapUsed),
      'after MiB': mib(after.heapUsed),
      'KiB/stream': perStream('heapUsed'),
    },
  ]);
  const cpuUs = after.user + after.system - before.user - before.system;
  const share = Math.round(cpuUs / report.seconds / 10_000);
  console.log(
    `${report.seconds.toFixed(1)} s; the gateway took ${share} % of a core, ${(cpuUs / streams / tokens).toFixed(1)} µs a token`,
  );
}

const database = await startPostgres();
const provider = start('stream-provider-process.ts', [tokens, pauseMs]);
const load = start('stream-load-process.ts');
let gateway: ChildProcess | undefined;
try {
  const { url: providerUrl } = await answerFrom<{ url: string }>(provider);
  gateway = start('gateway-process.ts', ['durable', database.url, providerUrl]);
  const { url: gatewayUrl, key } = await answerFrom<{ url: string; key: string }>(gateway);
  const order: StreamOrder = {
    target: {
      url: `${gatewayUrl}/v1/prompts/bench/executions`,
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify({ variables: { text: 'seed:%s' }, stream: true }),
      wire: 'native',
    },
    providerUrl,
    streams,
    tokens,
    openingMs,
    seed: 's',
    probeEvery: 10,
  };
  console.log(
    `${streams} streams of ${tokens} tokens, one every ${pauseMs} ms, begun over ${openingMs / 1000} s`,
  );
  // Once round: code is compiled, connections and pools are made.
  await ask<StreamReport>(load, { ...order, streams: 50, openingMs: 500, seed: 'warm' });
  const sql = postgres(database.url, { max: 1 });
  await sql`select 1`;
  const before = await ask<GatewayUsage>(gateway, { collect: true });
  const running = ask<StreamReport>(load, order);
  const open = await mostOpen(sql);
  await sql.end();
  const during = await ask<GatewayUsage>(gateway, { collect: true });
  const report = await running;
  const after = await ask<GatewayUsage>(gateway, { collect: true });
  const checked = await checkRows(database.url);
  print(report, { before, during, after });
  console.log(
    `${open} open at once; ${report.whole} whole, ${checked.rows} rows, ${checked.wrong} wrong, ${checked.intents} intents left`,
  );
  if (report.whole !== streams || checked.rows !== streams || checked.wrong > 0 || checked.intents > 0) {
    throw new Error(`not every stream is right: ${report.faults.join('; ')}`);
  }
  if (open !== streams) console.log('The processor did not suffice for all of them at once.');
} finally {
  gateway?.disconnect();
  load.disconnect();
  provider.disconnect();
  await database.stop();
}
