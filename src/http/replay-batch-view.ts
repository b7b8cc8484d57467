/** Batches of replays as the wire has them. */
import { z } from '@hono/zod-openapi';
import type { ReplayBatch } from '../application/replay-executions.ts';
import type { AnswerSide, ReplayPair } from '../domain/replay-pair.ts';
import { type Movement, metricNames, type Share, type ShareMovement } from '../domain/replay-report.ts';

const count = z.number().int();
const figure = z.number().nullable();

const sideSchema = z
  .object({
    execution_id: z.string(),
    ok: z.boolean(),
    outcome: z.string(),
    finish_reason: z.string().nullable(),
    response_model: z.string().nullable(),
    length: count.openapi({ description: 'Characters of the answer, calls of tools included.' }),
    prompt_tokens: figure,
    completion_tokens: figure,
    cost: z.string().nullable(),
    latency_ms: z.number(),
    passed: z.boolean().nullable().openapi({ description: 'The assertions of the suite.' }),
  })
  .openapi('ReplaySide');

const pairSchema = z
  .object({
    execution_id: z.string(),
    before: sideSchema.nullable(),
    after: sideSchema.nullable(),
    reason: z.string().nullable().openapi({ description: 'Why there is no new answer.' }),
    reproduced: z.boolean().nullable(),
    equal: z.boolean().nullable(),
    change: figure.openapi({ description: 'Share of the text that changed; 1 where one side failed.' }),
  })
  .openapi('ReplayPair');

const spreadSchema = z.object({ mean: z.number(), median: z.number(), p95: z.number() });

const movementSchema = z
  .object({
    name: z.enum(metricNames),
    count,
    before: spreadSchema,
    after: spreadSchema,
    mean_difference: z.number(),
    lower: figure,
    upper: figure,
    p_value: z.number().openapi({ description: 'Wilcoxon signed ranks, two-sided.' }),
    corrected_p_value: z.number().openapi({ description: 'Corrected by Holm for all tests of the report.' }),
  })
  .openapi('ReplayMovement');

const shareSchema = z.object({ count, of: count, lower: z.number(), upper: z.number() });

const shareMovementSchema = z
  .object({
    before: shareSchema,
    after: shareSchema,
    difference: z.number(),
    lower: z.number(),
    upper: z.number(),
    gained: count,
    lost: count,
    p_value: z.number().openapi({ description: "McNemar's exact test." }),
    corrected_p_value: z.number(),
  })
  .openapi('ReplayShareMovement');

const talliesSchema = z.array(z.object({ value: z.string(), before: count, after: count }));

export const replayBatchSchema = z
  .object({
    run_id: z.string(),
    prompt: z.string(),
    from: z.object({ label: z.string().nullable(), version: count.nullable() }),
    to: z.string(),
    version: count.nullable().openapi({ description: 'The version that ran; null: each its own, or none.' }),
    since: z.string(),
    until: z.string(),
    seed: z.string(),
    stratify: z.array(z.string()),
    sample: count,
    population: count.openapi({ description: 'What the sample was drawn from.' }),
    dry_run: z.boolean(),
    simulated: z.boolean(),
    stopped: z.enum(['budget', 'cost_unknown', 'time', 'cancelled', 'stopping']).nullable(),
    call_count: count.openapi({ description: 'Of the whole batch, its earlier parts too.' }),
    made_count: count.openapi({ description: 'Calls of this part; `duration_ms` is its time.' }),
    cost: z.string().nullable().openapi({ description: 'Of the replays; null when some is not known.' }),
    spent: z.string(),
    currency: z.string(),
    duration_ms: z.number(),
    rendered: count,
    reproduced: count.openapi({ description: 'Whose messages are those that were sent.' }),
    departures: z.array(z.object({ part: z.string(), reason: z.string(), count })),
    confidence: z.number(),
    compared: count,
    equal: shareSchema.nullable(),
    mean_change: figure,
    failures: shareMovementSchema.nullable(),
    movements: z.array(movementSchema),
    outcomes: talliesSchema,
    finish_reasons: talliesSchema,
    response_models: talliesSchema,
    costs: z
      .object({
        pairs: count,
        currency: z.string(),
        before: z.string(),
        after: z.string(),
        difference: z.string(),
      })
      .nullable()
      .openapi({ description: 'Exact sums over the pairs whose cost is known on both sides.' }),
    suite: z.object({ name: z.string(), checksum: z.string() }).nullable(),
    assertions: shareMovementSchema.nullable(),
    judged_assertions: count.openapi({ description: 'Left out, because only a judge could decide them.' }),
    most_changed: z.array(
      z.object({
        execution_id: z.string(),
        replay_id: z.string(),
        change: z.number(),
        before: z.string(),
        after: z.string(),
        segments: z.array(z.object({ kind: z.enum(['same', 'removed', 'added']), text: z.string() })),
      }),
    ),
    pairs: z.array(pairSchema),
  })
  .openapi('ReplayBatch');

export type ReplayBatchView = z.infer<typeof replayBatchSchema>;

export function toReplayBatchView(batch: ReplayBatch): ReplayBatchView {
  const { run, pairs, findings, spent, shown } = batch;
  const { question } = run;
  return {
    run_id: run.runId,
    prompt: run.promptName,
    from: { label: question.from.label ?? null, version: question.from.version ?? null },
    to: question.to,
    version: question.instead.version ?? null,
    since: question.since,
    until: question.until,
    seed: question.seed,
    stratify: [...question.stratify],
    sample: run.executionIds.length,
    population: run.population,
    dry_run: batch.dryRun,
    simulated: batch.simulated,
    stopped: batch.stopped,
    call_count: batch.callCount,
    made_count: batch.madeCount,
    cost: spent.cost,
    spent: spent.known,
    currency: spent.currency,
    duration_ms: batch.durationMs,
    rendered: pairs.filter(({ reproduced }) => reproduced !== null).length,
    reproduced: pairs.filter(({ reproduced }) => reproduced).length,
    departures: batch.departures.map((departure) => ({ ...departure })),
    confidence: findings.confidence,
    compared: findings.pairs,
    equal: findings.equal,
    mean_change: findings.meanChange,
    failures: toShareMovement(findings.failures),
    movements: findings.movements.map(toMovement),
    outcomes: [...findings.outcomes],
    finish_reasons: [...findings.finishReasons],
    response_models: [...findings.responseModels],
    costs: findings.cost,
    suite: batch.suite,
    assertions: toShareMovement(findings.assertions),
    judged_assertions: batch.judged,
    most_changed: shown.map(({ pair, before, after, segments }) => ({
      execution_id: pair.executionId,
      replay_id: pair.after?.executionId ?? '',
      change: pair.change ?? 0,
      before,
      after,
      segments: [...segments],
    })),
    pairs: pairs.map(toPair),
  };
}

function toPair({ executionId, before, after, ...rest }: ReplayPair): z.infer<typeof pairSchema> {
  return {
    execution_id: executionId,
    before: before && toSide(before),
    after: after && toSide(after),
    ...rest,
  };
}

function toSide({ currency: _, ...side }: AnswerSide): z.infer<typeof sideSchema> {
  return {
    execution_id: side.executionId,
    ok: side.ok,
    outcome: side.outcome,
    finish_reason: side.finishReason,
    response_model: side.responseModel,
    length: side.length,
    prompt_tokens: side.promptTokens,
    completion_tokens: side.completionTokens,
    cost: side.cost,
    latency_ms: side.latencyMs,
    passed: side.passed,
  };
}

function toMovement({ mean, pValue, corrected, ...rest }: Movement): z.infer<typeof movementSchema> {
  return { ...rest, mean_difference: mean, p_value: pValue, corrected_p_value: corrected };
}

function toShareMovement(moved: ShareMovement | null): z.infer<typeof shareMovementSchema> | null {
  if (!moved) return null;
  const { pValue, corrected, before, after, ...rest } = moved;
  const share = (one: Share) => ({ ...one });
  return {
    ...rest,
    before: share(before),
    after: share(after),
    p_value: pValue,
    corrected_p_value: corrected,
  };
}
