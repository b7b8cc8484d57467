/** What a run of a suite came to: trials, cases, verdict. What was not answered never counts as a pass. */
import type { AssertionGrade } from './case-grade.ts';
import type { EvaluationVerdict } from './evaluation.ts';
import type { CompiledSuite } from './evaluation-suite.ts';
import { casesToProve, lowerBound } from './pass-rate.ts';

/**
 * `failed`: answered, and not as demanded. `crashed`: an assertion could say neither. `unanswered`: no answer came, or
 * none that is known. `skipped`: the run ended before it.
 */
export type TrialOutcome = 'passed' | 'failed' | 'crashed' | 'unanswered' | 'skipped';

/** Trials without a verdict. */
export const openOutcomes: readonly TrialOutcome[] = ['crashed', 'unanswered', 'skipped'];

/** One answer to one case. */
export interface Trial {
  readonly repeat: number;
  readonly outcome: TrialOutcome;
  readonly score: number;
  /** Why it did not pass; null when it did. */
  readonly reason: string | null;
  readonly executionId: string | null;
  readonly latencyMs: number | null;
  /** In USD, judges included; null where it is not known. */
  readonly cost: number | null;
  readonly grades: readonly AssertionGrade[];
}

export interface CaseResult {
  readonly id: string;
  readonly description: string | null;
  readonly critical: boolean;
  /** Each of its trials passed. */
  readonly passed: boolean;
  /** Share of its trials that passed. */
  readonly share: number;
  readonly trials: readonly Trial[];
}

export interface AssertionSummary {
  readonly type: string;
  readonly metric: string | null;
  readonly passed: number;
  readonly count: number;
  readonly meanScore: number;
}

export interface RunSummary {
  readonly caseCount: number;
  readonly casesPassed: number;
  readonly trialCount: number;
  readonly trialsPassed: number;
  readonly outcomes: Readonly<Record<TrialOutcome, number>>;
  /** Passed of all trials; null without any. */
  readonly passRate: number | null;
  /**
   * What is proven about answers to inputs like these: a case counts once however often it was repeated, because its
   * repeats say nothing about other inputs.
   */
  readonly lowerBound: number | null;
  readonly confidence: number;
  /** Mean score of the trials; one without an answer scores nothing. */
  readonly score: number;
  readonly assertions: readonly AssertionSummary[];
  readonly latency: { readonly p50: number; readonly p95: number } | null;
  readonly verdict: EvaluationVerdict;
  /** Why it is not `passed`. */
  readonly reasons: readonly string[];
}

export type Demands = Pick<CompiledSuite, 'threshold' | 'proven' | 'confidence'>;

export function toCaseResult(
  { id, description, critical }: Pick<CaseResult, 'id' | 'description' | 'critical'>,
  trials: readonly Trial[],
): CaseResult {
  const passes = trials.filter(({ outcome }) => outcome === 'passed').length;
  return {
    id,
    description,
    critical,
    passed: trials.length > 0 && passes === trials.length,
    share: trials.length === 0 ? 0 : passes / trials.length,
    trials,
  };
}

export function summariseRun(cases: readonly CaseResult[], demands: Demands): RunSummary {
  const trials = cases.flatMap((result) => result.trials);
  const outcomes = countOutcomes(trials);
  const proven = lowerBound(
    cases.reduce((sum, { share }) => sum + share, 0),
    cases.length,
    demands.confidence,
  );
  const figures = {
    caseCount: cases.length,
    casesPassed: cases.filter(({ passed }) => passed).length,
    trialCount: trials.length,
    trialsPassed: outcomes.passed,
    outcomes,
    passRate: trials.length === 0 ? null : outcomes.passed / trials.length,
    lowerBound: proven,
    confidence: demands.confidence,
  };
  return {
    ...figures,
    score: trials.length === 0 ? 0 : trials.reduce((sum, { score }) => sum + score, 0) / trials.length,
    assertions: summariseAssertions(trials),
    latency: summariseLatency(trials),
    ...decide(cases, figures, demands),
  };
}

type Figures = Pick<
  RunSummary,
  'caseCount' | 'trialCount' | 'trialsPassed' | 'outcomes' | 'passRate' | 'lowerBound'
>;

/**
 * Failed is what fails even if every trial without a verdict had passed; passed is what passes although none of them
 * did; between the two there is not enough to say either.
 */
function decide(
  cases: readonly CaseResult[],
  figures: Figures,
  { threshold, proven, confidence }: Demands,
): Pick<RunSummary, 'verdict' | 'reasons'> {
  const { trialCount, trialsPassed, outcomes } = figures;
  const open = countOpen(outcomes);
  const failed: string[] = [];
  const missing: string[] = [];
  for (const { id, critical, passed, trials } of cases) {
    if (!critical || passed) continue;
    const isFailed = trials.some(({ outcome }) => outcome === 'failed');
    (isFailed ? failed : missing).push(`the critical case ${id} ${isFailed ? 'failed' : 'has no verdict'}`);
  }
  const needed = threshold * trialCount;
  if (trialsPassed + open < needed) {
    failed.push(`${trialsPassed} of ${trialCount} answers passed, and ${percent(threshold)} have to`);
  } else if (trialsPassed < needed) missing.push(`${openTrials(outcomes)}: not a pass, and not a failure`);
  if (trialCount === 0) missing.push('nothing was tried');
  else if (proven !== null && (figures.lowerBound ?? 0) < proven) {
    const { caseCount } = figures;
    missing.push(
      `${caseCount === 1 ? '1 case proves' : `${caseCount} cases prove`} ${percent(figures.lowerBound ?? 0)} at ${percent(confidence)}, and ${percent(proven)} has to be proven: that takes ${casesToProve(proven, confidence)} cases when all pass`,
    );
  }
  if (failed.length > 0) return { verdict: 'failed', reasons: [...failed, ...missing] };
  return { verdict: missing.length > 0 ? 'insufficient' : 'passed', reasons: missing };
}

export function countOpen(outcomes: RunSummary['outcomes']): number {
  return openOutcomes.reduce((sum, outcome) => sum + outcomes[outcome], 0);
}

function openTrials({ crashed, unanswered, skipped }: RunSummary['outcomes']): string {
  const parts = [
    [unanswered, 'without an answer'],
    [crashed, 'with an assertion that crashed'],
    [skipped, 'that the run did not come to'],
  ] as const;
  return parts
    .filter(([count]) => count > 0)
    .map(([count, what]) => `${count} ${what}`)
    .join(', ');
}

/** `86.1 %`: rounded down, so that it never promises more than there is. */
export function percent(rate: number): string {
  const shown = Math.floor(rate * 1_000 + 1e-9) / 10;
  return `${Number.isInteger(shown) ? shown : shown.toFixed(1)} %`;
}

function countOutcomes(trials: readonly Trial[]): RunSummary['outcomes'] {
  const counts = { passed: 0, failed: 0, crashed: 0, unanswered: 0, skipped: 0 };
  for (const { outcome } of trials) counts[outcome]++;
  return counts;
}

function summariseAssertions(trials: readonly Trial[]): AssertionSummary[] {
  const groups = new Map<string, AssertionGrade[]>();
  for (const grade of trials.flatMap(({ grades }) => grades)) {
    const key = `${grade.metric ?? ''}\n${grade.type}`;
    groups.set(key, [...(groups.get(key) ?? []), grade]);
  }
  return [...groups.values()].map((grades) => ({
    type: grades[0]!.type,
    metric: grades[0]!.metric,
    passed: grades.filter(({ pass }) => pass).length,
    count: grades.length,
    meanScore: grades.reduce((sum, { score }) => sum + score, 0) / grades.length,
  }));
}

function summariseLatency(trials: readonly Trial[]): RunSummary['latency'] {
  const sorted = trials.flatMap(({ latencyMs }) => latencyMs ?? []).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!;
  return { p50: at(0.5), p95: at(0.95) };
}
