import type { CostDimension, CostLine } from '../domain/cost-line.ts';
import type { ExecutionPurpose, ExecutionStatus, Price } from '../domain/execution.ts';
import type { Json } from '../domain/json.ts';

export interface CostFilter {
  readonly promptName?: string;
  readonly promptVersion?: number;
  readonly label?: string;
  readonly model?: string;
  readonly keyId?: string;
  readonly purpose?: ExecutionPurpose;
  readonly status?: ExecutionStatus;
}

export interface CostQuestion extends CostFilter {
  /** Whole hours; whole days (UTC) are answered faster. */
  readonly since: Date;
  readonly until: Date;
  readonly by: readonly CostDimension[];
  /** Sum the latencies too. */
  readonly latency: boolean;
  /** Sum what a comparison needs; left out: those sums are 0. */
  readonly products?: boolean;
  /** At most so many lines, the first in their order; left out: all. */
  readonly limit?: number;
}

/** A call that was billed and could not be priced when it settled. */
export interface UnpricedExecution {
  readonly id: string;
  readonly provider: string | null;
  readonly model: string | null;
  readonly startedAt: Date;
  /** What was billed, as the row keeps it. */
  readonly billed: Json;
}

export interface BackfilledCost {
  readonly price: Price;
  readonly actor: string;
  readonly reason: string;
  readonly createdAt: Date;
}

/** Port to the rollups and to the costs that became known later. */
export interface CostStore {
  /** Adds what has settled since the last time, at most `limit` executions. @returns how many; null: another is at it */
  rollUp(limit: number): Promise<number | null>;
  /**
   * Sums the hours that the period touches anew.
   * @returns how many facts were summed
   * @throws PromptgateError conflict — a month of it was dropped
   */
  rebuild(since: Date, until: Date): Promise<number>;
  /** Executions that settled and are in no sum yet. */
  pending(): Promise<number>;
  sum(question: CostQuestion): Promise<CostLine[]>;
  /** In order of their ids. */
  listUnpriced(
    period: { since: Date; until: Date },
    after: string,
    limit: number,
  ): Promise<UnpricedExecution[]>;
  beginBackfill(period: { since: Date; until: Date }, actor: string, reason: string): Promise<number>;
  /** @returns how many were recorded: what has a cost keeps it */
  recordBackfilled(backfillId: number, costs: readonly { id: string; price: Price }[]): Promise<number>;
  findBackfilled(executionId: string): Promise<BackfilledCost | undefined>;
}
