/**
 * Drift: what a model does that it did not do before, of the same version and with nobody having changed anything.
 *
 * All detectors speak first; then all of their tests together are corrected, so that a run over many prompts and measures
 * raises a false alarm no more often than one test would.
 */
import { detectChangedAnswers } from './drift-answers.ts';
import { detectShifts, leastSamples } from './drift-distribution.ts';
import { detectOtherModel } from './drift-identity.ts';
import { type DriftSubject, type DriftWindows, groupSamples } from './drift-sample.ts';
import type { DriftSignal } from './drift-signal.ts';
import { correctForMany } from './paired-test.ts';

/** Of runs in which nothing changed, at most this share has any finding of a test. */
const falseAlarmRate = 0.01;

export interface DriftFinding extends DriftSubject, Omit<DriftSignal, 'relevant'> {
  /** `pValue` corrected for all tests of the run; null: a fact that needs no test. */
  readonly correctedP: number | null;
}

/** What was looked at, found or not. */
export interface DriftCoverage extends DriftSubject {
  readonly baselineCount: number;
  readonly nowCount: number;
  readonly tests: number;
  /** Why it could not be compared, or not in full; null: it was. */
  readonly note: string | null;
}

interface DriftResult {
  readonly findings: readonly DriftFinding[];
  readonly compared: readonly DriftCoverage[];
  /** Tests that were made, whatever they said. */
  readonly tests: number;
}

/** What the detectors say of one subject, before anybody knows whether it is chance. */
export interface DriftMeasurement {
  readonly coverage: DriftCoverage;
  readonly subject: DriftSubject;
  readonly signals: readonly DriftSignal[];
}

/** @param windows samples of any number of subjects; only like is compared with like */
export function measureDrift(windows: DriftWindows): DriftMeasurement[] {
  return groupSamples(windows).map(({ subject, windows: own }) => {
    const signals =
      own.baseline.length === 0
        ? []
        : [...detectChangedAnswers(own), ...detectOtherModel(own), ...detectShifts(own)];
    const coverage = {
      ...subject,
      baselineCount: own.baseline.length,
      nowCount: own.now.length,
      tests: signals.filter(({ pValue }) => pValue !== null).length,
      note: noteOn(own),
    };
    return { subject, signals, coverage };
  });
}

/** @param measured everything that one run looked at: the more it asks, the surer an answer has to be */
export function judgeDrift(measured: readonly DriftMeasurement[]): DriftResult {
  const all = measured.flatMap(({ subject, signals }) => signals.map((signal) => ({ subject, signal })));
  const tested = all.filter(({ signal }) => signal.pValue !== null);
  const corrected = correctForMany(tested.map(({ signal }) => signal.pValue ?? 1));
  const correctedOf = new Map(tested.map(({ signal }, index) => [signal, corrected[index]!]));
  const findings = all.flatMap(({ subject, signal }) => {
    const { relevant, ...told } = signal;
    const correctedP = correctedOf.get(signal) ?? null;
    const sure = correctedP === null || correctedP < falseAlarmRate;
    return relevant && sure ? [{ ...subject, ...told, correctedP }] : [];
  });
  return { findings, tests: tested.length, compared: measured.map(({ coverage }) => coverage) };
}

function noteOn({ baseline, now }: DriftWindows): string | null {
  if (baseline.length === 0) return 'nothing to compare with: no baseline';
  if (baseline.length >= leastSamples && now.length >= leastSamples) return null;
  return `numbers and rates need ${leastSamples} on each side`;
}
