import type { Evaluation, EvaluationSuite, NewEvaluation, NewEvaluationSuite } from '../domain/evaluation.ts';
import type { LabelGate, TestedVersion } from '../domain/gate.ts';

export interface EvaluationFilter {
  readonly version?: number;
  readonly suite?: string;
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
  /** How every label that is set stands to its gate now. */
  listLabelGates(): Promise<LabelGate[]>;
  /** Every version of a prompt, in no order. */
  listTestedVersions(promptName: string): Promise<TestedVersion[]>;
}
