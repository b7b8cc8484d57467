import type { EvaluationVerdict } from '../domain/evaluation.ts';
import type { Probe } from '../domain/probe.ts';

/** A probe in force. */
export interface RegisteredProbe extends Probe {
  readonly id: number;
  readonly promptName: string;
  readonly suite: string;
  readonly actor: string;
  readonly createdAt: Date;
}

/** One run of a probe, as it was fixed when it began. */
export interface ProbeRun {
  readonly runId: string;
  readonly promptName: string;
  readonly suite: string;
  readonly probeId: number;
  /** The time that it is the run of; null: somebody asked for it. */
  readonly dueAt: Date | null;
  readonly label: string;
  readonly version: number;
  /** Ledger row that had put the version on the label. */
  readonly deploymentId: number;
  readonly suiteChecksum: string;
  /** Who asked for it, or `schedule:probes`. */
  readonly actor: string;
  readonly createdAt: Date;
}

/** What came of the policy to roll back: the ledger row, or why there is none. */
export type ProbeRollback = { readonly deploymentId: number } | { readonly refusal: string };

/** How a run ended. Only `failed` says that answers were not as demanded; nothing follows from `insufficient`. */
export interface ProbeOutcome {
  readonly outcome: EvaluationVerdict;
  readonly reasons: readonly string[];
  /** Cases that did not pass, with an execution that shows it. */
  readonly failures: readonly { readonly case: string; readonly execution: string | null }[];
  readonly caseCount: number;
  readonly trialCount: number;
  readonly passedCount: number;
  readonly callCount: number;
  readonly simulated: boolean;
  /** Decimal text; null where some call's cost is not known. */
  readonly cost: string | null;
  readonly currency: string | null;
  /** Null: the label was not to be rolled back. */
  readonly rollback: ProbeRollback | null;
}

export interface ProbeState {
  readonly probe: RegisteredProbe;
  /** Null: it never ran. Without an outcome: it runs, or its gateway died with it. */
  readonly last: { readonly run: ProbeRun; readonly outcome: ProbeOutcome | null } | null;
}

/** Port to probes, their runs and what these came to: facts that are only ever added. */
export interface ProbeStore {
  /** Every probe in force. */
  list(): Promise<RegisteredProbe[]>;
  find(promptName: string, suite: string): Promise<RegisteredProbe | undefined>;
  /** Puts a probe in force, or out of it with null. @throws PromptgateError not_found — no such prompt */
  register(
    subject: { readonly promptName: string; readonly suite: string },
    probe: Probe | null,
    by: { readonly actor: string; readonly gitCommit: string | null },
  ): Promise<void>;
  /** Begins a run, or finds the one of that time that began before: then `outcome` says whether it ended. */
  begin(
    run: Omit<ProbeRun, 'createdAt'>,
  ): Promise<{ readonly run: ProbeRun; readonly outcome: ProbeOutcome | null }>;
  /**
   * What runs of this day (UTC) but this one have spent, as decimal text. One whose cost is not known, or not yet, counts as
   * its whole budget.
   */
  spentToday(run: Pick<ProbeRun, 'runId' | 'promptName' | 'suite'>): Promise<string>;
  /** @returns false — it had ended already */
  end(runId: string, outcome: ProbeOutcome): Promise<boolean>;
  listStates(): Promise<ProbeState[]>;
  /** Runs of the last week that failed more than `afterMs` ago, of which no webhook is known to have taken it. */
  listUntaken(afterMs: number): Promise<{ readonly run: ProbeRun; readonly outcome: ProbeOutcome }[]>;
}
