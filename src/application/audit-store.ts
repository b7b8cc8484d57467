import type { TrafficCount } from '../domain/coverage.ts';
import type {
  Execution,
  ExecutionPurpose,
  ExecutionStatus,
  Intent,
  StoredExecution,
} from '../domain/execution.ts';

export interface ExecutionFilter {
  readonly promptName?: string;
  readonly promptVersion?: number;
  readonly label?: string;
  readonly status?: ExecutionStatus;
  readonly keyId?: string;
  readonly purpose?: ExecutionPurpose;
  /** The evaluation, batch or probe that made the calls. */
  readonly runId?: string;
  /** Which version ran for a request: by the trace it belongs to, the provider's id of it, or ours. */
  readonly traceId?: string;
  readonly providerRequestId?: string;
  readonly requestId?: string;
  readonly since?: Date;
  readonly until?: Date;
}

/** Port to the audit trail. Lists, because writes are committed in groups. */
export interface AuditStore {
  /** Commits intents. When it resolves they are durable; until then no byte may go to a provider. */
  writeIntents(intents: readonly Intent[]): Promise<void>;
  /**
   * Commits outcomes and clears every intent of the same executions, in one transaction. An outcome that is there
   * already stays as it is (a retried COMMIT is no duplicate); one that finds `unknown` in its place is kept beside it.
   */
  settle(executions: readonly Execution[]): Promise<void>;
  findExecution(id: string): Promise<StoredExecution | undefined>;
  /** When the month that the id is of was let go by retention; undefined: it is kept, or never was. */
  findRetention(id: string): Promise<Date | undefined>;
  /** What a gateway that was given up brought home after recovery had made the outcome `unknown`. */
  findLateOutcome(id: string): Promise<StoredExecution | undefined>;
  /** Newest first. `before` is an execution id: only older ones are returned. */
  listExecutions(
    filter: ExecutionFilter,
    page: { limit: number; before?: string },
  ): Promise<StoredExecution[]>;
  /** Calls of a run that have an intent and no outcome yet, of one key or (null) of all. */
  countCallsInFlight(runId: string, keyId: string | null): Promise<number>;
  /** Calls of applications that started in [since, until), of one key or (null) of all. */
  countTraffic(filter: { since: Date; until: Date; keyId: string | null }): Promise<TrafficCount[]>;
}
