import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBudgetKeeper } from '../../src/application/budget-keeper.ts';
import type { BudgetAsk, BudgetStore } from '../../src/application/budget-store.ts';
import type { StoredBudget } from '../../src/domain/budget.ts';
import type { Attempt, Execution } from '../../src/domain/execution.ts';
import { attempt, execution, intent } from '../support/records.ts';

const starts = new Date('2026-11-21T00:00:00Z');
const ends = new Date('2026-11-22T00:00:00Z');

/** The database's function, as its row lock makes it: one at a time. */
function sharedStore(refuseAt: number, warnAt: number | null = null, limits: Partial<StoredBudget> = {}) {
  const state = { taken: 0, asked: 0, leftMs: ends.getTime() - starts.getTime() - 1_000 };
  const budget = (): StoredBudget => ({
    ...{ scope: 'prompt', subject: 'summarize', measure: 'cost', period: 'day', currency: 'USD' },
    ...{ refuseAt: String(refuseAt), warnAt: warnAt === null ? null : String(warnAt) },
    ...{ taken: String(state.taken), actor: 'key:ada', reason: null, createdAt: starts },
    ...limits,
  });
  const store: BudgetStore = {
    list: async () => [budget()],
    set: async () => {},
    async take(_budget, ask) {
      const { owed, amount, ahead, least } = toDecimals(ask);
      await new Promise((resolve) => setImmediate(resolve));
      state.asked++;
      state.taken = Math.max(0, state.taken + owed);
      const room = refuseAt - state.taken;
      const granted =
        room >= amount ? Math.max(amount, Math.min(ahead, room / 20)) : room >= least ? room : 0;
      state.taken += granted;
      return { granted, taken: state.taken, starts, leftMs: state.leftMs };
    },
  };
  return { store, state, limits };
}

/** The database is told twelve decimals. */
function toDecimals(ask: BudgetAsk): Record<'owed' | 'amount' | 'ahead' | 'least', number> {
  const told = (amount: number) => Number(amount.toFixed(12));
  return {
    ...{ owed: told(ask.owed), amount: told(ask.amount), ahead: told(ask.ahead), least: told(ask.least) },
  };
}

async function keeperOf(store: BudgetStore, warned: number[] = [], now = () => starts.getTime() + 1_000) {
  const keeper = createBudgetKeeper(store, {
    now,
    onWarning: (_budget, taken) => void warned.push(taken),
    onError(error) {
      throw error;
    },
  });
  await keeper.refresh();
  return keeper;
}

const estimated = (cost: number) => () => ({ tokens: 1, cost: () => cost });

/** Nobody says what it cost. @param ended how its one attempt did; left out: no provider was asked */
function untold(ended?: Partial<Attempt>): Execution {
  const { price } = execution();
  return execution({
    ...{ price: { ...price, cost: null }, promptTokens: null, completionTokens: null },
    attempts: ended ? [{ ...attempt, ...ended }] : [],
  });
}

const costing = (cost: number): Execution => {
  const { price } = execution();
  return execution({ price: { ...price, cost: String(cost) } });
};

describe('budgets', () => {
  it('let through what fits and no more, however many gateways are asked at once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.nat(3), { minLength: 1, maxLength: 120 }),
        fc.integer({ min: 1, max: 60 }),
        async (count, calls, limit) => {
          const { store, state } = sharedStore(limit);
          const keepers = await Promise.all(Array.from({ length: count }, () => keeperOf(store)));
          let spent = 0;
          await Promise.all(
            calls.map(async (to) => {
              const keeper = keepers[to % count]!;
              const ticket = await keeper
                .admit(intent(), () => ({ tokens: 1, cost: () => 1 }))
                .catch(() => undefined);
              if (!ticket) return;
              await new Promise((resolve) => setImmediate(resolve));
              spent += 1;
              ticket.settle(costing(1));
            }),
          );
          // The first call of a gateway may be held for less than it costs, where little is left.
          expect(spent).toBeLessThan(limit + count);
          for (const keeper of keepers) await keeper.stop();
          expect(state.taken).toBeCloseTo(spent, 9);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('are exceeded by what calls in flight cost beyond expectation, and that is held against the next', async () => {
    const { store, state } = sharedStore(10);
    const keeper = await keeperOf(store);
    const tickets = await Promise.all(
      [1, 2, 3].map(() => keeper.admit(intent(), () => ({ tokens: 1, cost: () => 1 }))),
    );
    for (const ticket of tickets) ticket!.settle(costing(5));
    await expect(keeper.admit(intent(), () => ({ tokens: 1, cost: () => 1 }))).rejects.toMatchObject({
      code: 'budget_exceeded',
      retryAfterMs: ends.getTime() - starts.getTime() - 1_000,
    });
    await keeper.stop();
    expect(state.taken).toBe(15);
  });

  it('cost the database no question for each refusal, and what was never made counts nothing', async () => {
    const { store, state } = sharedStore(2, 1);
    const warned: number[] = [];
    const keeper = await keeperOf(store, warned);
    const admit = () => keeper.admit(intent(), () => ({ tokens: 1, cost: () => 1 }));
    (await admit())!.settle(null);
    (await admit())!.settle(costing(1));
    (await admit())!.settle(costing(1));
    const asked = state.asked;
    for (let call = 0; call < 50; call++)
      await expect(admit()).rejects.toMatchObject({ code: 'budget_exceeded' });
    expect(state.asked).toBe(asked + 1);
    expect(warned).toHaveLength(1);
  });

  it('tell a limited caller what is left, which all gateways have taken from, and others nothing', async () => {
    const { store } = sharedStore(40, null, { measure: 'requests', period: 'minute', currency: '' });
    const [one, other] = [await keeperOf(store), await keeperOf(store)];
    const standing = async (keeper: typeof one) =>
      (await keeper.admit(intent(), () => ({ tokens: 1, cost: () => 1 })))?.standing;
    const resetMs = ends.getTime() - starts.getTime() - 1_000;
    expect(await standing(one)).toEqual({ limit: '40', remaining: 39, resetMs });
    // The first holds two of a twentieth, of which it has used one.
    expect(await standing(other)).toMatchObject({ remaining: 37 });
    expect(await standing(one)).toMatchObject({ remaining: 38 });
    expect(await standing(one)).toMatchObject({ remaining: 35 });
    const money = await keeperOf(sharedStore(40).store);
    expect(await standing(money)).toBeNull();
  });

  it('lie idle with no gateway: what no call has wanted lately goes back, and what is owed is said', async () => {
    const { store, state } = sharedStore(100);
    const keeper = await keeperOf(store);
    const admit = () => keeper.admit(intent(), () => ({ tokens: 1, cost: () => 1 }));
    (await admit())!.settle(costing(1));
    await keeper.refresh();
    expect(state.taken).toBe(5);
    const inFlight = await admit();
    await keeper.refresh();
    await keeper.refresh();
    // One is spent, and one is held for the call in flight.
    expect(state.taken).toBe(2);
    inFlight!.settle(costing(7));
    await keeper.refresh();
    expect(state.taken).toBe(8);
    const { asked } = state;
    await keeper.refresh();
    expect(state.asked).toBe(asked);
  });

  it('smaller than what a call might cost at most are tried, and say so when every call is too much', async () => {
    const { store, state } = sharedStore(1);
    const keeper = await keeperOf(store);
    const admit = () => keeper.admit(intent(), () => ({ tokens: 1, cost: () => 50 }));
    for (let call = 0; call < 5; call++) (await admit())!.settle(costing(0.1));
    await keeper.refresh();
    await keeper.refresh();
    expect(state.taken).toBeCloseTo(0.5, 9);
    // One that knows of no call yet gets what the others left.
    const other = await keeperOf(store);
    const theirs = await other.admit(intent(), () => ({ tokens: 1, cost: () => 50 }));
    theirs!.settle(costing(0.1));
    expect(await other.admit(intent(), () => ({ tokens: 1, cost: () => 50 }))).toBeDefined();
    const small = await keeperOf(sharedStore(0.04).store);
    const first = await small.admit(intent(), () => ({ tokens: 1, cost: () => 50 }));
    first!.settle(costing(0.1));
    await expect(small.admit(intent(), () => ({ tokens: 1, cost: () => 50 }))).rejects.toMatchObject({
      code: 'budget_exceeded',
      message: expect.stringContaining('One call takes 0.1 of it on average, more than there is: raise it'),
    });
  });

  it('are warned of by what is spent: neither what is held for a call in flight counts, nor what went back', async () => {
    const { store } = sharedStore(100, 50);
    const warned: number[] = [];
    const keeper = await keeperOf(store, warned);
    const admit = () => keeper.admit(intent(), () => ({ tokens: 1, cost: () => 90 }));
    const first = await admit();
    await keeper.refresh();
    expect(warned).toEqual([]);
    first!.settle(costing(20));
    for (let look = 0; look < 3; look++) await keeper.refresh();
    expect(warned).toEqual([]);
    (await admit())!.settle(costing(40));
    await keeper.refresh();
    expect(warned).toEqual([60]);
  });

  it('lose with a gateway that is killed what a hundred calls take, at most', async () => {
    const { store, state } = sharedStore(1_000_000);
    const keeper = await keeperOf(store);
    for (let call = 0; call < 150; call++) {
      (await keeper.admit(intent(), () => ({ tokens: 1, cost: () => 2 })))!.settle(costing(2));
    }
    expect(state.taken - 300).toBeGreaterThanOrEqual(0);
    expect(state.taken - 300).toBeLessThanOrEqual(200);
    expect(state.asked).toBeLessThanOrEqual(3);
  });

  it.each([
    ['money', {}],
    ['tokens', { measure: 'tokens', period: 'minute', currency: '' } as const],
  ])(
    'of %s hold for calls of which nobody says what they took: those count as what was held',
    async (_, limits) => {
      const { store, state } = sharedStore(50, null, limits);
      const keeper = await keeperOf(store);
      const admit = () => keeper.admit(intent(), estimated(1));
      // A stream whose reader left before the usage came.
      (await admit())!.settle(untold({ httpStatus: null, errorCode: 'cancelled' }));
      const tickets = await Promise.all(Array.from({ length: 200 }, () => admit().catch(() => undefined)));
      const admitted = tickets.filter((ticket) => ticket !== undefined);
      expect(admitted).toHaveLength(49);
      for (const ticket of admitted) ticket.settle(untold({ httpStatus: 200 }));
      await expect(admit()).rejects.toMatchObject({ retryAfterMs: state.leftMs });
      await keeper.stop();
      expect(state.taken).toBe(50);
    },
  );

  it('take nothing for a call that no provider took, and learn nothing of it', async () => {
    const { store, state } = sharedStore(10);
    const keeper = await keeperOf(store);
    const admit = () => keeper.admit(intent(), estimated(1));
    const unreached = { httpStatus: null, errorCode: 'provider_unavailable' } as const;
    for (const ended of [undefined, { httpStatus: 401 }, unreached]) (await admit())!.settle(untold(ended));
    (await admit())!.settle(costing(0));
    const tickets = await Promise.all(Array.from({ length: 40 }, () => admit().catch(() => undefined)));
    expect(tickets.filter((ticket) => ticket)).toHaveLength(10);
    for (const ticket of tickets) ticket?.settle(untold({ httpStatus: 500 }));
    await keeper.stop();
    expect(state.taken).toBe(0);
  });

  it('refuse, once they are spent, what nothing is known of, too', async () => {
    const { store } = sharedStore(1);
    const keeper = await keeperOf(store);
    (await keeper.admit(intent(), estimated(1)))!.settle(costing(0));
    (await keeper.admit(intent(), estimated(0)))!.settle(untold({ httpStatus: 200 }));
    // It is busy, and yet it does not keep what the estimate of the first call took.
    await keeper.refresh();
    const other = await keeperOf(store);
    (await other.admit(intent(), estimated(1)))!.settle(costing(1));
    await expect(keeper.admit(intent(), estimated(0))).rejects.toMatchObject({ code: 'budget_exceeded' });
  });

  it('refuse a call for what it is told itself, not for what another was that asked before', async () => {
    const { store } = sharedStore(10);
    const keeper = await keeperOf(store);
    const both = [keeper.admit(intent(), estimated(0.1)), keeper.admit(intent(), estimated(5))];
    expect(await Promise.all(both)).toEqual([expect.anything(), expect.anything()]);
  });

  it('have room to the last digit, whatever calls cost', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.double({ min: 0.6, max: 1, noNaN: true }), { maxLength: 8 }),
        async (costs) => {
          // A share is less than a call: each is granted just what it asks for.
          const keeper = await keeperOf(sharedStore(10).store);
          for (const cost of costs) (await keeper.admit(intent(), estimated(cost)))!.settle(costing(cost));
        },
      ),
      { numRuns: 30 },
    );
  });

  it('held for calls in flight come back sooner than the period ends, and the refusal says so', async () => {
    const keeper = await keeperOf(sharedStore(1).store);
    const first = await keeper.admit(intent(), estimated(50));
    await expect(keeper.admit(intent(), estimated(50))).rejects.toMatchObject({
      message:
        'The budget of the prompt "summarize" is held for calls in flight: 1 USD a day. No provider was called.',
      ...{ retryAfterMs: 2_000, limit: null },
    });
    first!.settle(costing(0.1));
    expect(await keeper.admit(intent(), () => expect.fail('the mean is known'))).toBeDefined();
  });

  it('are held to the period of the database, whatever the clock of the host says', async () => {
    for (const skew of [-1e12, 0, 1e12]) {
      const { store, state } = sharedStore(100);
      let time = starts.getTime() + skew;
      const keeper = await keeperOf(store, [], () => time);
      for (let call = 0; call < 5; call++) (await keeper.admit(intent(), estimated(1)))!.settle(costing(1));
      expect(state.asked).toBe(1);
      time += state.leftMs;
      await keeper.admit(intent(), estimated(1));
      expect(state.asked).toBe(2);
    }
  });

  it('keep nobody waiting for ever, and nobody who has gone', async () => {
    const { store, state } = sharedStore(100);
    let time = 0;
    const keeper = await keeperOf(store, [], () => (time += 100));
    state.leftMs = 0;
    await expect(keeper.admit(intent(), estimated(1))).rejects.toMatchObject({ code: 'audit_unavailable' });
    expect(state.asked).toBeLessThan(100);
    const asked = state.asked;
    await expect(keeper.admit(intent(), estimated(1), AbortSignal.abort())).rejects.toMatchObject({
      code: 'cancelled',
    });
    expect(state.asked).toBe(asked);
  });

  it('let more than twenty gateways in at once, each of which takes ahead for itself', async () => {
    const { store } = sharedStore(600, null, { measure: 'requests', period: 'minute', currency: '' });
    const keepers = await Promise.all(Array.from({ length: 60 }, () => keeperOf(store)));
    for (const keeper of keepers) {
      const ticket = await keeper.admit(intent(), () => expect.fail('a request is a request'));
      expect(ticket?.standing?.limit).toBe('600');
    }
  });

  it('say how far they are used before the first call, and warn again where the threshold has changed', async () => {
    const { store, state, limits } = sharedStore(100, 20);
    state.taken = 30;
    const warned: number[] = [];
    const keeper = await keeperOf(store, warned);
    expect(keeper.uses()).toEqual([{ budget: expect.objectContaining({ refuseAt: '100' }), ratio: 0.3 }]);
    (await keeper.admit(intent(), estimated(1)))!.settle(costing(1));
    await keeper.refresh();
    expect(warned).toHaveLength(1);
    Object.assign(limits, { warnAt: '31' });
    await keeper.refresh();
    expect(warned).toEqual([30, 31]);
  });

  it('ask nothing of calls that have none', async () => {
    const { store, state } = sharedStore(1);
    const keeper = await keeperOf(store);
    const other = intent({ promptName: 'other', label: null, keyId: null });
    expect(await keeper.admit(other, () => expect.fail('not needed'))).toBeUndefined();
    expect(state.asked).toBe(0);
  });
});
