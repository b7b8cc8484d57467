import { PromptgateError } from './errors.ts';

export const budgetScopes = ['key', 'prompt', 'label'] as const;
export type BudgetScope = (typeof budgetScopes)[number];

/** Money by day or month; requests and tokens (of prompt and completion) by minute. */
export const budgetMeasures = ['cost', 'requests', 'tokens'] as const;
export type BudgetMeasure = (typeof budgetMeasures)[number];
export const budgetPeriods = ['minute', 'day', 'month'] as const;
export type BudgetPeriod = (typeof budgetPeriods)[number];

export interface Budget {
  readonly scope: BudgetScope;
  /** Id of the key, name of the prompt or of the label. */
  readonly subject: string;
  readonly measure: BudgetMeasure;
  readonly period: BudgetPeriod;
  /** Of a cost; else `''`. Money of another currency does not count. */
  readonly currency: string;
  /** Exact decimals; null: none. */
  readonly refuseAt: string | null;
  readonly warnAt: string | null;
}

/** A budget in force. */
export interface StoredBudget extends Budget {
  /** What is spent or held for calls in flight in the present period. */
  readonly taken: string;
  readonly actor: string;
  readonly reason: string | null;
  readonly createdAt: Date;
}

/** How a caller stands with a limit of requests or tokens. */
export interface LimitStanding {
  /** Of a minute; an exact decimal. */
  readonly limit: string;
  /** What this gateway knows to be left: others may have taken of it since. */
  readonly remaining: number;
  /** Until the limit begins anew. */
  readonly resetMs: number;
}

export function budgetKey({ scope, subject, measure, period, currency }: Budget): string {
  return JSON.stringify([scope, subject, measure, period, currency]);
}

/**
 * @param mean what calls took so far; undefined: there was none
 * @param room when there is some again: as soon as calls in flight have ended, of what is held for them, or in the next period
 */
export function refuseByBudget(
  budget: Budget,
  mean: number | undefined,
  room: { readonly heldForMs: number } | { readonly endsInMs: number },
): PromptgateError {
  const { scope, subject, measure, period, refuseAt, currency } = budget;
  const whose = scope === 'key' ? 'this key' : `the ${scope} "${subject}"`;
  const isMoney = measure === 'cost';
  const isHeld = 'heldForMs' in room;
  const how = isHeld ? 'held for calls in flight' : isMoney ? 'spent' : 'reached';
  const says = `The ${isMoney ? 'budget' : 'limit'} of ${whose} is ${how}`;
  const limit = `${refuseAt} ${isMoney ? currency : measure} a ${period}`;
  // Waiting cures nothing then.
  const tooSmall =
    (mean ?? 0) > Number(refuseAt)
      ? ` One call takes ${Number((mean ?? 0).toPrecision(3))} of it on average, more than there is: raise it, or lift it.`
      : '';
  const message = `${says}: ${limit}.${tooSmall} No provider was called.`;
  const retryAfterMs = Math.max(1_000, isHeld ? room.heldForMs : room.endsInMs);
  if (isMoney) return new PromptgateError('budget_exceeded', message, { retryAfterMs });
  return new PromptgateError('rate_limited', message, { retryAfterMs, limit: refuseAt ?? '' });
}
