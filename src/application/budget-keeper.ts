/**
 * Holds calls to the budgets of their key, prompt and label. A share of a budget is taken from the database ahead and calls
 * are admitted against it in memory: one question for many calls, and none without a budget. What all gateways have taken
 * never exceeds the budget, so what is spent beyond it is at most what calls in flight cost more than was expected of them.
 */
import {
  type Budget,
  budgetKey,
  type LimitStanding,
  refuseByBudget,
  type StoredBudget,
} from '../domain/budget.ts';
import type { Admission, Execution } from '../domain/execution.ts';
import type { BudgetStore } from './budget-store.ts';

/** What a call is expected to take, until calls before it tell. */
export interface BudgetEstimate {
  readonly tokens: number;
  cost(currency: string): number;
}

export interface BudgetTicket {
  /** Of the limit that is nearest; null where none of requests or tokens holds. */
  readonly standing: LimitStanding | null;
  /** What it came to; null: nothing. Counts once. */
  settle(execution: Execution | null): void;
}

export interface BudgetKeeper {
  /** @throws PromptgateError budget_exceeded, rate_limited */
  admit(admission: Admission, estimate: () => BudgetEstimate): Promise<BudgetTicket | undefined>;
  /** How far each budget is used in its present period, as this gateway last heard; from memory. */
  uses(): BudgetUse[];
  /** Reads the budgets again, and gives back what no call has wanted since the last time. */
  refresh(): Promise<void>;
  start(): Promise<void>;
  /** Gives back what was taken and not spent. */
  stop(): Promise<void>;
}

export interface BudgetUse {
  readonly budget: Budget;
  /** What all gateways have taken, over what is allowed; where nothing is refused, over what is warned of. */
  readonly ratio: number;
}

export interface BudgetKeeperOptions {
  readonly now?: () => number;
  readonly onWarning: (budget: Budget, taken: number) => void;
  readonly onError: (error: unknown) => void;
}

const refreshMs = 2_000;
/** A budget that is spent costs the database no question for each call that is refused. */
const dryMs = 500;
/** A share is a twentieth of the budget at most, so that what one gateway holds idle does not starve another, */
const shares = 20;
/** and enough for so many calls: it is lost with a process that is killed, until the period ends. */
const callsAhead = 100;

/** What this gateway holds of one budget in one period. */
interface Share {
  budget: Budget;
  starts: Date | null;
  ends: number;
  balance: number;
  /** For calls in flight. */
  held: number;
  /** Mean of what calls took; undefined before the first. */
  mean: number | undefined;
  asking: Promise<number> | undefined;
  warned: boolean;
  /** What all gateways had taken when this one last asked. */
  taken: number;
  /** Since the last look at the budgets. */
  used: boolean;
  /** Nothing was left: until then nobody asks again. */
  dryUntil: number;
}

export function createBudgetKeeper(store: BudgetStore, options: BudgetKeeperOptions): BudgetKeeper {
  const now = options.now ?? Date.now;
  let shareOf = new Map<string, Share>();
  let bySubject = new Map<string, Share[]>();
  let timer: NodeJS.Timeout | undefined;

  function take(budgets: readonly StoredBudget[]): void {
    const next = new Map<string, Share>();
    const subjects = new Map<string, Share[]>();
    for (const budget of budgets) {
      const key = budgetKey(budget);
      const share = shareOf.get(key) ?? newShare(budget);
      if (share.budget.refuseAt !== budget.refuseAt) share.dryUntil = 0;
      share.budget = budget;
      next.set(key, share);
      const subject = `${budget.scope} ${budget.subject}`;
      subjects.set(subject, [...(subjects.get(subject) ?? []), share]);
    }
    shareOf = next;
    bySubject = subjects;
  }

  /** @returns what was granted; shared by all that wait for the same budget */
  function ask(share: Share, amount: number, least: number): Promise<number> {
    share.asking ??= (async () => {
      const { budget, starts, balance } = share;
      const owed = -Math.min(balance, 0);
      const bulk = Math.min(amount * callsAhead, shareOfWhole(budget));
      const grant = await store.take(budget, { starts, owed, wanted: Math.max(amount, bulk), least });
      if (share.starts?.getTime() !== grant.starts.getTime()) share.balance = 0;
      else share.balance += owed;
      share.balance += grant.granted;
      if (share.starts?.getTime() !== grant.starts.getTime()) share.warned = false;
      share.starts = grant.starts;
      share.ends = grant.ends.getTime();
      share.taken = grant.taken;
      warn(share);
      return grant.granted;
    })().finally(() => {
      share.asking = undefined;
    });
    return share.asking;
  }

  const refusalOf = ({ budget, mean, ends }: Share) => refuseByBudget(budget, mean, ends - now());

  /** What this gateway holds and has not spent is no reason to. */
  function warn(share: Share): void {
    const { budget, taken, balance, held, ends } = share;
    const spent = taken - balance - held;
    if (budget.warnAt === null || share.warned || now() >= ends || spent < Number(budget.warnAt)) return;
    share.warned = true;
    options.onWarning(budget, Number(spent.toPrecision(6)));
  }

  /** @returns what is held for the call: `amount`, or of a first one whatever is left, if that is `least` or more */
  async function acquire(share: Share, amount: number, least: number): Promise<number> {
    share.used = true;
    for (;;) {
      // An earlier question may have been answered for less than this call needs.
      const mine = share.asking === undefined;
      if (mine && share.balance >= amount && now() < share.ends) {
        share.balance -= amount;
        return amount;
      }
      if (now() < Math.min(share.dryUntil, share.ends)) throw refusalOf(share);
      if (mine && now() >= share.ends && share.starts) await giveBack(share);
      const granted = await ask(share, amount, least);
      if (granted < amount && share.balance < amount) {
        const held = share.balance;
        if (held >= least) {
          share.balance = 0;
          return held;
        }
        share.dryUntil = now() + dryMs;
        throw refusalOf(share);
      }
    }
  }

  async function giveBack(share: Share): Promise<void> {
    const { budget, starts, balance } = share;
    if (balance === 0 || !starts) return;
    share.balance = 0;
    try {
      const { taken } = await store.take(budget, { starts, owed: -balance, wanted: 0, least: 0 });
      share.taken = taken;
    } catch (error) {
      // What is owed may be said twice, what is left may not: in doubt the budget is spent.
      if (share.starts?.getTime() === starts.getTime() && balance < 0) share.balance += balance;
      throw error;
    }
  }

  async function refresh(): Promise<void> {
    take(await store.list());
    for (const share of shareOf.values()) {
      // Another gateway may want what lies idle here, and would never get it should this process be killed.
      if (!share.used && !share.asking) await giveBack(share);
      share.used = false;
      warn(share);
    }
  }

  return {
    async admit(admission, estimateOf) {
      if (bySubject.size === 0) return undefined;
      const shares = subjectsOf(admission).flatMap((subject) => bySubject.get(subject) ?? []);
      if (shares.length === 0) return undefined;
      const estimate = estimateOf();
      const held: { share: Share; amount: number; starts: Date | null }[] = [];
      const settle = (execution: Execution | null) => {
        for (const { share, amount, starts } of held.splice(0)) {
          const spent = execution ? spentOf(share.budget, execution) : 0;
          if (execution) share.mean = share.mean === undefined ? spent : 0.9 * share.mean + 0.1 * spent;
          // What belongs to a period that is over is not carried into the next.
          if (share.starts?.getTime() === starts?.getTime()) share.balance += amount - spent;
          share.held -= amount;
        }
      };
      try {
        for (const share of shares) {
          const expected = share.mean ?? firstOf(share.budget, estimate);
          const least = share.mean ?? Math.min(expected, leastOf(share.budget));
          const amount = await acquire(share, expected, least);
          held.push({ share, amount, starts: share.starts });
          share.held += amount;
        }
      } catch (error) {
        settle(null);
        throw error;
      }
      return { settle, standing: standingOf(shares, now()) };
    },
    uses: () =>
      [...shareOf.values()].map(({ budget, taken, ends }) => ({
        budget,
        ratio: now() < ends ? taken / Number(budget.refuseAt ?? budget.warnAt) : 0,
      })),
    refresh,
    async start() {
      await refresh();
      timer ??= setInterval(() => void refresh().catch(options.onError), refreshMs).unref();
    },
    async stop() {
      clearInterval(timer);
      for (const share of shareOf.values()) await giveBack(share).catch(options.onError);
    },
  };
}

function newShare(budget: Budget): Share {
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
function standingOf(shares: readonly Share[], now: number): LimitStanding | null {
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

function subjectsOf({ keyId, promptName, label }: Admission): string[] {
  return [
    ...(keyId === null ? [] : [`key ${keyId}`]),
    `prompt ${promptName}`,
    ...(label === null ? [] : [`label ${label}`]),
  ];
}

function expectedOf({ measure, currency }: Budget, estimate: BudgetEstimate): number {
  if (measure === 'requests') return 1;
  return measure === 'tokens' ? estimate.tokens : estimate.cost(currency);
}

/**
 * A text and its limit overrate a call many times over: the first call of a budget, of which none before it tells, is held
 * for the whole budget at most, or a small one would refuse every call and never learn.
 */
function firstOf(budget: Budget, estimate: BudgetEstimate): number {
  return Math.min(expectedOf(budget, estimate), Number(budget.refuseAt ?? Number.POSITIVE_INFINITY));
}

/** Where others have taken most of it, a first call is let through on what is left, if that is a share. */
function leastOf(budget: Budget): number {
  return budget.measure === 'requests' ? 1 : shareOfWhole(budget);
}

function shareOfWhole({ refuseAt }: Budget): number {
  return refuseAt === null ? Number.POSITIVE_INFINITY : Number(refuseAt) / shares;
}

function spentOf({ measure, currency }: Budget, execution: Execution): number {
  if (measure === 'requests') return 1;
  if (measure === 'tokens') return (execution.promptTokens ?? 0) + (execution.completionTokens ?? 0);
  return execution.price.currency === currency ? Number(execution.price.cost ?? 0) : 0;
}
