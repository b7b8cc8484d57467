/** The wire form of a day's summary, as it is asked for and as a webhook is told it. */
import { z } from '@hono/zod-openapi';
import type { PostedSummary } from '../application/summarize-day.ts';
import type { WebhookEvent } from '../application/webhook-post.ts';
import { budgetMeasures, budgetPeriods, budgetScopes } from '../domain/budget.ts';
import type { DailySummary, DayFigures } from '../domain/daily-summary.ts';

const change = z.number().nullable();
const amounts = z.record(z.string(), z.string());

const figures = {
  executions: z.number().int(),
  succeeded: z.number().int(),
  prompt_tokens: z.number().int(),
  completion_tokens: z.number().int(),
  unknown_costs: z.number().int().openapi({ description: 'Executions whose cost nobody knows: in no sum.' }),
  costs: z.array(
    z.object({
      currency: z.string(),
      cost: z.string().openapi({ description: 'Exact decimal.' }),
      day_before: z.string(),
      week_mean: change.openapi({ description: 'Of those of the seven days before on which it ran.' }),
      change: change.openapi({ description: 'Against the day before; 0.4: 40 % more.' }),
      week_change: change,
    }),
  ),
};

export const summarySchema = z
  .object({
    day: z.iso.date().openapi({ description: 'UTC.' }),
    total: z.object(figures),
    versions: z.array(
      z.object({ prompt: z.string().nullable(), version: z.number().int().nullable(), ...figures }),
    ),
    versions_left_out: z.number().int(),
    budgets: z.array(
      z.object({
        scope: z.enum(budgetScopes),
        subject: z.string(),
        measure: z.enum(budgetMeasures),
        period: z.enum(budgetPeriods),
        currency: z.string().nullable(),
        taken: z.string(),
        refuse_at: z.string().nullable(),
        warn_at: z.string().nullable(),
      }),
    ),
    late: z
      .array(z.object({ day: z.iso.date(), executions: z.number().int(), costs: amounts }))
      .openapi({ description: 'Earlier days that have more now than when they were posted.' }),
    pending: z.number().int().openapi({ description: 'Executions that are in no sum yet.' }),
  })
  .openapi('DailySummary');

export const postedSchema = z
  .object({
    day: z.iso.date(),
    event_id: z.string().openapi({ description: 'The `webhook-id` of the day, however often it is posted.' }),
    outcome: z.enum(['taken', 'before', 'posting', 'refused']),
    reason: z.string().nullable().openapi({ description: 'Why it was not taken.' }),
  })
  .openapi('PostedSummary');

export function toSummaryView(summary: DailySummary): z.infer<typeof summarySchema> {
  return {
    day: summary.day,
    total: toFigures(summary.total),
    versions: summary.lines.map((line) => ({
      prompt: line.prompt || null,
      version: line.version || null,
      ...toFigures(line),
    })),
    versions_left_out: summary.linesLeftOut,
    budgets: summary.budgets.map(({ refuseAt, warnAt, currency, ...budget }) => ({
      ...budget,
      currency: currency || null,
      refuse_at: refuseAt,
      warn_at: warnAt,
    })),
    late: summary.late.map(({ day, executions, costs }) => ({ day, executions, costs: { ...costs } })),
    pending: summary.pending,
  };
}

export function toPostedView({ day, eventId, outcome, reason }: PostedSummary): z.infer<typeof postedSchema> {
  return { day, event_id: eventId, outcome, reason };
}

export function toSummaryEvent(summary: DailySummary): WebhookEvent {
  const { day } = summary;
  return { id: `costs_${day}`, type: 'costs.daily', timestamp: new Date(), data: toSummaryView(summary) };
}

function toFigures(figures: DayFigures) {
  return {
    executions: figures.executions,
    succeeded: figures.succeeded,
    prompt_tokens: figures.promptTokens,
    completion_tokens: figures.completionTokens,
    unknown_costs: figures.unknownCosts,
    costs: figures.costs.map(({ currency, cost, dayBefore, weekMean, change, weekChange }) => ({
      currency,
      cost,
      day_before: dayBefore,
      week_mean: weekMean,
      change,
      week_change: weekChange,
    })),
  };
}
