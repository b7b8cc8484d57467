import type { DriftCoverage, DriftFinding } from '../domain/drift.ts';
import type { DriftSample } from '../domain/drift-sample.ts';

/** One run over the trail: executions of [baselineSince, since) are compared with those of [since, until). */
export interface DriftRun {
  readonly id: string;
  readonly actor: string;
  /** The time that it is the run of; null: somebody asked for it. */
  readonly dueAt: Date | null;
  /** Null: every prompt. */
  readonly promptName: string | null;
  readonly baselineSince: Date;
  readonly since: Date;
  readonly until: Date;
  readonly tests: number;
  readonly compared: readonly DriftCoverage[];
}

export interface StoredDriftFinding extends DriftFinding {
  readonly id: number;
  readonly runId: string;
  /** When the same was first found, if every run since then that compared it has found it; null: it is new. */
  readonly knownSince: Date | null;
  readonly createdAt: Date;
}

/** Port to what drift reads of the trail, and to what it found. */
export interface DriftStore {
  /**
   * Calls and probes of a prompt that started in [since, until) and reached a provider: so many, spread over the time. What
   * a definition declares is not known here: `deterministic` is what the parameters say.
   */
  sample(promptName: string, since: Date, until: Date): Promise<DriftSample[]>;
  /** @returns null — the run of that time is recorded already */
  record(run: DriftRun, findings: readonly DriftFinding[]): Promise<StoredDriftFinding[] | null>;
  /** Runs of the last week by the clock, older than `afterMs`, with news that no webhook is known to have taken. */
  listUntaken(
    afterMs: number,
  ): Promise<{ readonly run: DriftRun; readonly findings: readonly StoredDriftFinding[] }[]>;
  /** Newest first. */
  listFindings(
    filter: { readonly promptName?: string; readonly since?: Date },
    page: { readonly limit: number; readonly before?: number },
  ): Promise<StoredDriftFinding[]>;
}
