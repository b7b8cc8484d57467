// The one function that must not be wrong: what is taken of a budget, whoever asks.
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BudgetAsk } from '../../src/application/budget-store.ts';
import type { Budget } from '../../src/domain/budget.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { databases, type TestDatabase } from '../support/databases.ts';

describe.each(databases)('what is taken of a budget on $name', ({ create }) => {
  let database: TestDatabase;
  let store: Store;
  let next = 0;

  beforeAll(async () => {
    database = await create();
    store = await openStore({ databaseUrl: database.url });
  });
  afterAll(async () => {
    await store.close();
    await database.drop();
  });

  const budgetOf = (refuseAt: string | null): Budget => ({
    ...{ scope: 'prompt', subject: `prompt-${next++}`, measure: 'cost', period: 'month' },
    ...{ currency: 'USD', refuseAt, warnAt: null },
  });
  const take = (budget: Budget, ask: Partial<BudgetAsk>) =>
    store.budgets.take(budget, { starts: null, owed: 0, amount: 0, ahead: 0, least: 0, ...ask });

  it('leaves room for any number of gateways: each takes a twentieth of what is left, or one call', async () => {
    const budget = budgetOf('600');
    const granted: number[] = [];
    for (let gateway = 0; gateway < 60; gateway++) {
      granted.push((await take(budget, { amount: 1, ahead: 100, least: 1 })).granted);
    }
    expect(granted.slice(0, 2)).toEqual([30, 28.5]);
    expect(Math.min(...granted)).toBeGreaterThanOrEqual(1);
    expect(granted.reduce((sum, one) => sum + one)).toBeLessThan(600);
  });

  it('never exceeds it but for what is owed, and gives a last call what is left if that is of use', async () => {
    const budget = budgetOf('1');
    const first = await take(budget, { amount: 0.7, ahead: 70, least: 0.7 });
    expect(first).toMatchObject({ granted: 0.7, taken: 0.7 });
    expect(await take(budget, { amount: 0.5, least: 0.31 })).toMatchObject({ granted: 0, taken: 0.7 });
    expect(await take(budget, { amount: 0.5, least: 0.05 })).toMatchObject({ granted: 0.3, taken: 1 });
    const { starts } = first;
    expect(await take(budget, { starts, owed: 2 })).toMatchObject({ granted: 0, taken: 3 });
    expect(await take(budget, { starts, owed: -2.5, amount: 0.5, least: 0.5 })).toMatchObject({ taken: 1 });
    expect(await take(budgetOf(null), { amount: 2, ahead: 200, least: 2 })).toMatchObject({ granted: 200 });
  });

  it('is told to the last of twelve decimals, and how long its period lasts by the clock of the database', async () => {
    const amount = 0.123456789012;
    const { granted, starts, leftMs } = await take(budgetOf('1000'), { amount, least: amount });
    expect(granted).toBe(amount);
    const sql = postgres(database.url, { max: 1 });
    const [row] =
      await sql`select extract(epoch from ${starts}::timestamptz + interval '1 month' - now()) * 1000 as left`;
    await sql.end();
    expect(Math.abs(leftMs - Number(row!.left))).toBeLessThan(60_000);
  });
});
