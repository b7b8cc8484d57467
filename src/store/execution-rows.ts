/** Executions and intents between their domain shape and their rows. Rows are parsed here and nowhere else. */
import { z } from 'zod';
import type { IdempotencyClaim } from '../application/audit-trail.ts';
import type { TrafficCount } from '../domain/coverage.ts';
import { type ErrorCode, errorTable } from '../domain/errors.ts';
import {
  type Admission,
  type Attempt,
  type Delivery,
  type Execution,
  executionPurposes,
  executionStatuses,
  finishReasons,
  type Intent,
  type StoredExecution,
} from '../domain/execution.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import type { ReasoningBlock } from '../domain/reasoning.ts';
import type { Row } from './query-catalog.ts';

const text = z.string().nullable();
const count = z.number().nullable();
/** Passed as it is: a zod record would drop a key named `__proto__`. */
const jsonObject = z.custom<JsonObject>((value) => typeof value === 'object' && value !== null);
const errorCode = z.enum(Object.keys(errorTable) as [ErrorCode, ...ErrorCode[]]).nullable();

const attemptSchema = z.object({
  number: z.number(),
  startedAt: z.iso.datetime().transform((value) => new Date(value)),
  latencyMs: z.number(),
  httpStatus: count,
  errorCode,
  errorMessage: text,
  providerRequestId: text,
  retryAfterMs: count,
});

/** The column `price`, of executions and of back-fills. */
export const priceSchema = z.object({
  source: text,
  unknownReason: text,
  unitPrices: jsonObject.nullable(),
  billed: z.custom<Json | null>(() => true).default(null),
});

const admissionColumns = {
  id: z.string(),
  prompt_name: z.string(),
  prompt_version_id: count,
  prompt_version: count,
  label: text,
  input_payload: z.custom<Admission['inputPayload']>((value) => typeof value === 'object' && value !== null),
  parameters: jsonObject,
  rendered_hash: text,
  variables_hash: text,
  provider: text,
  model: text,
  simulated: z.boolean(),
  key_id: text,
  actor: z.string(),
  request_id: z.string(),
  trace_id: text,
  idempotency_key: text,
  replay_of: text,
  purpose: z.enum(executionPurposes),
  run_id: text,
  metadata: jsonObject,
  started_at: z.date(),
};

const intentSchema = z.object({
  ...admissionColumns,
  attempt: z.number(),
  earlier_attempts: z.array(attemptSchema),
});

const executionSchema = z.object({
  ...admissionColumns,
  status: z.enum(executionStatuses),
  error_code: errorCode,
  error_message: text,
  raw_output: text,
  tool_calls: z.array(z.object({ id: z.string(), name: z.string(), arguments: z.string() })).nullable(),
  reasoning: z
    .array(
      z.object({
        text: z.string(),
        signature: z.string().optional(),
        encrypted: z.string().optional(),
        id: z.string().optional(),
      }),
    )
    .nullable(),
  finish_reason: z.enum(finishReasons).nullable(),
  response_model: text,
  system_fingerprint: text,
  service_tier: text,
  provider_request_id: text,
  usage_source: z.enum(['provider', 'none']),
  prompt_tokens: count,
  completion_tokens: count,
  cached_tokens: count,
  cache_write_tokens: count,
  reasoning_tokens: count,
  cost: text,
  currency: z.string(),
  price: priceSchema,
  response_hash: text,
  output_normalised: z.boolean(),
  latency_ms: z.number(),
  overhead_ms: z.number(),
  attempts: z.array(attemptSchema),
  time_to_first_token_ms: count,
  delivered_bytes: count,
  disconnected_at: z.date().nullable(),
  created_at: z.date(),
});

type AdmissionRow = z.infer<z.ZodObject<typeof admissionColumns>>;

/** Times as text everywhere: a Date among its values puts JSON.stringify on its slow path, and rows are most of what it writes. */
function toAdmissionRow(admission: Admission) {
  return {
    id: admission.id,
    prompt_name: admission.promptName,
    prompt_version_id: admission.promptVersionId,
    prompt_version: admission.promptVersion,
    label: admission.label,
    input_payload: admission.inputPayload,
    parameters: admission.parameters,
    rendered_hash: admission.renderedHash,
    variables_hash: admission.variablesHash,
    provider: admission.provider,
    model: admission.model,
    simulated: admission.simulated,
    key_id: admission.keyId,
    actor: admission.actor,
    request_id: admission.requestId,
    trace_id: admission.traceId,
    idempotency_key: admission.idempotencyKey,
    replay_of: admission.replayOf,
    purpose: admission.purpose,
    run_id: admission.runId,
    metadata: admission.metadata,
    started_at: admission.startedAt.toISOString(),
  };
}

function fromAttempt(attempt: Attempt) {
  return { ...attempt, startedAt: attempt.startedAt.toISOString() };
}

function toAdmission(row: AdmissionRow): Admission {
  return {
    id: row.id,
    promptName: row.prompt_name,
    promptVersionId: row.prompt_version_id,
    promptVersion: row.prompt_version,
    label: row.label,
    inputPayload: row.input_payload,
    parameters: row.parameters,
    renderedHash: row.rendered_hash,
    variablesHash: row.variables_hash,
    provider: row.provider,
    model: row.model,
    simulated: row.simulated,
    keyId: row.key_id,
    actor: row.actor,
    requestId: row.request_id,
    traceId: row.trace_id,
    idempotencyKey: row.idempotency_key,
    replayOf: row.replay_of,
    purpose: row.purpose,
    runId: row.run_id,
    metadata: row.metadata,
    startedAt: row.started_at,
  };
}

/** What an intent and its outcome both say, as text. Written once for the two: it holds all that the caller sent. */
export function fromAdmission(admission: Admission): string {
  return JSON.stringify(toAdmissionRow(admission));
}

/** The members of two objects, both with at least one, in one. */
function join(text: string, more: string): string {
  return `${text.slice(0, -1)},${more.slice(1)}`;
}

/** An intent as one element of the json argument of `insertIntents`. @param admission its own, as `fromAdmission` */
export function fromIntent(
  intent: Intent,
  more: { readonly gatewayId: string | null; readonly claim?: IdempotencyClaim },
  admission: string = fromAdmission(intent),
): string {
  const rest = JSON.stringify({
    attempt: intent.attempt,
    earlier_attempts: intent.earlierAttempts.map(fromAttempt),
    gateway_id: more.gatewayId,
    claim_scope: more.claim?.scope ?? null,
    claim_fingerprint: more.claim?.fingerprint ?? null,
  });
  return join(admission, rest);
}

export function toIntent(row: Row): Intent {
  const parsed = intentSchema.parse(row);
  return {
    ...toAdmission(parsed),
    attempt: parsed.attempt,
    earlierAttempts: parsed.earlier_attempts satisfies Attempt[],
  };
}

/**
 * An outcome as one element of the json argument of `settleExecutions`; its keys are the columns.
 * @param admission its own, as `fromAdmission`: of an execution that was admitted that of its intent
 */
export function fromExecution(execution: Execution, admission: string = fromAdmission(execution)): string {
  const { cost, currency, ...price } = execution.price;
  const rest = JSON.stringify({
    status: execution.status,
    error_code: execution.errorCode,
    error_message: execution.errorMessage,
    raw_output: execution.rawOutput,
    tool_calls: execution.toolCalls.length === 0 ? null : execution.toolCalls,
    reasoning: execution.reasoning.length === 0 ? null : execution.reasoning,
    finish_reason: execution.finishReason,
    response_model: execution.responseModel,
    system_fingerprint: execution.systemFingerprint,
    service_tier: execution.serviceTier,
    provider_request_id: execution.providerRequestId,
    usage_source: execution.usageSource,
    prompt_tokens: execution.promptTokens,
    completion_tokens: execution.completionTokens,
    cached_tokens: execution.cachedTokens,
    cache_write_tokens: execution.cacheWriteTokens,
    reasoning_tokens: execution.reasoningTokens,
    cost,
    currency,
    price,
    response_hash: execution.responseHash,
    output_normalised: execution.outputNormalised,
    latency_ms: execution.latencyMs,
    overhead_ms: execution.overheadMs,
    attempts: execution.attempts.map(fromAttempt),
    time_to_first_token_ms: execution.delivery?.timeToFirstTokenMs ?? null,
    delivered_bytes: execution.delivery?.deliveredBytes ?? null,
    disconnected_at: execution.delivery?.disconnectedAt?.toISOString() ?? null,
  });
  return join(admission, rest);
}

export function toStoredExecution(row: Row): StoredExecution {
  const parsed = executionSchema.parse(row);
  return {
    ...toAdmission(parsed),
    status: parsed.status,
    errorCode: parsed.error_code,
    errorMessage: parsed.error_message,
    rawOutput: parsed.raw_output,
    toolCalls: parsed.tool_calls ?? [],
    reasoning: (parsed.reasoning ?? []) as ReasoningBlock[],
    finishReason: parsed.finish_reason,
    responseModel: parsed.response_model,
    systemFingerprint: parsed.system_fingerprint,
    serviceTier: parsed.service_tier,
    providerRequestId: parsed.provider_request_id,
    usageSource: parsed.usage_source,
    promptTokens: parsed.prompt_tokens,
    completionTokens: parsed.completion_tokens,
    cachedTokens: parsed.cached_tokens,
    cacheWriteTokens: parsed.cache_write_tokens,
    reasoningTokens: parsed.reasoning_tokens,
    price: { cost: parsed.cost, currency: parsed.currency, ...parsed.price },
    responseHash: parsed.response_hash,
    outputNormalised: parsed.output_normalised,
    latencyMs: parsed.latency_ms,
    overheadMs: parsed.overhead_ms,
    attempts: parsed.attempts,
    delivery: toDelivery(parsed),
    createdAt: parsed.created_at,
  };
}

/** A count of delivered bytes, be it 0, is what tells a stream. */
function toDelivery(row: z.infer<typeof executionSchema>): Delivery | null {
  if (row.delivered_bytes === null) return null;
  return {
    timeToFirstTokenMs: row.time_to_first_token_ms,
    deliveredBytes: row.delivered_bytes,
    disconnectedAt: row.disconnected_at,
  };
}

const trafficSchema = z.object({
  key_id: text,
  actor: z.string(),
  purpose: z.enum(['call', 'raw']),
  currency: z.string(),
  calls: z.number(),
  unknown_costs: z.number(),
  cost: z.string(),
  refused: z.number(),
  simulated: z.number(),
});

export function toTrafficCount(row: Row): TrafficCount {
  const { key_id: keyId, unknown_costs: unknownCosts, ...rest } = trafficSchema.parse(row);
  return { keyId, unknownCosts, ...rest };
}
