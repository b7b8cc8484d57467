import { z } from 'zod';
import type { SummaryStore } from '../application/summary-store.ts';
import { budgetMeasures, budgetPeriods, budgetScopes } from '../domain/budget.ts';
import { bindGuard, type Pool } from './connection.ts';
import type { QueryCatalog } from './query-catalog.ts';

const totalsSchema = z.object({ executions: z.number(), costs: z.record(z.string(), z.string()) });

const claimedSchema = z.object({
  event: z.object({ id: z.string(), type: z.string(), timestamp: z.coerce.date(), data: z.unknown() }),
  totals: totalsSchema,
  age_ms: z.number(),
  taken_at: z.date().nullable(),
});

const budgetSchema = z.object({
  scope: z.enum(budgetScopes),
  subject: z.string(),
  measure: z.enum(budgetMeasures),
  period: z.enum(budgetPeriods),
  currency: z.string(),
  refuse_at: z.string().nullable(),
  warn_at: z.string().nullable(),
  taken: z.string(),
});

const untakenSchema = z.object({ day: z.string() });

const postedSchema = z.object({ day: z.string(), totals: totalsSchema });

export function createSummaryStore(pool: Pool, queries: QueryCatalog): SummaryStore {
  const find = queries.bind('findDailySummary');
  const claim = queries.bind('claimDailySummary');
  const recordTaken = queries.bind('recordDailySummaryTaken');
  const listTotals = queries.bind('listDailySummaryTotals');
  const listUntaken = queries.bind('listUntakenDays');
  const listBudgets = queries.bind('listBudgetsOfDay');
  const guard = bindGuard(pool);

  return {
    async find(day) {
      const [row] = await guard('reading', () => find(pool.sql, day));
      if (!row) return undefined;
      const { event, totals, age_ms, taken_at } = claimedSchema.parse(row);
      return { event, totals, ageMs: age_ms, takenAt: taken_at };
    },
    claim: (day, event, totals, actor) =>
      guard('auditing', async () => {
        const args = [day, JSON.stringify(event), JSON.stringify(totals), actor];
        return (await claim(pool.sql, ...args)).length > 0;
      }),
    async recordTaken(day, actor) {
      await guard('auditing', () => recordTaken(pool.sql, day, actor));
    },
    listTotals: (since, until) =>
      guard('reading', async () =>
        (await listTotals(pool.sql, since, until)).map((row) => postedSchema.parse(row)),
      ),
    listUntaken: (since, until) =>
      guard('reading', async () =>
        (await listUntaken(pool.sql, since, until)).map((row) => untakenSchema.parse(row).day),
      ),
    listBudgets: (day) =>
      guard('reading', async () =>
        (await listBudgets(pool.sql, day)).map((row) => {
          const { refuse_at, warn_at, ...rest } = budgetSchema.parse(row);
          return { ...rest, refuseAt: refuse_at, warnAt: warn_at };
        }),
      ),
  };
}
