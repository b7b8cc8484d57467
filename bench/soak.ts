/**
 * Whether memory stays flat over many executions: `promptgate serve` under steady load, its memory at every tenth of
 * `--executions`, and a row for each in the end.
 */
import { parseArgs } from 'node:util';
import postgres from 'postgres';
import { startPostgres } from '../test/support/postgres-process.ts';
import type { ArrivalsResult } from './arrivals-process.ts';
import { answerOf, ask, cpuUsOf, rssOf, start } from './processes.ts';
import { startPromptgate } from './systems.ts';

const { values } = parseArgs({ options: { executions: { type: 'string', default: '1000000' } } });
const tenth = Math.ceil(Number(values.executions) / 10);

const database = await startPostgres(['max_connections=200']);
const provider = start('answering-process.ts');
const load = start('arrivals-process.ts');
const { url } = await answerOf<{ url: string }>(provider);
const [gateway] = await startPromptgate(database.url, url, { audit: 'as it is' });
try {
  let answered = 0;
  for (let part = 1; part <= 10; part++) {
    const before = cpuUsOf(gateway.pid);
    const order = { ...gateway.whole, seconds: 36_000, connections: 64, requestsMax: tenth };
    const result = await ask<ArrivalsResult>(load, order);
    answered += result.answered;
    const cpuUs = Math.round((cpuUsOf(gateway.pid) - before) / result.answered);
    const mib = Math.round(rssOf(gateway.pid) / 2 ** 20);
    const perSecond = Math.round(result.answered / result.seconds);
    console.log(
      `${answered} executions, ${result.failed} failed: ${mib} MiB, ${cpuUs} µs CPU each, ${perSecond}/s`,
    );
  }
  const sql = postgres(gateway.databaseUrl ?? '', { max: 1 });
  const [counted] = await sql`select count(*)::int as n from ai_executions where status = 'succeeded'`;
  await sql.end();
  console.log(`${counted?.n} rows, ${answered - counted?.n} lost`);
} finally {
  await gateway.stop();
  load.disconnect();
  provider.disconnect();
  await database.stop();
}
