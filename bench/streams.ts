/**
 * Many streams at once through one gateway process, on a real PostgreSQL: whether all are whole and every row is right,
 * what memory a stream takes, and how much later its first token comes than from the provider itself.
 *
 * Load, provider and database are processes of their own. `--streams`, `--tokens` and `--per-second` set the size.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import postgres from 'postgres';
import { HeldMemoryReader } from './held-memory.ts';
import { ask, cpuUsOf, answerOf as messageOf, quantile, rssOf, start } from './processes.ts';
import { answerOf } from './stream-content.ts';
import type { StreamOrder, StreamReport } from './stream-load-process.ts';
import { startPromptgate } from './systems.ts';
import { startUsedPostgres } from './used-postgres.ts';

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

/** Of the gateway's process: CPU so far in microseconds, memory in bytes. */
interface Usage {
  readonly cpuUs: number;
  readonly rss: number;
  /** After a collection: what is held, not what is waiting to be collected. */
  readonly held: number;
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

function print(report: StreamReport, usage: Readonly<Record<'before' | 'during' | 'after', Usage>>): void {
  const at = (numbers: readonly number[], share: number) => Number(quantile(numbers, share).toFixed(1));
  const { before, during, after } = usage;
  const perStream = (name: 'rss' | 'held') => Math.round((during[name] - before[name]) / streams / 1024);
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
      memory: 'held',
      'before MiB': mib(before.held),
      'during MiB': mib(during.held),
      'after MiB': mib(after.held),
      'KiB/stream': perStream('held'),
    },
  ]);
  const cpuUs = after.cpuUs - before.cpuUs;
  const share = Math.round(cpuUs / report.seconds / 10_000);
  console.log(
    `${report.seconds.toFixed(1)} s; the gateway took ${share} % of a core, ${(cpuUs / streams / tokens).toFixed(1)} µs a token`,
  );
}

const database = await startUsedPostgres();
const provider = start('stream-provider-process.ts', [tokens, pauseMs]);
const load = start('stream-load-process.ts');
const memory = new HeldMemoryReader();
const { url: providerUrl } = await messageOf<{ url: string }>(provider);
const [gateway] = await startPromptgate(database.url, providerUrl, {
  audit: 'as it is',
  environment: memory.environment,
});
const databaseUrl = gateway.databaseUrl!;

async function readUsage(): Promise<Usage> {
  const held = await memory.read(gateway.pid);
  return { cpuUs: cpuUsOf(gateway.pid), rss: rssOf(gateway.pid), held };
}

try {
  const order: StreamOrder = {
    target: gateway.streamed('seed:%s'),
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
  const sql = postgres(databaseUrl, { max: 1 });
  await sql`select 1`;
  const before = await readUsage();
  const running = ask<StreamReport>(load, order);
  const open = await mostOpen(sql);
  await sql.end();
  const during = await readUsage();
  const report = await running;
  const after = await readUsage();
  const checked = await checkRows(databaseUrl);
  print(report, { before, during, after });
  console.log(
    `${open} open at once; ${report.whole} whole, ${checked.rows} rows, ${checked.wrong} wrong, ${checked.intents} intents left`,
  );
  if (report.whole !== streams || checked.rows !== streams || checked.wrong > 0 || checked.intents > 0) {
    throw new Error(`not every stream is right: ${report.faults.join('; ')}`);
  }
  if (open !== streams) console.log('The processor did not suffice for all of them at once.');
} finally {
  await gateway.stop();
  memory.close();
  load.disconnect();
  provider.disconnect();
  await database.stop();
}
