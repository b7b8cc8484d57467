import { z } from 'zod';
import type { BudgetStore } from '../application/budget-store.ts';
import { type Budget, budgetMeasures, budgetPeriods, budgetScopes } from '../domain/budget.ts';
import { bindGuard, type Pool } from './connection.ts';
import type { QueryCatalog } from './query-catalog.ts';

const budgetSchema = z.object({
  scope: z.enum(budgetScopes),
  subject: z.string(),
  measure: z.enum(budgetMeasures),
  period: z.enum(budgetPeriods),
  currency: z.string(),
  refuse_at: z.string().nullable(),
  warn_at: z.string().nullable(),
  taken: z.string(),
  actor: z.string(),
  reason: z.string().nullable(),
  created_at: z.date(),
});

const grantSchema = z.object({
  granted: z.coerce.number(),
  taken: z.coerce.number(),
  starts: z.date(),
  left_ms: z.coerce.number(),
});

export function createBudgetStore(pool: Pool, queries: QueryCatalog): BudgetStore {
  const list = queries.bind('listBudgets');
  const insert = queries.bind('insertBudget');
  const take = queries.bind('takeBudget');

  const guard = bindGuard(pool);

  return {
    list: () =>
      guard('auditing', async () =>
        (await list(pool.sql)).map((row) => {
          const { refuse_at, warn_at, created_at, ...rest } = budgetSchema.parse(row);
          return { ...rest, refuseAt: refuse_at, warnAt: warn_at, createdAt: created_at };
        }),
      ),
    async set(budget, actor, reason) {
      await guard('auditing', () =>
        insert(pool.sql, ...identityOf(budget), budget.refuseAt, budget.warnAt, actor, reason),
      );
    },
    take: (budget, { starts, owed, amount, ahead, least }) =>
      guard('auditing', async () => {
        const amounts = [owed, amount, ahead, least].map((one) => one.toFixed(12));
        const [row] = await take(pool.sql, ...identityOf(budget), budget.refuseAt, starts, ...amounts);
        const { left_ms: leftMs, ...grant } = grantSchema.parse(row);
        return { ...grant, leftMs };
      }),
  };
}

function identityOf({ scope, subject, measure, period, currency }: Budget) {
  return [scope, subject, measure, period, currency] as const;
}
