import type { JudgeReference } from './evaluation-judge.ts';

/** Suites in force, and what a run of one said about a version. Both are facts: they are only ever added. */

/** A suite as it is registered; of one prompt and name the latest is in force. */
export interface EvaluationSuite {
  readonly id: number;
  readonly promptName: string;
  readonly suite: string;
  /** SHA-256, hex, over the canonical form: whatever changes what a run does or asks changes it. */
  readonly checksum: string;
  readonly source: string;
  /** Text of everything that it takes in, by path as the suite writes it. */
  readonly files: Readonly<Record<string, string>>;
  readonly judges: readonly JudgeReference[];
  /** Path of the file below the prompts directory, or null when it came over HTTP. */
  readonly path: string | null;
  readonly gitCommit: string | null;
  readonly actor: string;
  readonly createdAt: Date;
}

export type NewEvaluationSuite = Omit<EvaluationSuite, 'id' | 'createdAt'>;

/** `insufficient`: what was tried is too little to say either. */
export type EvaluationVerdict = 'passed' | 'failed' | 'insufficient';

export interface JudgeVersion extends JudgeReference {
  readonly checksum: string;
}

/** What is known against another version, case by case. Null figures: not compared. */
export interface BaselineComparison {
  readonly version: number;
  readonly checksum: string;
  /** Pass rate of the version less that of the baseline, and its lower confidence bound: -1 to 1. */
  readonly difference: number | null;
  readonly differenceLower: number | null;
}

/** One finished run of a suite on a version, with everything that its verdict depended on. */
export interface Evaluation {
  readonly id: number;
  readonly runId: string;
  readonly promptName: string;
  readonly version: number;
  readonly versionChecksum: string;
  readonly suite: string;
  readonly suiteChecksum: string;
  readonly judges: readonly JudgeVersion[];
  /** The model that was asked, as definitions name it: that of the version, unless the run took another. */
  readonly model: string;
  /** Answers came from the simulated provider: proof of nothing but the plumbing. */
  readonly simulated: boolean;
  readonly rendererVersion: number;
  /** Fewest trials of a case. */
  readonly repeats: number;
  readonly caseCount: number;
  /** Answers that were judged or ought to have been: at least `caseCount * repeats`, or the verdict is not `passed`. */
  readonly trialCount: number;
  readonly passedCount: number;
  /** Executions, those of judges too. */
  readonly callCount: number;
  /** `passedCount / trialCount`, by the database; null without trials. */
  readonly passRate: number | null;
  /** Lower confidence bound of the pass rate, and the confidence that it has, e.g. 0.95. */
  readonly lowerBound: number | null;
  readonly confidence: number;
  /** Weighted mean over the assertions, 0 to 1. */
  readonly score: number;
  /** Pass rate that the run asked for. */
  readonly threshold: number;
  readonly baseline: BaselineComparison | null;
  readonly verdict: EvaluationVerdict;
  /** Per-case results, as the report has them. */
  readonly cases: unknown;
  /** Decimal text; null where it is not known. */
  readonly cost: string | null;
  readonly currency: string | null;
  readonly actor: string;
  readonly startedAt: Date;
  readonly createdAt: Date;
}

export type NewEvaluation = Omit<Evaluation, 'id' | 'passRate' | 'createdAt'>;
