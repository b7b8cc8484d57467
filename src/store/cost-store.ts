/** The rollups, and the costs that became known later. What is summed where: sql/migrations/0060_costs.sql. */
import type postgres from 'postgres';
import { z } from 'zod';
import type { CostQuestion, CostStore } from '../application/cost-store.ts';
import type { CostDimension, CostLine } from '../domain/cost-line.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { Json } from '../domain/json.ts';
import { bindGuard, type Pool, sqlStateOf, toStoreError } from './connection.ts';
import { priceSchema } from './execution-rows.ts';
import type { QueryCatalog, Row } from './query-catalog.ts';
import { inTransaction } from './transaction.ts';

const dayMs = 86_400_000;
const text = z.string().nullable();
/** Sums come as numbers, or as text beyond what a double holds exactly. */
const count = z.union([z.number(), z.string().transform(Number)]);

const lineSchema = z.object({
  day: text,
  prompt: text,
  version: z.number().nullable(),
  label: text,
  model: text,
  key: text,
  purpose: text,
  status: text,
  executions: count,
  succeeded: count,
  prompt_tokens: count,
  completion_tokens: count,
  cached_tokens: count,
  cache_write_tokens: count,
  reasoning_tokens: count,
  attempts: count,
  unknown_costs: count,
  later_costs: count,
  latency_us: count,
  measured: count.nullable(),
  p50_ms: z.number().nullable(),
  p95_ms: z.number().nullable(),
  p99_ms: z.number().nullable(),
  costs: z.array(
    z.object({
      currency: z.string(),
      cost: z.string(),
      later_cost: z.string(),
      priced: z.number(),
      priced_prompt_tokens: z.number(),
      cost_squares: z.string(),
      cost_prompt_tokens: z.string(),
      prompt_tokens_squares: z.string(),
    }),
  ),
});

const unpricedSchema = z.object({
  id: z.string(),
  provider: text,
  model: text,
  started_at: z.date(),
  price: z.object({ billed: z.custom<Json>(() => true) }),
});

const backfilledSchema = z.object({
  cost: z.string(),
  currency: z.string(),
  price: priceSchema,
  actor: z.string(),
  reason: z.string(),
  created_at: z.date(),
});

/** @param open gives a connection for one task alone, which may take long */
export function createCostStore(pool: Pool, open: () => postgres.Sql, queries: QueryCatalog): CostStore {
  const run = bindQueries(queries);
  const guard = bindGuard(pool);

  return {
    rollUp: (limit) =>
      guard('auditing', async () => {
        const [row] = await run.rollUp(pool.sql, limit);
        return row?.taken == null ? null : Number(row.taken);
      }),
    async rebuild(since, until) {
      const sql = open();
      try {
        const [row] = await inTransaction(sql, async (tx) => {
          await run.unlimit(tx);
          return run.rebuild(tx, since, until);
        });
        return Number(row?.queued ?? 0);
      } catch (error) {
        if (sqlStateOf(error) !== '23001') throw toStoreError(error, 'auditing');
        throw new PromptgateError(
          'conflict',
          'A month of this period was dropped: its sums are all that is left of it, and they stay. Name a period after it.',
        );
      } finally {
        await sql.end({ timeout: 1 });
      }
    },
    pending: () => guard('reading', async () => Number((await run.pending(pool.sql))[0]?.pending ?? 0)),
    sum: (question) =>
      guard('reading', async () => {
        return (await run.sum(pool.sql, ...argumentsOf(question))).map(toCostLine);
      }),
    listUnpriced: ({ since, until }, after, limit) =>
      guard('reading', async () =>
        (await run.unpriced(pool.sql, since, until, after, limit)).map((row) => {
          const { id, provider, model, started_at, price } = unpricedSchema.parse(row);
          return { id, provider, model, startedAt: started_at, billed: price.billed };
        }),
      ),
    beginBackfill: ({ since, until }, actor, reason) =>
      guard('auditing', async () =>
        Number((await run.beginBackfill(pool.sql, since, until, actor, reason))[0]?.id),
      ),
    async recordBackfilled(backfillId, costs) {
      if (costs.length === 0) return 0;
      const rows = costs.map(({ id, price: { cost, currency, ...price } }) => {
        return { execution_id: id, backfill_id: backfillId, cost, currency, price };
      });
      return (await guard('auditing', () => run.record(pool.sql, JSON.stringify(rows)))).length;
    },
    async findBackfilled(executionId) {
      const [row] = await guard('reading', () => run.findBackfilled(pool.sql, executionId));
      if (!row) return undefined;
      const { cost, currency, price, actor, reason, created_at } = backfilledSchema.parse(row);
      return { price: { cost, currency, ...price }, actor, reason, createdAt: created_at };
    },
  };
}

function bindQueries(queries: QueryCatalog) {
  return {
    rollUp: queries.bind('rollUpExecutions'),
    rebuild: queries.bind('rebuildExecutionRollups'),
    unlimit: queries.bind('unlimitStatement'),
    pending: queries.bind('countPendingRollups'),
    // A plan for any filters and any grouping takes ten times as long as one for what is asked.
    sum: queries.bind('sumCosts', { prepare: false }),
    unpriced: queries.bind('listUnpricedExecutions'),
    beginBackfill: queries.bind('insertCostBackfill'),
    record: queries.bind('insertBackfilledCosts'),
    findBackfilled: queries.bind('findBackfilledCost'),
  };
}

/** The days (UTC) that lie in the period as a whole; none of them: from its end to its end. */
function wholeDaysOf({ since, until }: CostQuestion): [Date, Date] {
  const first = Math.ceil(since.getTime() / dayMs) * dayMs;
  const end = Math.floor(until.getTime() / dayMs) * dayMs;
  return first < end ? [new Date(first), new Date(end)] : [until, until];
}

const versionDimensions: readonly CostDimension[] = ['day', 'prompt', 'version'];

/** The sums of versions know no label, model, key, purpose or status, and no distribution of the latency. */
function isOfVersions({ by, latency, label, model, keyId, purpose, status }: CostQuestion): boolean {
  const filters = [label, model, keyId, purpose, status];
  return (
    !latency &&
    by.every((one) => versionDimensions.includes(one)) &&
    filters.every((filter) => filter === undefined)
  );
}

function argumentsOf(question: CostQuestion) {
  return [
    question.since,
    question.until,
    JSON.stringify(question.by),
    question.promptName ?? null,
    question.promptVersion ?? null,
    question.label ?? null,
    question.model ?? null,
    question.keyId ?? null,
    question.purpose ?? null,
    question.status ?? null,
    question.latency,
    question.products === true,
    ...wholeDaysOf(question),
    isOfVersions(question),
    question.limit ?? null,
  ];
}

function toCostLine(row: Row): CostLine {
  const parsed = lineSchema.parse(row);
  const { day, prompt, version, label, model, key, purpose, status } = parsed;
  return {
    group: { day, prompt, version, label, model, key, purpose, status },
    executions: parsed.executions,
    succeeded: parsed.succeeded,
    promptTokens: parsed.prompt_tokens,
    completionTokens: parsed.completion_tokens,
    cachedTokens: parsed.cached_tokens,
    cacheWriteTokens: parsed.cache_write_tokens,
    reasoningTokens: parsed.reasoning_tokens,
    attempts: parsed.attempts,
    unknownCosts: parsed.unknown_costs,
    laterCosts: parsed.later_costs,
    meanLatencyMs: parsed.measured ? parsed.latency_us / 1_000 / parsed.measured : null,
    p50Ms: parsed.p50_ms,
    p95Ms: parsed.p95_ms,
    p99Ms: parsed.p99_ms,
    costs: parsed.costs.map((one) => ({
      currency: one.currency,
      cost: one.cost,
      laterCost: one.later_cost,
      priced: one.priced,
      promptTokens: one.priced_prompt_tokens,
      costSquares: one.cost_squares,
      costPromptTokens: one.cost_prompt_tokens,
      promptTokensSquares: one.prompt_tokens_squares,
    })),
  };
}
