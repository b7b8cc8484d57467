import type { DriftCoverage, DriftFinding } from '../domain/drift.ts';
import type { DriftSample } from '../domain/drift-sample.ts';

/** One run over the trail: executions of [baselineSince, since) are compared with those of [since, until). */
export interface DriftRun {
  readonly id: string;
  readonly actor: string;
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
  /** When the same was first found, as long as it was found every week; null: it is new. */
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
  record(run: DriftRun, findings: readonly DriftFinding[]): Promise<StoredDriftFinding[]>;
  /** Newest first. */
  listFindings(
    filter: { readonly promptName?: string; readonly since?: Date },
    page: { readonly limit: number; readonly before?: number },
  ): Promise<StoredDriftFinding[]>;
}
