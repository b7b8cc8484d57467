/**
 * Whether memory stays flat over many executions: `promptgate serve` under steady load, and at every tenth of
 * `--executions` what its processes hold after a collection and what the kernel counts. Flat is a straight line through
 * these (without the first two: code is compiled and pools fill) that does not rise by more than `limits` from end to end.
 */
import { parseArgs } from 'node:util';
import type { ArrivalsResult } from './arrivals-process.ts';
import { countRows } from './calls.ts';
import { HeldMemoryReader } from './held-memory.ts';
import { answerOf, ask, childrenOf, cpuUsOf, rssOf, start, sum } from './processes.ts';
import { say } from './progress.ts';
import { startPromptgate } from './systems.ts';
import { startUsedPostgres } from './used-postgres.ts';

const { values } = parseArgs({
  options: {
    executions: { type: 'string', default: '1000000' },
    workers: { type: 'string', default: '2' },
    connections: { type: 'string', default: '128' },
  },
});
const workers = Number(values.workers);
const connections = Number(values.connections);
const parts = 10;
const warmUpParts = 2;
const requestsMax = Math.ceil(Number(values.executions) / parts);
/** Parts of what was there. RSS is what the allocator keeps, too: it moves more, and says less. */
const limits = { held: 0.05, rss: 0.1 };

interface Measured {
  readonly executions: number;
  readonly held: number;
  readonly rss: number;
}

const held = new HeldMemoryReader();

/** Of the line with the least squares: how much it rises from its first to its last point, and where it begins. */
function fitLine(points: readonly Measured[], what: 'held' | 'rss'): { rise: number; from: number } {
  const mean = (of: (point: Measured) => number) => sum(points.map(of)) / points.length;
  const [x, y] = [mean(({ executions }) => executions), mean((point) => point[what])];
  const slope =
    sum(points.map((point) => (point.executions - x) * (point[what] - y))) /
    sum(points.map((point) => (point.executions - x) ** 2));
  const [first, last] = [points[0]!, points.at(-1)!];
  return { rise: slope * (last.executions - first.executions), from: y + slope * (first.executions - x) };
}

function tellVerdict(measured: readonly Measured[]): void {
  const points = measured.slice(warmUpParts);
  const executions = points.at(-1)!.executions - points[0]!.executions;
  for (const what of ['held', 'rss'] as const) {
    const { rise, from } = fitLine(points, what);
    const share = rise / from;
    const verdict = share <= limits[what] ? 'flat' : 'NOT FLAT';
    const name = what === 'held' ? 'held after a collection' : 'RSS';
    say(
      `${name}: ${verdict}: ${(rise / executions).toFixed(1)} bytes an execution, ${(100 * share).toFixed(1)} % of ${mib(from)} MiB over ${executions} executions (limit ${100 * limits[what]} %)`,
    );
    if (share > limits[what]) process.exitCode = 1;
  }
}

const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1);

const database = await startUsedPostgres();
const provider = start('answering-process.ts');
const load = start('arrivals-process.ts');
const { url } = await answerOf<{ url: string }>(provider);
const [gateway] = await startPromptgate(database.url, url, {
  audit: 'as it is',
  serve: workers > 1 ? ['--workers', String(workers)] : [],
  environment: held.environment,
});
const pids = workers > 1 ? childrenOf(gateway.pid) : [gateway.pid];
const measured: Measured[] = [];
try {
  let answered = 0;
  for (let part = 1; part <= parts; part++) {
    const before = cpuUsOf(gateway.pid);
    const order = { ...gateway.whole, seconds: 36_000, connections, requestsMax };
    const result = await ask<ArrivalsResult>(load, order);
    answered += result.answered;
    const cpuUs = Math.round((cpuUsOf(gateway.pid) - before) / result.answered);
    const perSecond = Math.round(result.answered / result.seconds);
    const rss = sum(pids.map(rssOf));
    const heldBytes = sum(await Promise.all(pids.map((pid) => held.read(pid))));
    measured.push({ executions: answered, held: heldBytes, rss });
    say(
      `${answered} executions, ${result.failed} failed: ${mib(heldBytes)} MiB held, ${mib(rss)} MiB RSS (${workers} process${workers > 1 ? 'es' : ''}), ${cpuUs} µs CPU each, ${perSecond}/s`,
    );
  }
  const rows = await countRows(gateway.databaseUrl ?? '');
  say(`${rows} rows, ${answered - rows} lost`);
  if (rows < answered) process.exitCode = 1;
  tellVerdict(measured);
} finally {
  await gateway.stop();
  load.disconnect();
  provider.disconnect();
  await database.stop();
  held.close();
}
