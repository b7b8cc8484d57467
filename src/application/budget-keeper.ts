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
import {
  type BudgetEstimate,
  countable,
  firstOf,
  leastOf,
  partOf,
  rounded,
  spentOf,
} from '../domain/budget-amount.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { Admission, Execution } from '../domain/execution.ts';
import { newShare, type Share, standingOf } from './budget-share.ts';
import type { BudgetGrant, BudgetStore } from './budget-store.ts';

export interface BudgetTicket {
  /** Of the limit that is nearest; null where none of requests or tokens holds. */
  readonly standing: LimitStanding | null;
  /** What it came to; null: nothing. Counts once. */
  settle(execution: Execution | null): void;
}

export interface BudgetKeeper {
  /**
   * @param estimate asked only of a call before which none told. @param signal aborts when the caller went away
   * @throws PromptgateError budget_exceeded, rate_limited; audit_unavailable — the budgets cannot be asked; cancelled
   */
  admit(
    admission: Admission,
    estimate: () => BudgetEstimate,
    signal?: AbortSignal,
  ): Promise<BudgetTicket | undefined>;
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
  /** Milliseconds of a clock that only runs forward: periods are the database's, which says how long they last. */
  readonly now?: () => number;
  readonly onWarning: (budget: Budget, taken: number) => void;
  readonly onError: (error: unknown) => void;
}

const refreshMs = 2_000;
/** What is taken ahead is lost with a process that is killed, until the period ends. */
const callsAhead = 100;
/** A budget that is spent costs the database no question for each call that is refused. */
const dryMs = 500;
/** A call that waits for others' questions again and again is told so. */
const waitMs = 10_000;

/** A part of a share, for one call. */
interface Held {
  readonly share: Share;
  readonly amount: number;
  readonly starts: Date | null;
}

export function createBudgetKeeper(store: BudgetStore, options: BudgetKeeperOptions): BudgetKeeper {
  const now = options.now ?? (() => performance.now());
  let shareOf = new Map<string, Share>();
  let bySubject = new Map<string, Share[]>();
  let timer: NodeJS.Timeout | undefined;

  function follow(budgets: readonly StoredBudget[]): void {
    const next = new Map<string, Share>();
    const subjects = new Map<string, Share[]>();
    for (const budget of budgets) {
      const key = budgetKey(budget);
      const share = shareOf.get(key) ?? newShare(budget);
      if (share.budget.refuseAt !== budget.refuseAt) share.dryUntil = 0;
      if (share.budget.warnAt !== budget.warnAt) share.warned = false;
      share.budget = budget;
      if (!share.asking) share.taken = Number(budget.taken);
      next.set(key, share);
      const subject = `${budget.scope} ${budget.subject}`;
      subjects.set(subject, [...(subjects.get(subject) ?? []), share]);
    }
    shareOf = next;
    bySubject = subjects;
  }

  /** What is left or owed goes back, and `amount` is taken, with more for calls to come; 0: nothing. @returns what was granted */
  function ask(share: Share, amount: number, least: number): Promise<number> {
    share.asking = takeAnew(share, amount, least).finally(() => {
      share.asking = undefined;
    });
    return share.asking;
  }

  async function takeAnew(share: Share, amount: number, least: number): Promise<number> {
    const { budget, starts, balance: left } = share;
    const wanted = { amount, ahead: amount * callsAhead, least };
    let grant: BudgetGrant;
    try {
      grant = await store.take(budget, { starts, owed: -left, ...wanted });
    } catch (error) {
      // What is owed may be said twice, what is left may not: in doubt the budget is spent.
      share.balance -= Math.max(left, 0);
      throw error;
    }
    const isSamePeriod = starts?.getTime() === grant.starts.getTime();
    share.balance = rounded((isSamePeriod ? share.balance - left : 0) + grant.granted);
    share.warned &&= isSamePeriod;
    share.starts = grant.starts;
    share.ends = now() + grant.leftMs;
    share.taken = grant.taken;
    warn(share);
    return grant.granted;
  }

  /** What this gateway holds and has not spent is no reason to. */
  function warn(share: Share): void {
    const { budget, taken, balance, held, ends } = share;
    const spent = taken - balance - held;
    if (budget.warnAt === null || share.warned || now() >= ends || spent < Number(budget.warnAt)) return;
    share.warned = true;
    options.onWarning(budget, Number(spent.toPrecision(6)));
  }

  function refusalOf({ budget, mean, ends, taken, balance, held }: Share, least: number): PromptgateError {
    const endsInMs = Math.max(0, ends - now());
    // What is held for calls in flight comes back as far as they do not spend it; a request always is one.
    const mayReturn =
      budget.measure !== 'requests' && taken - balance - held + least <= Number(budget.refuseAt);
    return refuseByBudget(budget, mean, mayReturn ? { heldForMs: refreshMs } : { endsInMs });
  }

  /** Holds for the call `amount`, or of a first one whatever is left, if that is `least` or more. */
  async function acquire(share: Share, amount: number, least: number, signal?: AbortSignal): Promise<Held> {
    share.used = true;
    for (const until = now() + waitMs; now() <= until; ) {
      if (signal?.aborted) throw new PromptgateError('cancelled', 'The caller went away before the call.');
      if (share.asking) {
        // What another call was granted says nothing of this one.
        await share.asking;
        continue;
      }
      if (now() < share.ends && share.balance >= amount) return hold(share, amount);
      if (now() < Math.min(share.dryUntil, share.ends)) throw refusalOf(share, least);
      const granted = await ask(share, amount, least);
      if (granted >= amount) continue;
      if (granted >= least && share.balance >= granted) return hold(share, granted);
      share.dryUntil = now() + dryMs;
      throw refusalOf(share, least);
    }
    const late = 'The budgets do not answer in time. No provider was called.';
    throw new PromptgateError('audit_unavailable', late, { retryAfterMs: dryMs });
  }

  function hold(share: Share, amount: number): Held {
    share.balance = rounded(share.balance - amount);
    share.held = rounded(share.held + amount);
    return { share, amount, starts: share.starts };
  }

  /** What a call came to leaves its share; where nobody says, what was expected of it: a control, and no bill. */
  function release({ share, amount, starts }: Held, execution: Execution | null): void {
    const known = execution ? spentOf(share.budget, execution) : 0;
    // Nothing is no lesson: the next call may cost something.
    if (known) share.mean = countable(share.mean === undefined ? known : 0.9 * share.mean + 0.1 * known);
    share.held = rounded(share.held - amount);
    // What belongs to a period that is over is not carried into the next.
    if (share.starts?.getTime() !== starts?.getTime()) return;
    share.balance = rounded(share.balance + amount - (known ?? share.mean ?? amount));
  }

  async function giveBack(share: Share): Promise<void> {
    if (share.balance !== 0 && share.starts && !share.asking) await ask(share, 0, 0);
  }

  async function refresh(): Promise<void> {
    follow(await store.list());
    for (const share of shareOf.values()) {
      // Another gateway may want what lies idle here, and would never get it should this process be killed.
      if (!share.used || share.balance > partOf(share.budget)) await giveBack(share);
      share.used = false;
      warn(share);
    }
  }

  return {
    async admit(admission, estimateOf, signal) {
      if (bySubject.size === 0) return undefined;
      const shares = subjectsOf(admission).flatMap((subject) => bySubject.get(subject) ?? []);
      if (shares.length === 0) return undefined;
      let estimate: BudgetEstimate | undefined;
      const held: Held[] = [];
      const settle = (execution: Execution | null) => {
        for (const one of held.splice(0)) release(one, execution);
      };
      try {
        for (const share of shares) {
          const { mean, budget } = share;
          const amount = mean ?? firstOf(budget, () => (estimate ??= estimateOf()));
          const least = mean ?? Math.min(amount, leastOf(budget));
          held.push(await acquire(share, amount, least, signal));
        }
      } catch (error) {
        settle(null);
        throw error;
      }
      return { settle, standing: standingOf(shares, now()) };
    },
    uses: () =>
      [...shareOf.values()].map(({ budget, taken }) => ({
        budget,
        ratio: taken / Number(budget.refuseAt ?? budget.warnAt),
      })),
    refresh,
    async start() {
      await refresh();
      timer ??= setInterval(() => void refresh().catch(options.onError), refreshMs).unref();
    },
    async stop() {
      clearInterval(timer);
      for (const share of shareOf.values()) {
        await share.asking?.catch(() => {});
        await giveBack(share).catch(options.onError);
      }
    },
  };
}

function subjectsOf({ keyId, promptName, label }: Admission): string[] {
  return [
    ...(keyId === null ? [] : [`key ${keyId}`]),
    `prompt ${promptName}`,
    ...(label === null ? [] : [`label ${label}`]),
  ];
}
