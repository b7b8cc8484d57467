import type { Candidate, SampleStratum } from '../domain/replay-sample.ts';
import type { ReplayTarget } from './replay-execution.ts';

/** What a batch was asked for, with everything that could change meanwhile made fast. */
export interface ReplayQuestion {
  readonly from: { readonly label?: string; readonly version?: number };
  /** A label is the version that it held when the batch began. */
  readonly instead: ReplayTarget;
  /** As it was asked for: a version, a label, a model, a file. */
  readonly to: string;
  /** ISO 8601. */
  readonly since: string;
  readonly until: string;
  readonly size: number;
  readonly seed: string;
  readonly stratify: readonly SampleStratum[];
}

export interface NewReplayRun {
  readonly runId: string;
  readonly promptName: string;
  readonly question: ReplayQuestion;
  /** Executions in the order in which they are replayed. */
  readonly executionIds: readonly string[];
  readonly population: number;
  readonly keyId: string | null;
  readonly actor: string;
}

export interface ReplayRun extends NewReplayRun {
  readonly createdAt: Date;
}

/** Port to batches of replays. What is drawn is only ever added. */
export interface ReplayStore {
  /**
   * Answers and failures of one prompt that applications called, in the order that the seed gives them; of each group at
   * most `size`.
   * @param keyId of one key; null: of all
   */
  listCandidates(
    promptName: string,
    question: Pick<ReplayQuestion, 'from' | 'since' | 'until' | 'size' | 'seed' | 'stratify'>,
    keyId: string | null,
  ): Promise<Candidate[]>;
  /** Once: the same run again changes nothing. */
  recordRun(run: NewReplayRun): Promise<void>;
  findRun(runId: string): Promise<ReplayRun | undefined>;
}
