/** How much of each change the detectors find, by sample and by time, and how often they are wrong: the tables of docs/drift.md. */
import { judgeDrift, measureDrift } from '../src/domain/drift.ts';
import {
  type Change,
  changeSizes,
  changes,
  hoursOfDay,
  sampleDay,
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
  ['temperature 0, 60 inputs, 1 answer of 1,000 varies', { inputs, deterministic: true, wavering: 0.001 }],
  ['temperature 0, 60 inputs, 1 answer of 200 varies', { inputs, deterministic: true, wavering: 0.005 }],
  ['temperature 0, 60 inputs, 1 answer of 100 varies', { inputs, deterministic: true, wavering: 0.01 }],
  ['temperature 0, 60 inputs, 1 answer of 10 varies', { inputs, deterministic: true, wavering: 0.1 }],
  ['answers that vary, 60 inputs', { inputs, deterministic: false }],
  ['no input repeats', { inputs: unrepeated, deterministic: false }],
] as const) {
  console.log(`| ${name} | ${countRuns(world, 200, null)} |`);
}

/** Days of hourly runs with the windows of `promptgate drift`, after a change at hour 0. */
const days = 50;
const callsAnHour = [5, 20, 100];

/** The first hourly run that `isFound` says yes to, by hours since the change; infinite: none of the first day. */
function firstRun(
  world: Parameters<typeof sampleDay>[0],
  isFound: (measures: readonly string[]) => boolean,
): number {
  for (let hour = 1; hour <= hoursOfDay; hour++) {
    const { findings } = judgeDrift(measureDrift(sampleDay(world, hour)));
    if (isFound(findings.map(({ measure }) => measure))) return hour;
  }
  return Number.POSITIVE_INFINITY;
}

const seedsOfDays = Array.from({ length: days }, (_, index) => index + 1);

console.log(`\n| change | found by | ${callsAnHour.map((rate) => `${rate} an hour`).join(' | ')} |`);
console.log(`|---|---|${callsAnHour.map(() => '--:').join('|')}|`);
for (const change of changes) {
  const cells = callsAnHour.map((rate) => {
    const found = seedsOfDays
      .map((seed) => firstRun({ seed, rate, change }, (measures) => measures.includes(finders[change])))
      .sort((a, b) => a - b);
    const by = (share: number) => found[Math.ceil(share * days) - 1]!;
    return [0.5, 0.95].map((share) => (by(share) > hoursOfDay ? 'later' : by(share))).join(', ');
  });
  console.log(`| ${change} | \`${finders[change]}\` | ${cells.join(' | ')} |`);
}
const alarmed = callsAnHour.map(
  (rate) =>
    seedsOfDays.filter(
      (seed) => firstRun({ seed, rate, change: null }, (measures) => measures.length > 0) <= hoursOfDay,
    ).length,
);
console.log(`| nothing: days of ${days} with a false alarm | any | ${alarmed.join(' | ')} |`);
