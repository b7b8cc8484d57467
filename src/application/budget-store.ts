import type { Budget, StoredBudget } from '../domain/budget.ts';

/** What a gateway holds of a budget, and what it wants. Amounts are those of the budget's measure, of twelve decimals. */
export interface BudgetAsk {
  /** The period that `owed` belongs to; null before the first ask. */
  readonly starts: Date | null;
  /** Spent beyond what was taken; below zero: taken and not spent. */
  readonly owed: number;
  /** For the call that asks. */
  readonly amount: number;
  /** In place of it, with calls to come: as much of this as leaves enough for other gateways. */
  readonly ahead: number;
  /** Less than this would be of no use. */
  readonly least: number;
}

export interface BudgetGrant {
  readonly granted: number;
  readonly taken: number;
  readonly starts: Date;
  /** Until the period ends, by the clock of the database. */
  readonly leftMs: number;
}

/** Port to the budgets, which all gateways share. */
export interface BudgetStore {
  list(): Promise<StoredBudget[]>;
  set(budget: Budget, actor: string, reason: string | null): Promise<void>;
  /** In one transaction: what is taken never exceeds `refuseAt`, but for what is owed. */
  take(budget: Budget, ask: BudgetAsk): Promise<BudgetGrant>;
}
