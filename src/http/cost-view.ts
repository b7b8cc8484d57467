/** The wire form of costs: amounts as exact decimals, rates as numbers. And the same lines as CSV. */
import { z } from '@hono/zod-openapi';
import type { ComparedCosts, CostReport } from '../application/read-costs.ts';
import type { CostChange, CostRate } from '../domain/cost-comparison.ts';
import { type CostDimension, type CostLine, costDimensions } from '../domain/cost-line.ts';

const amountSchema = z.object({
  currency: z.string(),
  cost: z.string().openapi({ description: 'Exact decimal.' }),
  later_cost: z
    .string()
    .openapi({ description: 'The part of it that became known after the calls had settled.' }),
  per_execution: z.number().nullable().openapi({ description: 'Over the executions with a known cost.' }),
  per_1k_prompt_tokens: z.number().nullable(),
});

const lineSchema = z
  .object({
    group: z
      .record(z.enum(costDimensions), z.union([z.string(), z.number()]).nullable())
      .openapi({ description: 'What the line is about; null is what has none, as a call without a label.' }),
    key_name: z.string().nullable().optional(),
    executions: z.number().int(),
    succeeded: z.number().int(),
    attempts: z.number().int(),
    prompt_tokens: z.number().int(),
    completion_tokens: z.number().int(),
    cached_tokens: z.number().int(),
    cache_write_tokens: z.number().int(),
    reasoning_tokens: z.number().int(),
    costs: z.array(amountSchema),
    unknown_costs: z
      .number()
      .int()
      .openapi({ description: 'Executions that reached a provider and whose cost nobody knows.' }),
    later_costs: z.number().int(),
    latency_ms: z
      .object({ mean: z.number().nullable(), p50: z.number(), p95: z.number(), p99: z.number() })
      .nullable()
      .openapi({ description: 'Where `latency=true` asked for it.' }),
  })
  .openapi('CostLine');

export const costReportSchema = z
  .object({
    since: z.iso.datetime(),
    until: z.iso.datetime(),
    by: z.array(z.enum(costDimensions)),
    data: z.array(lineSchema),
    more: z.boolean().openapi({ description: 'There are more lines than `limit`.' }),
    pending: z
      .number()
      .int()
      .openapi({ description: 'Executions that settled just now and are in no line yet.' }),
  })
  .openapi('Costs');

const rateSchema = z.object({
  executions: z.number().int().openapi({ description: 'With known cost and prompt tokens.' }),
  cost: z.string(),
  prompt_tokens: z.number().int(),
  per_execution: z.number().nullable(),
  per_1k_prompt_tokens: z.number().nullable(),
  prompt_tokens_per_execution: z.number().nullable(),
});

const changeSchema = z
  .object({
    change: z.number().openapi({ description: '0.4: 40 % more.' }),
    lower: z.number().nullable(),
    upper: z.number().nullable(),
    p_value: z.number().nullable(),
  })
  .nullable();

export const costComparisonSchema = z
  .object({
    prompt: z.string(),
    from: z.number().int(),
    to: z.number().int(),
    since: z.iso.datetime(),
    until: z.iso.datetime(),
    confidence: z.number(),
    data: z.array(
      z.object({
        currency: z.string(),
        from: rateSchema,
        to: rateSchema,
        per_execution: changeSchema,
        per_1k_prompt_tokens: changeSchema,
      }),
    ),
  })
  .openapi('CostComparison');

export function toCostReportView(
  report: CostReport,
  by: readonly CostDimension[],
  keyNames: ReadonlyMap<string, string>,
): z.infer<typeof costReportSchema> {
  return {
    since: report.since.toISOString(),
    until: report.until.toISOString(),
    by: [...by],
    data: report.lines.map((line) => toLineView(line, by, keyNames)),
    more: report.more,
    pending: report.pending,
  };
}

function toLineView(
  line: CostLine,
  by: readonly CostDimension[],
  keyNames: ReadonlyMap<string, string>,
): z.infer<typeof lineSchema> {
  const { p50Ms, p95Ms, p99Ms } = line;
  return {
    group: Object.fromEntries(by.map((one) => [one, line.group[one] || null])) as Record<
      CostDimension,
      string | number | null
    >,
    ...(by.includes('key') ? { key_name: keyNames.get(String(line.group.key)) ?? null } : {}),
    executions: line.executions,
    succeeded: line.succeeded,
    attempts: line.attempts,
    prompt_tokens: line.promptTokens,
    completion_tokens: line.completionTokens,
    cached_tokens: line.cachedTokens,
    cache_write_tokens: line.cacheWriteTokens,
    reasoning_tokens: line.reasoningTokens,
    costs: line.costs.map(({ currency, cost, laterCost, priced, promptTokens }) => ({
      currency,
      cost,
      later_cost: laterCost,
      per_execution: priced === 0 ? null : Number(cost) / priced,
      per_1k_prompt_tokens: promptTokens === 0 ? null : (Number(cost) * 1_000) / promptTokens,
    })),
    unknown_costs: line.unknownCosts,
    later_costs: line.laterCosts,
    latency_ms:
      p50Ms === null || p95Ms === null || p99Ms === null
        ? null
        : { mean: line.meanLatencyMs, p50: p50Ms, p95: p95Ms, p99: p99Ms },
  };
}

/** One row for each line and currency; a line without a known cost has one row without an amount. */
export function toCostsCsv({ by, data }: z.infer<typeof costReportSchema>): string {
  const counts = [
    'executions',
    'succeeded',
    'attempts',
    'prompt_tokens',
    'completion_tokens',
    'cached_tokens',
    'cache_write_tokens',
    'reasoning_tokens',
    'unknown_costs',
    'later_costs',
  ] as const;
  const header = [...by, ...counts, 'currency', 'cost', 'later_cost'];
  const rows = data.flatMap((line) => {
    const first = [...by.map((one) => line.group[one] ?? ''), ...counts.map((name) => line[name])];
    if (line.costs.length === 0) return [[...first, '', '', '']];
    return line.costs.map(({ currency, cost, later_cost }) => [...first, currency, cost, later_cost]);
  });
  return [header, ...rows].map((row) => `${row.map(toCsvCell).join(',')}\r\n`).join('');
}

/** RFC 4180; and nothing that a spreadsheet would take for a formula: names of prompts are what callers sent. */
function toCsvCell(value: string | number): string {
  const text = typeof value === 'string' && /^[=+\-@\t]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const toRateView = (rate: CostRate) => ({
  executions: rate.executions,
  cost: rate.cost,
  prompt_tokens: rate.promptTokens,
  per_execution: rate.perExecution,
  per_1k_prompt_tokens: rate.perThousandPromptTokens,
  prompt_tokens_per_execution: rate.promptTokensPerExecution,
});

const toChangeView = (change: CostChange | null) =>
  change && { change: change.change, lower: change.lower, upper: change.upper, p_value: change.pValue };

export function toComparisonView(compared: readonly ComparedCosts[]) {
  return compared.map(({ currency, from, to, perExecution, perThousandPromptTokens }) => ({
    currency,
    from: toRateView(from),
    to: toRateView(to),
    per_execution: toChangeView(perExecution),
    per_1k_prompt_tokens: toChangeView(perThousandPromptTokens),
  }));
}
