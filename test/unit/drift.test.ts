// The detectors on a seeded world: what they find of seven changes, and what they say when nothing changed.
import { describe, expect, it } from 'vitest';
import { judgeDrift, measureDrift } from '../../src/domain/drift.ts';
import type { DriftSample, DriftWindows } from '../../src/domain/drift-sample.ts';
import { compareDistributions, compareRates } from '../../src/domain/drift-statistics.ts';
import { shapeOfJson } from '../../src/domain/json-shape.ts';
import { compareSigns } from '../../src/domain/paired-test.ts';
import { type Change, changes, sampleDay, sampleWorld } from '../support/drift-world.ts';

const detectDrift = (windows: DriftWindows) => judgeDrift(measureDrift(windows));

/** As docs/drift.md states them. */
const stated = { baseline: 200, now: 100, runs: 100, found: 98, falseAlarms: 1 };
/** After which 95 of 100 runs an hour apart have found it, at 20 calls an hour. */
const statedHours: Readonly<Record<Change, number>> = {
  wording: 1,
  length: 15,
  'model name': 2,
  'JSON shape': 5,
  refusals: 8,
  latency: 14,
  price: 1,
};
const inputs = 60;

/** What each change is found by, among others. */
const finders: Readonly<Record<Change, string>> = {
  wording: 'answer',
  length: 'output_length',
  'model name': 'response_model',
  'JSON shape': 'json_shape',
  refusals: 'refusals',
  latency: 'latency',
  price: 'unit_price',
};

function run(seed: number, change?: Change, options: { deterministic?: boolean; now?: number } = {}) {
  const { now = stated.now, ...rest } = options;
  return detectDrift({
    baseline: sampleWorld({ ...rest, inputs, seed: 2 * seed, count: stated.baseline }),
    now: sampleWorld({ ...rest, inputs, seed: 2 * seed + 1, count: now, ...(change ? { change } : {}) }),
  }).findings.map(({ measure }) => measure);
}

const seeds = Array.from({ length: stated.runs }, (_, index) => index + 1);

describe('drift', () => {
  it.each(changes)('of %s is found within the stated sample', (change) => {
    const found = seeds.filter((seed) => run(seed, change).includes(finders[change])).length;
    expect(found).toBeGreaterThanOrEqual(stated.found);
  });

  it.each(changes)('of %s is found by the hourly run that docs/drift.md states', (change) => {
    const found = seeds.slice(0, 6).filter((seed) => {
      const { findings } = detectDrift(sampleDay({ seed, rate: 20, change }, statedHours[change]));
      return findings.some(({ measure }) => measure === finders[change]);
    });
    expect(found.length).toBeGreaterThanOrEqual(5);
  });

  it.each([true, false])('is not seen where nothing changed (deterministic: %s)', (deterministic) => {
    const alarms = seeds.filter((seed) => run(seed, undefined, { deterministic, now: 200 }).length > 0);
    expect(alarms.length).toBeLessThanOrEqual(stated.falseAlarms);
  });

  it('is not seen more often over many prompts at once', () => {
    const windows = (count: number, seed: number) =>
      Array.from({ length: 10 }, (_, index) =>
        sampleWorld({ inputs, count, seed: seed * 1_000 + index, promptVersion: index + 1 }),
      ).flat();
    const alarms = seeds.slice(0, 20).filter((seed) => {
      return (
        detectDrift({ baseline: windows(60, 2 * seed), now: windows(60, 2 * seed + 1) }).findings.length > 0
      );
    });
    expect(alarms.length).toBeLessThanOrEqual(1);
  });

  it('compares like with like: never simulated with real answers, probes with calls, or versions', () => {
    const baseline = sampleWorld({ inputs, seed: 1, count: 100 });
    const other: Partial<DriftSample>[] = [
      { simulated: true },
      { purpose: 'probe' },
      { promptVersion: 2 },
      { model: 'gpt-4o' },
    ];
    for (const changed of other) {
      const now = sampleWorld({ inputs, seed: 2, count: 100, change: 'length' }).map((one) => ({
        ...one,
        ...changed,
      }));
      const { findings, compared, tests } = detectDrift({ baseline, now });
      expect({ findings, tests }).toEqual({ findings: [], tests: 0 });
      expect(compared).toMatchObject([{ ...changed, note: 'nothing to compare with: no baseline' }]);
    }
  });

  it('is not judged by numbers of fewer than 30 a side, and says so', () => {
    const baseline = sampleWorld({ inputs: 1e9, seed: 1, count: 29 });
    const now = sampleWorld({ inputs: 1e9, seed: 2, count: 500, change: 'latency' });
    const { findings, compared } = detectDrift({ baseline, now });
    expect(findings).toEqual([]);
    expect(compared).toMatchObject([{ note: 'numbers and rates need 30 on each side' }]);
  });

  it('at temperature 0 is one changed answer; where answers wavered before, one proves nothing', () => {
    const steady = sampleWorld({ inputs: 5, seed: 1, count: 20 }).map((one) => ({
      ...one,
      status: 'succeeded' as const,
      errorCode: null,
      responseHash: one.inputHash,
    }));
    const changed = steady.map((one, index) => (index === 0 ? { ...one, responseHash: 'other' } : one));
    const [finding] = detectDrift({ baseline: steady, now: changed }).findings;
    expect(finding).toMatchObject({ measure: 'answer', pValue: null, evidence: { after: changed[0]!.id } });
    expect(detectDrift({ baseline: changed, now: changed }).findings).toEqual([]);
    const warm = (samples: DriftSample[]) => samples.map((one) => ({ ...one, deterministic: false }));
    expect(detectDrift({ baseline: warm(steady), now: warm(changed) }).findings).toEqual([]);
  });

  it('of answers that vary anyway is found where they vary more across the windows than within one', () => {
    const samples = (answer: string, hour: number) =>
      sampleWorld({ inputs: 15, seed: 3, count: 150, deterministic: false }).map((one) => ({
        ...one,
        startedAt: new Date(one.startedAt.getTime() + hour * 3_600_000),
        responseHash: one.responseHash && `${answer}-${one.inputHash}`,
      }));
    const { findings } = detectDrift({ baseline: samples('a', 0), now: samples('b', 24) });
    expect(findings).toMatchObject([
      { measure: 'answer', before: 'same input, other answer: 0 of 15 (0.0 %)', after: '15 of 15 (100.0 %)' },
    ]);
  });
});

describe('the statistics', () => {
  it('agree with published values', () => {
    // Fisher's tea; the studying teenagers of Wikipedia's article on his test.
    expect(compareRates({ hits: 3, count: 4 }, { hits: 1, count: 4 }).pValue).toBeCloseTo(0.4857, 4);
    expect(compareRates({ hits: 1, count: 12 }, { hits: 9, count: 12 }).pValue).toBeCloseTo(0.002759, 6);
    expect(compareRates({ hits: 0, count: 50 }, { hits: 0, count: 50 })).toEqual({ effect: 0, pValue: 1 });
    expect(compareSigns(1, 9)).toBeCloseTo(0.021484, 6);
    expect(compareSigns(0, 0)).toBe(1);
    // Kolmogorov's distribution: 5 % beyond 1.358, 1 % beyond 1.628; 20,000 a side are near enough to infinity.
    const many = Array.from({ length: 20_000 }, (_, index) => index);
    const shifted = (by: number) =>
      compareDistributions(
        many,
        many.map((value) => value + by),
      ).pValue;
    expect(shifted(272)).toBeCloseTo(0.049, 2);
    expect(shifted(326)).toBeCloseTo(0.01, 2);
  });

  it('of two distributions see alike as alike and apart as apart, whatever ties', () => {
    expect(compareDistributions([1, 1, 2], [1, 1, 2])).toEqual({ effect: 0, pValue: 1 });
    const apart = compareDistributions(new Array(40).fill(1), new Array(40).fill(2));
    expect(apart.effect).toBe(1);
    expect(apart.pValue).toBeLessThan(1e-12);
  });
});

describe('the shape of JSON', () => {
  it('is its keys and types, not its values or their order', () => {
    expect(shapeOfJson(' {"b":1,"a":[{"x":null}]}')).toBe('{a:[{x:null}],b:number}');
    expect(shapeOfJson('{"a":[{"x":null}],"b":2}')).toBe(shapeOfJson('{"b":1,"a":[{"x":null}]}'));
    for (const text of ['', 'null', '"text"', 'Here you are: {}', '{"a":'])
      expect(shapeOfJson(text)).toBeUndefined();
  });
});
