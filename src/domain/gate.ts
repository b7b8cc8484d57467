/** What a gated label asks of a version, and how labels and versions stand to it. The database decides (`decide_deployment`). */

/** Conditions of a gate; null: not asked for. Rates are 0 to 1. */
export interface GateRequirements {
  /** Null: the prompt's `default` suite, else its only one. */
  readonly suite: string | null;
  readonly passRateMin: number | null;
  /** Of the pass rate, at the confidence of the run. */
  readonly lowerBoundMin: number | null;
  readonly repeatsMin: number | null;
  /** How old evidence may be, in seconds. */
  readonly ageMaxS: number | null;
  /** By how much the version may be worse than the one that the label holds, in pass rate. */
  readonly marginMax: number | null;
  /** Answers of the simulated provider count: for trying gates out. */
  readonly simulated: boolean;
}

export const noRequirements: GateRequirements = {
  suite: null,
  passRateMin: null,
  lowerBoundMin: null,
  repeatsMin: null,
  ageMaxS: null,
  marginMax: null,
  simulated: false,
};

/** How a label stands to its gate now. */
export interface LabelGate {
  readonly promptName: string;
  readonly label: string;
  readonly version: number;
  readonly gated: boolean;
  /** Why what it holds would not be let in again, e.g. `stale_suite`; null: it would, or nothing is asked. */
  readonly unproven: string | null;
  /** The same as a sentence, and the command that changes it. */
  readonly message: string | null;
  readonly command: string | null;
  /** The evaluation that proves it, or comes closest. */
  readonly evaluationId: number | null;
  /** It came past the gate, and has not passed since. */
  readonly glassBroken: boolean;
}

/** The plain flag: whether the suite in force has passed a version as it would run now. */
export interface TestedVersion {
  readonly version: number;
  readonly tested: boolean;
  /** Why not, e.g. `not_evaluated`, and the same as a sentence; null: tested. */
  readonly untested: string | null;
  readonly message: string | null;
  /** Of the evaluation that decides; null where there is none. */
  readonly score: number | null;
  readonly passRate: number | null;
  readonly lowerBound: number | null;
  readonly suite: string | null;
  readonly evaluationId: number | null;
  readonly evaluatedAt: Date | null;
}
