import type { Budget, LimitStanding } from '../domain/budget.ts';

/** What this gateway holds of one budget in one period. */
export interface Share {
  budget: Budget;
  starts: Date | null;
  ends: number;
  balance: number;
  /** For calls in flight. */
  held: number;
  /** Mean of what calls took of which it is known; undefined before the first. */
  mean: number | undefined;
  asking: Promise<number> | undefined;
  warned: boolean;
  /** What all gateways had taken when this one last heard. */
  taken: number;
  /** Since the last look at the budgets. */
  used: boolean;
  /** Nothing was left: until then nobody asks again. */
  dryUntil: number;
}

export function newShare(budget: Budget): Share {
  return {
    budget,
    starts: null,
    ends: 0,
    balance: 0,
    held: 0,
    mean: undefined,
    asking: undefined,
    warned: false,
    taken: 0,
    used: false,
    dryUntil: 0,
  };
}

/** Of the limit of which the smallest part is left. */
export function standingOf(shares: readonly Share[], now: number): LimitStanding | null {
  let nearest: LimitStanding | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const { budget, taken, balance, ends } of shares) {
    if (budget.measure === 'cost' || budget.refuseAt === null) continue;
    const remaining = Math.max(0, Math.floor(Number(budget.refuseAt) - taken + balance));
    const part = remaining / Number(budget.refuseAt);
    if (part >= least) continue;
    least = part;
    nearest = { limit: budget.refuseAt, remaining, resetMs: Math.max(0, ends - now) };
  }
  return nearest;
}
