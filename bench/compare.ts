/**
 * What a change is worth: CPU per request of this working tree and of another one, in turns. Argument: the other tree, for
 * example one of `git worktree add`. Many short rounds: what drifts is the machine, and both are hit by it.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { ArrivalsResult } from './arrivals-process.ts';
import { answerOf, ask, cpuUsOf, median, quantile, start } from './processes.ts';
import { type System, startPromptgate } from './systems.ts';
import { startUsedPostgres } from './used-postgres.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '15' },
    requests: { type: 'string', default: '1000' },
    'warm-up': { type: 'string', default: '5000' },
  },
});
const [other] = positionals;
if (!other) throw new Error('Name the working tree to compare with.');
const requestsMax = Number(values.requests);

const database = await startUsedPostgres();
const provider = start('answering-process.ts');
const load = start('arrivals-process.ts');
const { url } = await answerOf<{ url: string }>(provider);
const theirs = await startPromptgate(database.url, url, { audit: 'as it is', checkout: resolve(other) });
const ours = await startPromptgate(database.url, url, { audit: 'as it is' });

async function cpuPerRequest({ pid, whole }: System, most: number): Promise<number> {
  const before = cpuUsOf(pid);
  const result = await ask<ArrivalsResult>(load, {
    ...whole,
    seconds: 600,
    connections: 64,
    requestsMax: most,
  });
  if (result.failed > 0) throw new Error(`${result.failed} requests failed`);
  return (cpuUsOf(pid) - before) / result.answered;
}

try {
  for (const [index, face] of ['native', 'OpenAI API'].entries()) {
    const [before, after] = [theirs[index]!, ours[index]!];
    const rounds: { before: number; after: number }[] = [];
    await cpuPerRequest(before, Number(values['warm-up']));
    await cpuPerRequest(after, Number(values['warm-up']));
    for (let round = 0; round < Number(values.rounds); round++) {
      rounds.push({
        before: await cpuPerRequest(before, requestsMax),
        after: await cpuPerRequest(after, requestsMax),
      });
    }
    const ratios = rounds.map((round) => round.after / round.before).toSorted((a, b) => a - b);
    const at = (share: number) => quantile(ratios, share).toFixed(3);
    const cpu = `${median(rounds.map((round) => round.before)).toFixed(0)} → ${median(rounds.map((round) => round.after)).toFixed(0)}`;
    console.log(`${face}: ${cpu} µs CPU a request, × ${at(0.5)} (quartiles ${at(0.25)} to ${at(0.75)})`);
  }
} finally {
  for (const system of [...theirs, ...ours]) await system.stop();
  load.disconnect();
  provider.disconnect();
  await database.stop();
}
