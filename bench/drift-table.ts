/** How much of each change the detectors find, by sample, and how often they are wrong: the tables of docs/drift.md. */
import { judgeDrift, measureDrift } from '../src/domain/drift.ts';
import {
  type Change,
  changeSizes,
  changes,
  sampleWorld,
  type WorldOptions,
} from '../test/support/drift-world.ts';

const runs = 100;
const baselineCount = 200;
const samples = [30, 50, 100, 200];
const inputs = 60;
const unrepeated = 1_000_000_000;

const finders: Readonly<Record<Change, string>> = {
  wording: 'answer',
  length: 'output_length',
  'model name': 'response_model',
  'JSON shape': 'json_shape',
  refusals: 'refusals',
  latency: 'latency',
  price: 'unit_price',
};

function countRuns(world: Omit<WorldOptions, 'seed' | 'count'>, now: number, change: Change | null): number {
  let hits = 0;
  for (let seed = 1; seed <= runs; seed++) {
    const { change: _, ...before } = world;
    const { findings } = judgeDrift(
      measureDrift({
        baseline: sampleWorld({ ...before, seed: 2 * seed, count: baselineCount }),
        now: sampleWorld({ ...world, ...(change ? { change } : {}), seed: 2 * seed + 1, count: now }),
      }),
    );
    const found = change ? findings.some(({ measure }) => measure === finders[change]) : findings.length > 0;
    if (found) hits += 1;
  }
  return hits;
}

console.log(`| change | size | found by | ${samples.map((count) => `${count} now`).join(' | ')} |`);
console.log(`|---|---|---|${samples.map(() => '--:').join('|')}|`);
for (const change of changes) {
  const found = samples.map((count) => countRuns({ inputs, deterministic: true }, count, change));
  console.log(`| ${change} | ${changeSizes[change]} | \`${finders[change]}\` | ${found.join(' | ')} |`);
}
const warm = samples.map((count) => countRuns({ inputs, deterministic: false }, count, 'wording'));
console.log(
  `| wording, half of the answers vary anyway | ${changeSizes.wording} | \`answer\` | ${warm.join(' | ')} |`,
);
const single = samples.map((count) => countRuns({ inputs: unrepeated }, count, 'wording'));
console.log(`| wording, no input repeats | ${changeSizes.wording} | — | ${single.join(' | ')} |`);

console.log('\n| nothing changed | runs of 100 with a false alarm |\n|---|--:|');
for (const [name, world] of [
  ['temperature 0, 60 inputs', { inputs, deterministic: true }],
  ['answers that vary, 60 inputs', { inputs, deterministic: false }],
  ['no input repeats', { inputs: unrepeated, deterministic: false }],
] as const) {
  console.log(`| ${name} | ${countRuns(world, 200, null)} |`);
}
