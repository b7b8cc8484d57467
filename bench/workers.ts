/**
 * Saturation of `serve --workers 2` against `--workers 1`, as real processes, in turns.
 *
 * Load, provider and database share the cores with the gateway, so two workers that want a core each would only show that
 * there are no more. They are separated by time: each worker is given a share of a core (`--share`) and stopped for the
 * rest of it. What the shares leave is for everything else, and the gateway is what saturates. That it was is checked:
 * what each worker used is told beside what it did.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import type { ArrivalsResult } from './arrivals-process.ts';
import { limitCpu } from './cpu-share.ts';
import { answerOf, ask, childrenOf, median, start, sum } from './processes.ts';
import { say } from './progress.ts';
import { startPromptgate } from './systems.ts';
import { startUsedPostgres } from './used-postgres.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '8' },
    /** For each worker: with fewer, the groups of the audit get smaller and the calls dearer. */
    connections: { type: 'string', default: '32' },
    'warm-up': { type: 'string', default: '6000' },
    share: { type: 'string', default: '0.25' },
  },
});
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
const [connections, share] = [Number(values.connections), Number(values.share)];
/** Of each worker: V8 goes on compiling for some thousands of calls, on the CPU that is measured. */
const warmUpCalls = Number(values['warm-up']);
const warmUpSeconds = 2;
/** What two workers are to do beside one. */
const leastRatio = 1.7;

interface Figures {
  readonly perSecond: number;
  readonly cpuUs: number;
  readonly used: readonly number[];
}

async function measure(workers: number, admin: string, providerUrl: string): Promise<Figures> {
  const [gateway] = await startPromptgate(admin, providerUrl, {
    audit: 'as it is',
    serve: ['--workers', String(workers)],
  });
  const load = start('arrivals-process.ts');
  try {
    const pids = workers === 1 ? [gateway.pid] : childrenOf(gateway.pid);
    const order = { ...gateway.whole, connections: connections * workers };
    for (let calls = 0; calls < warmUpCalls * workers; ) {
      calls += (await ask<ArrivalsResult>(load, { ...order, seconds: warmUpSeconds })).answered;
    }
    const stop = limitCpu(pids, share);
    const result = await ask<ArrivalsResult>(load, { ...order, seconds });
    const used = stop();
    if (result.failed > 0) throw new Error(`${result.failed} executions failed`);
    const perSecond = result.answered / result.seconds;
    return { perSecond, cpuUs: (sum(used) * 1e6) / perSecond, used };
  } finally {
    load.disconnect();
    await gateway.stop();
  }
}

const postgres = await startUsedPostgres();
const provider = start('answering-process.ts');
const measured: Record<1 | 2, Figures[]> = { 1: [], 2: [] };
try {
  const { url } = await answerOf<{ url: string }>(provider);
  console.log(
    `${rounds} rounds of ${seconds} s, ${connections} connections to each worker, each worker ${share} of one of ${cpus().length} cores`,
  );
  for (let round = 0; round < rounds; round++) {
    for (const workers of round % 2 === 0 ? ([1, 2] as const) : ([2, 1] as const)) {
      const figures = await measure(workers, postgres.url, url);
      measured[workers].push(figures);
      say(`round ${round + 1}, ${workers} worker(s): ${Math.round(figures.perSecond)} executions/s`);
    }
  }
  const of = (workers: 1 | 2, name: 'perSecond' | 'cpuUs') =>
    median(measured[workers].map((one) => one[name]));
  const ratio = (name: 'perSecond' | 'cpuUs') =>
    median(measured[2].map((two, round) => two[name] / (measured[1][round]?.[name] ?? Number.NaN)));
  console.table(
    ([1, 2] as const).map((workers) => ({
      workers,
      'executions/s': Math.round(of(workers, 'perSecond')),
      'CPU µs/execution': Math.round(of(workers, 'cpuUs')),
      'core used by each': measured[workers]
        .map(({ used }) => used.map((one) => one.toFixed(2)).join('+'))
        .join(' '),
    })),
  );
  const met = ratio('perSecond') >= leastRatio;
  console.log(
    `two against one: ${ratio('perSecond').toFixed(2)} × the executions (at least ${leastRatio}: ${met ? 'met' : 'NOT MET'}), ${ratio('cpuUs').toFixed(2)} × the CPU for each`,
  );
  const isStarved = [...measured[1], ...measured[2]].some(({ used }) =>
    used.some((one) => one < 0.9 * share),
  );
  if (isStarved) console.log('Not every worker got its share: the machine was busy, and this says nothing.');
  if (!met) process.exitCode = 1;
} finally {
  provider.disconnect();
  await postgres.stop();
}
