/** The wire form of an execution: snake_case, the field's own words, decimals as text. */
import { z } from '@hono/zod-openapi';
import type { BackfilledCost } from '../application/cost-store.ts';
import type { ExecutionRecord } from '../application/read-executions.ts';
import { type ErrorCode, errorTable } from '../domain/errors.ts';
import { type Execution, executionPurposes, executionStatuses, finishReasons } from '../domain/execution.ts';
import { toMediaValue } from '../domain/media.ts';
import type { Content, Message } from '../domain/message.ts';
import type { Overrides } from '../domain/overrides.ts';

const errorCodes = Object.keys(errorTable) as [ErrorCode, ...ErrorCode[]];
const count = z.number().int().nullable();

export const toolCallSchema = z
  .strictObject({
    id: z.string().min(1).max(256),
    name: z.string().min(1).max(256),
    arguments: z.string().openapi({ description: 'JSON as the model wrote it.' }),
  })
  .openapi('ToolCall');

export const reasoningSchema = z
  .strictObject({
    text: z.string(),
    signature: z.string().optional(),
    encrypted: z.string().optional(),
    id: z.string().optional(),
  })
  .openapi('Reasoning', {
    description: 'What the model thought; without text when only its provider can read it.',
  });

export const executionSchema = z
  .object({
    id: z.string(),
    prompt: z.string(),
    version: z.number().int().nullable(),
    label: z.string().nullable(),
    purpose: z.enum(executionPurposes).openapi({ description: 'What the call was made for.' }),
    status: z.enum(executionStatuses),
    output: z.string().nullable(),
    tool_calls: z
      .array(z.object({ id: z.string(), name: z.string(), arguments: z.string() }))
      .openapi({ description: 'What the model asks you to run; send the results in `messages`.' }),
    reasoning: z.array(reasoningSchema).openapi({ description: 'No part of the output; may be sent back.' }),
    finish_reason: z.enum(finishReasons).nullable(),
    provider: z.string().nullable(),
    model: z.string().nullable().openapi({ description: 'The model asked.' }),
    response_model: z.string().nullable().openapi({ description: 'The model that answered.' }),
    simulated: z.boolean().openapi({ description: 'True when the simulated provider answered.' }),
    usage: z.object({
      prompt_tokens: count,
      completion_tokens: count,
      cached_tokens: count,
      cache_write_tokens: count,
      reasoning_tokens: count,
    }),
    cost: z
      .string()
      .nullable()
      .openapi({ description: 'Exact decimal in `currency`; null when it is not known.' }),
    currency: z.string(),
    cost_unknown_reason: z.string().nullable(),
    latency_ms: z.number(),
    overhead_ms: z.number().openapi({ description: 'Our share of the latency, in milliseconds.' }),
    attempts: z.number().int(),
    response_hash: z.string().nullable(),
    started_at: z.iso.datetime(),
    error: z.object({ code: z.enum(errorCodes), message: z.string() }).nullable(),
  })
  .openapi('Execution');

export const executionDetailSchema = executionSchema
  .extend({
    input: z.object({
      variables: z.record(z.string(), z.unknown()),
      messages: z.array(z.looseObject({ role: z.string(), content: z.unknown() })).nullable(),
      definition: z
        .object({ source: z.string(), partials: z.record(z.string(), z.string()) })
        .nullable()
        .openapi({ description: 'What was run where it is no version of the registry.' }),
      overrides: z
        .looseObject({})
        .nullable()
        .openapi({ description: 'What the call replaced of the definition; of a raw call, all of it.' }),
    }),
    parameters: z.record(z.string(), z.unknown()),
    metadata: z.record(z.string(), z.unknown()),
    rendered_hash: z.string().nullable(),
    variables_hash: z.string().nullable(),
    provider_request_id: z.string().nullable(),
    system_fingerprint: z.string().nullable(),
    service_tier: z.string().nullable(),
    usage_source: z.enum(['provider', 'none']),
    price_source: z.string().nullable(),
    unit_prices: z.record(z.string(), z.unknown()).nullable(),
    backfilled_cost: z
      .object({
        cost: z.string(),
        currency: z.string(),
        price_source: z.string().nullable(),
        actor: z.string(),
        reason: z.string(),
        recorded_at: z.iso.datetime(),
      })
      .nullable()
      .openapi({ description: 'What was worked out after the call had settled without a known cost.' }),
    output_normalised: z.boolean(),
    attempt_details: z.array(
      z.object({
        number: z.number().int(),
        started_at: z.iso.datetime(),
        latency_ms: z.number(),
        http_status: z.number().int().nullable(),
        error_code: z.enum(errorCodes).nullable(),
        error_message: z.string().nullable(),
        provider_request_id: z.string().nullable(),
        retry_after_ms: z.number().nullable(),
      }),
    ),
    stream: z
      .object({
        time_to_first_token_ms: z.number().nullable(),
        delivered_bytes: z
          .number()
          .int()
          .openapi({ description: "UTF-8 bytes of content handed to the caller's connection." }),
        disconnected_at: z.iso
          .datetime()
          .nullable()
          .openapi({ description: 'When the caller went away or was given up; null when it stayed.' }),
      })
      .nullable()
      .openapi({ description: 'Null when the answer was given whole.' }),
    key_id: z.string().nullable(),
    actor: z.string(),
    request_id: z.string(),
    trace_id: z.string().nullable(),
    idempotency_key: z.string().nullable(),
    replay_of: z.string().nullable(),
    run_id: z
      .string()
      .nullable()
      .openapi({ description: 'The evaluation, batch or probe that made the call.' }),
    created_at: z.iso.datetime(),
    late_outcome: executionSchema.extend({ recorded_at: z.iso.datetime() }).nullable().openapi({
      description:
        'What the provider answered, when that came after the outcome had been recorded as unknown.',
    }),
  })
  .openapi('ExecutionDetail');

export function toExecutionView(execution: Execution): z.infer<typeof executionSchema> {
  return {
    id: execution.id,
    prompt: execution.promptName,
    version: execution.promptVersion,
    label: execution.label,
    purpose: execution.purpose,
    status: execution.status,
    output: execution.rawOutput,
    tool_calls: [...execution.toolCalls],
    reasoning: execution.reasoning.map((block) => ({ ...block })),
    finish_reason: execution.finishReason,
    provider: execution.provider,
    model: execution.model,
    response_model: execution.responseModel,
    simulated: execution.simulated,
    usage: {
      prompt_tokens: execution.promptTokens,
      completion_tokens: execution.completionTokens,
      cached_tokens: execution.cachedTokens,
      cache_write_tokens: execution.cacheWriteTokens,
      reasoning_tokens: execution.reasoningTokens,
    },
    cost: execution.price.cost,
    currency: execution.price.currency,
    cost_unknown_reason: execution.price.unknownReason,
    latency_ms: execution.latencyMs,
    overhead_ms: execution.overheadMs,
    attempts: execution.attempts.length,
    response_hash: execution.responseHash,
    started_at: execution.startedAt.toISOString(),
    error: execution.errorCode ? { code: execution.errorCode, message: execution.errorMessage ?? '' } : null,
  };
}

/** As it was sent. */
function toMessageView({ role, content, toolCalls, toolCallId, reasoning }: Message) {
  return {
    role,
    content: toContentView(content),
    ...(toolCalls ? { tool_calls: toolCalls.map((call) => ({ ...call })) } : {}),
    ...(toolCallId === undefined ? {} : { tool_call_id: toolCallId }),
    ...(reasoning ? { reasoning } : {}),
  };
}

function toContentView(content: Content) {
  if (typeof content === 'string') return content;
  return content.map((part) =>
    part.type === 'text' ? { ...part } : { type: part.type, ...toMediaValue(part) },
  );
}

function toOverridesView(overrides: Overrides | undefined) {
  if (!overrides) return null;
  const { tools, ...rest } = overrides;
  if (!tools) return rest;
  return {
    ...rest,
    tools: tools.map(({ inputSchema, ...tool }) => ({ ...tool, input_schema: inputSchema })),
  };
}

function toBackfillView({ price, actor, reason, createdAt }: BackfilledCost) {
  return {
    cost: price.cost ?? '0',
    currency: price.currency,
    price_source: price.source,
    actor,
    reason,
    recorded_at: createdAt.toISOString(),
  };
}

export function toExecutionDetail({
  execution,
  late,
  backfilled,
}: ExecutionRecord): z.infer<typeof executionDetailSchema> {
  return {
    ...toExecutionView(execution),
    input: {
      variables: execution.inputPayload.variables,
      messages: execution.inputPayload.messages?.map(toMessageView) ?? null,
      definition: execution.inputPayload.definition ?? null,
      overrides: toOverridesView(execution.inputPayload.overrides),
    },
    parameters: execution.parameters,
    metadata: execution.metadata,
    rendered_hash: execution.renderedHash,
    variables_hash: execution.variablesHash,
    provider_request_id: execution.providerRequestId,
    system_fingerprint: execution.systemFingerprint,
    service_tier: execution.serviceTier,
    usage_source: execution.usageSource,
    price_source: execution.price.source,
    unit_prices: execution.price.unitPrices,
    backfilled_cost: backfilled ? toBackfillView(backfilled) : null,
    output_normalised: execution.outputNormalised,
    attempt_details: execution.attempts.map((attempt) => ({
      number: attempt.number,
      started_at: attempt.startedAt.toISOString(),
      latency_ms: attempt.latencyMs,
      http_status: attempt.httpStatus,
      error_code: attempt.errorCode,
      error_message: attempt.errorMessage,
      provider_request_id: attempt.providerRequestId,
      retry_after_ms: attempt.retryAfterMs,
    })),
    stream: execution.delivery && {
      time_to_first_token_ms: execution.delivery.timeToFirstTokenMs,
      delivered_bytes: execution.delivery.deliveredBytes,
      disconnected_at: execution.delivery.disconnectedAt?.toISOString() ?? null,
    },
    key_id: execution.keyId,
    actor: execution.actor,
    request_id: execution.requestId,
    trace_id: execution.traceId,
    idempotency_key: execution.idempotencyKey,
    replay_of: execution.replayOf,
    run_id: execution.runId,
    created_at: execution.createdAt.toISOString(),
    late_outcome: late ? { ...toExecutionView(late), recorded_at: late.createdAt.toISOString() } : null,
  };
}
