/** How much of a budget a call is expected to take, and took. */
import type { Budget } from './budget.ts';
import type { Attempt, Execution } from './execution.ts';

/** What a call is expected to take, until calls before it tell. */
export interface BudgetEstimate {
  readonly tokens: number;
  cost(currency: string): number;
}

/** Decimals of what the database counts. */
const decimals = 12;
const smallest = 10 ** -decimals;
/** A share is a twentieth of a budget at most. */
const parts = 20;

/** As the database counts it, so that what is granted is what was asked for, to the last digit. */
export function rounded(amount: number): number {
  return Number(amount.toFixed(decimals));
}

/** Never nothing, so that a budget that is spent refuses a call of which nothing is known, too. */
export function countable(amount: number): number {
  return Math.max(smallest, rounded(amount));
}

/**
 * A text and its limit overrate a call many times over: the first call of a budget, of which none before it tells, is held
 * for the whole budget at most, or a small one would refuse every call and never learn.
 */
export function firstOf({ measure, currency, refuseAt }: Budget, estimate: () => BudgetEstimate): number {
  if (measure === 'requests') return 1;
  const expected = measure === 'tokens' ? estimate().tokens : estimate().cost(currency);
  return countable(Math.min(expected, Number(refuseAt ?? Number.POSITIVE_INFINITY)));
}

/** Where others have taken most of it, a first call is let through on what is left, if that is so much. */
export function leastOf(budget: Budget): number {
  return budget.measure === 'requests' ? 1 : partOf(budget);
}

/** More than so much is no share: a first call left it, which was held for too much. */
export function partOf({ refuseAt }: Budget): number {
  return refuseAt === null ? Number.POSITIVE_INFINITY : Number(refuseAt) / parts;
}

/** @returns null: a provider may have billed the call, and did not say what */
export function spentOf({ measure, currency }: Budget, execution: Execution): number | null {
  const { attempts, promptTokens, completionTokens, price } = execution;
  if (measure === 'requests') return attempts.length > 0 ? 1 : 0;
  const isKnown =
    measure === 'tokens' ? promptTokens !== null || completionTokens !== null : price.cost !== null;
  if (!isKnown) return attempts.some(mayBeBilled) ? null : 0;
  if (measure === 'tokens') return (promptTokens ?? 0) + (completionTokens ?? 0);
  return price.currency === currency ? Number(price.cost) : 0;
}

/** A provider that could not be reached, or answered with an error, did nothing; an outage does not use up a budget. */
function mayBeBilled({ httpStatus, errorCode }: Attempt): boolean {
  return httpStatus === null ? errorCode !== 'provider_unavailable' : httpStatus < 300;
}
