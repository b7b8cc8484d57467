import type { Evaluation, EvaluationSuite, NewEvaluation, NewEvaluationSuite } from '../domain/evaluation.ts';
import type { LabelGate, TestedVersion } from '../domain/gate.ts';

export interface EvaluationFilter {
  readonly version?: number;
  readonly suite?: string;
}

export interface GateDemands {
  /** The suite that speaks for the prompt; left out: none, or nobody knows which. */
  readonly suite?: string;
  readonly repeatsMin: number | null;
}

/** Port to suites and evaluations: facts that are only ever added. */
export interface EvaluationStore {
  /**
   * Puts a suite in force. One that is in force already is not registered again: null.
   * @throws PromptgateError not_found — no such prompt
   */
  registerSuite(suite: NewEvaluationSuite): Promise<EvaluationSuite | null>;
  /** Every suite in force, by prompt and name; of one prompt when it is given. */
  listSuites(promptName?: string): Promise<EvaluationSuite[]>;
  findSuite(promptName: string, suite: string): Promise<EvaluationSuite | undefined>;
  /**
   * Records a finished run, once: the same run again is answered with what was recorded.
   * @throws PromptgateError not_found — no version of that number and checksum
   */
  recordEvaluation(evaluation: NewEvaluation): Promise<Evaluation>;
  findEvaluation(runId: string): Promise<Evaluation | undefined>;
  /** Newest first; `before` is the id of one. */
  listEvaluations(
    promptName: string,
    filter: EvaluationFilter,
    page: { readonly limit: number; readonly before?: number },
  ): Promise<Evaluation[]>;
  /** What the gate of a label asks a run of a prompt for; null: the label is not gated. */
  findGateDemands(promptName: string, label: string): Promise<GateDemands | null>;
  /** How every label that is set stands to its gate now. */
  listLabelGates(): Promise<LabelGate[]>;
  /** Every version of a prompt, in no order. */
  listTestedVersions(promptName: string): Promise<TestedVersion[]>;
}
