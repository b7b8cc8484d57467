import type { ErrorCode } from './errors.ts';
import type { Json, JsonObject } from './json.ts';
import type { Message } from './message.ts';
import type { Overrides } from './overrides.ts';
import type { ReasoningBlock } from './reasoning.ts';
import type { ToolCall } from './tool.ts';
import type { Usage } from './usage.ts';

export const executionStatuses = ['succeeded', 'failed', 'refused', 'cancelled', 'unknown'] as const;
export type ExecutionStatus = (typeof executionStatuses)[number];

/** What a call was made for: an application's call, one that was let through without a prompt, or one of our own runs. */
export const executionPurposes = ['call', 'raw', 'evaluation', 'replay', 'probe'] as const;
export type ExecutionPurpose = (typeof executionPurposes)[number];

export const finishReasons = ['stop', 'length', 'tool_calls', 'content_filter', 'refusal', 'other'] as const;
export type FinishReason = (typeof finishReasons)[number];

/** One request to a provider, as the row of its execution remembers it. */
export interface Attempt {
  readonly number: number;
  readonly startedAt: Date;
  readonly latencyMs: number;
  /** HTTP status of the provider's answer; null when there was none. */
  readonly httpStatus: number | null;
  readonly errorCode: ErrorCode | null;
  readonly errorMessage: string | null;
  readonly providerRequestId: string | null;
  /** What the provider asked us to wait, in milliseconds. */
  readonly retryAfterMs: number | null;
}

/** What the caller sent, kept so that the execution can be explained and replayed. */
export interface InputPayload {
  readonly variables: JsonObject;
  readonly messages?: readonly Message[];
  /** What was run where it is no version of the registry. */
  readonly definition?: DefinitionText;
  /** What the call replaced of the definition; of a raw call, all there is beside its messages. */
  readonly overrides?: Overrides;
}

/** Enough to build a definition again. */
export interface DefinitionText {
  readonly source: string;
  /** Texts of the partials that it includes, by name. */
  readonly partials: Readonly<Record<string, string>>;
}

/** How the cost was computed; `cost` is a decimal string in `currency`, or null with the reason. */
export interface Price {
  readonly cost: string | null;
  readonly currency: string;
  /** Where the unit prices came from, e.g. `genai-prices@0.1.8`; null when none was found. */
  readonly source: string | null;
  readonly unknownReason: string | null;
  /** Unit prices used by model, as decimals: of a million tokens (`_mtok`), of a thousand of anything else (`_kcount`). */
  readonly unitPrices: JsonObject | null;
  /** What was billed and could not be priced, as the provider reported it, for a later calculation. */
  readonly billed: Json | null;
}

/** What is known when an execution is admitted. */
export interface Admission {
  /** UUIDv7: orders by time and names the month of its partition. */
  readonly id: string;
  readonly promptName: string;
  readonly promptVersionId: number | null;
  readonly promptVersion: number | null;
  readonly label: string | null;
  readonly inputPayload: InputPayload;
  readonly parameters: JsonObject;
  readonly renderedHash: string | null;
  readonly variablesHash: string | null;
  readonly provider: string | null;
  readonly model: string | null;
  /** True when the simulated provider answered: no model, no money. */
  readonly simulated: boolean;
  readonly keyId: string | null;
  readonly actor: string;
  readonly requestId: string;
  readonly traceId: string | null;
  readonly idempotencyKey: string | null;
  /** The execution that this one repeats. */
  readonly replayOf: string | null;
  readonly purpose: ExecutionPurpose;
  /** The evaluation, batch or probe that made the call. */
  readonly runId: string | null;
  readonly metadata: { readonly [key: string]: Json };
  readonly startedAt: Date;
}

/** The durable record written before an attempt; it lives only while the call is in flight. */
export interface Intent extends Admission {
  readonly attempt: number;
  /** The attempts that ended before this one. */
  readonly earlierAttempts: readonly Attempt[];
}

/** How an answer was handed over while it was made. */
export interface Delivery {
  /** From the request's arrival to the first content, in milliseconds; null when there was none. */
  readonly timeToFirstTokenMs: number | null;
  /** UTF-8 bytes of content that were handed to the caller's connection. */
  readonly deliveredBytes: number;
  /** When the caller went away, or was given up because it did not read; null when it stayed. */
  readonly disconnectedAt: Date | null;
}

/** One governed call: a row of `ai_executions`. */
export interface Execution extends Admission, Usage {
  readonly status: ExecutionStatus;
  readonly errorCode: ErrorCode | null;
  readonly errorMessage: string | null;
  /** Of a stream that failed: as far as it came. */
  readonly rawOutput: string | null;
  /** What the model asked its caller to run; empty when nothing. Of a stream that failed: as far as it came. */
  readonly toolCalls: readonly ToolCall[];
  /** What it thought before; empty when the provider showed nothing. Of a stream that failed: as far as it came. */
  readonly reasoning: readonly ReasoningBlock[];
  readonly finishReason: FinishReason | null;
  readonly responseModel: string | null;
  readonly systemFingerprint: string | null;
  readonly serviceTier: string | null;
  readonly providerRequestId: string | null;
  /** What the provider calls its answer. For the trace alone: no row keeps it. */
  readonly responseId?: string | null;
  /** `provider` when the provider reported the tokens, `none` when nobody did. */
  readonly usageSource: 'provider' | 'none';
  readonly price: Price;
  /** SHA-256 of the output as the provider sent it, hex; with tool calls, of the output and of what they say. */
  readonly responseHash: string | null;
  /** True when `rawOutput` had to be changed (NUL, lone surrogate) to be storable; the hash is of the original. */
  readonly outputNormalised: boolean;
  /** From the request's arrival to the answer, in milliseconds. */
  readonly latencyMs: number;
  /** Our share of the latency: without the provider's time and the waits between attempts, in milliseconds. */
  readonly overheadMs: number;
  readonly attempts: readonly Attempt[];
  /** Null when the answer was given whole. */
  readonly delivery: Delivery | null;
}

/** An execution as it was read back. */
export interface StoredExecution extends Execution {
  readonly createdAt: Date;
}
