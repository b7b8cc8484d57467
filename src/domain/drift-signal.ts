import type { DriftSample } from './drift-sample.ts';

export const driftDetectors = ['answers', 'identity', 'distribution'] as const;
export type DriftDetector = (typeof driftDetectors)[number];

/** What a detector says about one measure of one subject. */
export interface DriftSignal {
  readonly detector: DriftDetector;
  /** What was measured: `latency`, `finish_reason=length`, `response_model` … */
  readonly measure: string;
  /** Null: a fact that needs no test. */
  readonly pValue: number | null;
  /** See the detector; 0 is none. */
  readonly effect: number;
  /** Great enough to be told of, if it is no chance. */
  readonly relevant: boolean;
  /** Executions looked at. */
  readonly baselineCount: number;
  readonly nowCount: number;
  /** For a person, short: `median 312 ms`, `4 of 200 (2.0 %)`. */
  readonly before: string;
  readonly after: string;
  /** Models, fingerprints or prices that never were before: others than those found last time are news. */
  readonly newValues?: readonly string[];
  /** Executions that show it best. */
  readonly evidence: { readonly before: string | null; readonly after: string | null };
}

/** The execution whose value is nearest to `value`. */
export function nearest(
  samples: readonly DriftSample[],
  read: (sample: DriftSample) => number | null,
  value: number,
): string | null {
  let best: DriftSample | undefined;
  let distance = Number.POSITIVE_INFINITY;
  for (const sample of samples) {
    const own = read(sample);
    if (own === null || Math.abs(own - value) >= distance) continue;
    best = sample;
    distance = Math.abs(own - value);
  }
  return best?.id ?? null;
}

export function toPercent(hits: number, count: number): string {
  return `${hits} of ${count} (${count === 0 ? '0.0' : ((100 * hits) / count).toFixed(1)} %)`;
}
