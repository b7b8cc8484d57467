import type { DayBudget, DayTotals } from '../domain/daily-summary.ts';
import type { WebhookEvent } from './webhook-post.ts';

/** A day that somebody has claimed to post, with what is posted of it. */
export interface ClaimedSummary {
  readonly event: WebhookEvent;
  readonly totals: DayTotals;
  /** Since it was claimed, by the clock of the database. */
  readonly ageMs: number;
  /** Null: not taken yet, as far as is known. */
  readonly takenAt: Date | null;
}

/** Port to the summaries that were posted. Days are `2026-11-20`, UTC. */
export interface SummaryStore {
  find(day: string): Promise<ClaimedSummary | undefined>;
  /** @returns false: another has claimed the day */
  claim(day: string, event: WebhookEvent, totals: DayTotals, actor: string): Promise<boolean>;
  recordTaken(day: string, actor: string): Promise<void>;
  /** What summaries said of the days of [since, until). */
  listTotals(since: string, until: string): Promise<{ day: string; totals: DayTotals }[]>;
  /** Days of [since, until), from the first on that was ever claimed, that are not known to be taken. Claimed or not. */
  listUntaken(since: string, until: string): Promise<string[]>;
  /** What was taken of each budget in the periods that the day lies in; those by minute left out. */
  listBudgets(day: string): Promise<DayBudget[]>;
}
