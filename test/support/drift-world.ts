/**
 * A provider as the drift detectors see it: seeded executions with the spread that real ones have, and seven ways to change.
 * Lengths, latencies and inputs vary from call to call; a change moves one thing and leaves the rest.
 */
import type { DriftSample, DriftWindows } from '../../src/domain/drift-sample.ts';

export const changes = [
  'wording',
  'length',
  'model name',
  'JSON shape',
  'refusals',
  'latency',
  'price',
] as const;
export type Change = (typeof changes)[number];

/** What each change is, in words; the generator below does it. */
export const changeSizes: Readonly<Record<Change, string>> = {
  wording: 'the same inputs get another answer',
  length: 'answers 40 % longer',
  'model name': 'another `response_model`, in one answer of ten',
  'JSON shape': 'a key is renamed',
  refusals: 'refused: 1 % before, 25 % now',
  latency: '60 % slower',
  price: '10 % dearer',
};

/** Mulberry32: numbers in [0, 1) that a seed repeats. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface WorldOptions {
  readonly seed: number;
  readonly count: number;
  readonly change?: Change;
  /** Distinct inputs; fewer than calls: they repeat. */
  readonly inputs: number;
  readonly deterministic?: boolean;
  /** Share of the answers that are another one for no reason; default: none where they are deterministic, else half. */
  readonly wavering?: number;
  readonly promptVersion?: number;
}

const start = Date.UTC(2026, 10, 14);

/** Executions of one window, a minute apart. */
export function sampleWorld(options: WorldOptions): DriftSample[] {
  const random = seededRandom(options.seed);
  return Array.from({ length: options.count }, (_, index) => toSample(options, random, index));
}

/** Of `promptgate drift`: a day against the seven before it. */
export const hoursOfDay = 24;
const baselineDays = 7;
const hourMs = 3_600_000;
/** As the store reads a window: the newest so many of each of its 24 slices. */
const perSlice = 40;

/** The windows of a run so many hours after the change, in a stream of `rate` calls an hour. */
export function sampleDay(
  { seed, rate, change }: { readonly seed: number; readonly rate: number; readonly change: Change | null },
  hour: number,
): DriftWindows {
  const [each, inBaseline] = [Math.min(perSlice, rate), Math.min(perSlice, baselineDays * rate)];
  const stretch = (part: number, count: number, day: number, changed: Change | null) =>
    sampleWorld({ inputs: 60, count, seed: 3 * seed + part, ...(changed ? { change: changed } : {}) }).map(
      (one, index) => ({ ...one, startedAt: new Date(start + (day * hoursOfDay + index / each) * hourMs) }),
    );
  const before = stretch(1, hoursOfDay * each, baselineDays, null).slice(hour * each);
  const after = stretch(2, hoursOfDay * each, baselineDays + 1, change).slice(0, hour * each);
  return { baseline: stretch(0, hoursOfDay * inBaseline, 0, null), now: [...before, ...after] };
}

function toSample(options: WorldOptions, random: () => number, index: number): DriftSample {
  const { change, inputs, deterministic = true, promptVersion = 1 } = options;
  const spread = (median: number, sigma: number) => median * Math.exp(sigma * normal(random));
  const input = Math.floor(random() * inputs);
  const outputLength = Math.round(spread(change === 'length' ? 560 : 400, 0.35));
  const promptTokens = Math.round(spread(300, 0.4));
  const completionTokens = Math.ceil(outputLength / 4);
  const latencyMs = spread(change === 'latency' ? 1_280 : 800, 0.45) + 2 * completionTokens * random();
  const refused = random() < (change === 'refusals' ? 0.25 : 0.01);
  const failed = random() < 0.02;
  const other = change === 'model name' && random() < 0.1;
  const cut = random() < 0.03;
  const optional = random() < 0.3 ? ',note:string' : '';
  const cost = (promptTokens * 0.15 + completionTokens * 0.6) / 1_000_000;
  const share = options.wavering ?? (deterministic ? 0 : 0.5);
  const wavering = share > 0 && random() < share ? index : 0;
  return {
    id: `execution-${options.seed}-${index}`,
    ...{ promptName: 'summarize', promptVersion, purpose: 'call', simulated: false },
    ...{ provider: 'openai', model: 'gpt-4o-mini', currency: 'USD' },
    startedAt: new Date(start + index * 60_000),
    status: failed ? 'failed' : 'succeeded',
    errorCode: failed ? 'provider_unavailable' : null,
    inputHash: `input-${input}`,
    deterministic,
    responseHash: failed ? null : `${change === 'wording' ? 'other' : 'answer'}-${input}-${wavering}`,
    responseModel: failed ? null : other ? 'gpt-4o-mini-2026-11-18' : 'gpt-4o-mini-2024-07-18',
    systemFingerprint: failed ? null : `fp_${Math.floor(random() * 4)}`,
    finishReason: failed ? null : cut ? 'length' : 'stop',
    ...{ promptTokens, completionTokens, latencyMs, outputLength },
    cost: failed ? null : cost * (change === 'price' ? 1.1 : 1),
    unitPrices: failed
      ? null
      : change === 'price'
        ? { input_mtok: '0.165', output_mtok: '0.66' }
        : { input_mtok: '0.15', output_mtok: '0.6' },
    refused,
    jsonShape: refused || cut ? null : `{${change === 'JSON shape' ? 'heading' : 'title'}:string${optional}}`,
  };
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
