import type { ContractPrice } from '../domain/contract-price.ts';
import type { PromptgateError } from '../domain/errors.ts';
import type { Attempt, FinishReason } from '../domain/execution.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Message } from '../domain/message.ts';
import type { Bill } from '../domain/price.ts';
import type { Parameters } from '../domain/prompt-version.ts';
import type { ReasoningBlock } from '../domain/reasoning.ts';
import type { Tool, ToolCall, ToolChoice } from '../domain/tool.ts';
import type { Usage } from '../domain/usage.ts';

/** Where a model name leads. */
export interface ModelRoute {
  /** Name of a configured provider: `openai`, `anthropic` or one from the configuration file. */
  readonly provider: string;
  /** The model as the provider knows it. */
  readonly model: string;
  readonly simulated: boolean;
  /** Where that provider listens: it decides whose price list applies. */
  readonly baseUrl?: string;
  /** Contract prices of that provider. */
  readonly prices?: readonly ContractPrice[];
}

export interface ProviderCall {
  readonly route: ModelRoute;
  readonly messages: readonly Message[];
  readonly parameters: Parameters;
  readonly tools: readonly Tool[];
  /** Left out: the wire's own default, `auto`. */
  readonly toolChoice?: ToolChoice;
  readonly output: { readonly format: 'text' | 'json'; readonly schema: JsonObject | null };
}

/** An answer with proof that it is complete. */
export interface ProviderAnswer extends Bill {
  readonly output: string;
  readonly toolCalls: readonly ToolCall[];
  /** What it thought before, in order; empty when the provider shows nothing. */
  readonly reasoning: readonly ReasoningBlock[];
  readonly finishReason: FinishReason;
  readonly systemFingerprint: string | null;
  readonly providerRequestId: string | null;
  /** What the provider calls the answer itself: `chatcmpl-…`, `resp_…`, `msg_…`. */
  readonly responseId: string | null;
}

export interface AttemptControl {
  /** Aborts when the caller went away. */
  readonly signal: AbortSignal;
  /** Time for all attempts and waits together, in milliseconds. */
  readonly deadlineMs: number;
  /**
   * Awaited before each attempt's first byte: the durable intent. `earlier` are the attempts that have ended.
   * When it throws, no request is made and the result carries that error.
   */
  readonly beforeAttempt: (number: number, earlier: readonly Attempt[]) => Promise<void>;
}

/**
 * A piece of an answer. Texts are never empty; joined by type they are what the answer says. A tool call is announced by
 * its first delta, and its arguments are JSON in pieces; `index` counts the calls of the answer from 0. A block of
 * reasoning ends where anything else begins, or with `reasoning_end`, which brings what proves it; a block without any
 * text is a `reasoning_end` alone, with what only the provider can read.
 */
export type StreamDelta =
  | { readonly type: 'text' | 'refusal' | 'reasoning'; readonly text: string }
  | ({ readonly type: 'reasoning_end' } & Omit<ReasoningBlock, 'text'>)
  | {
      readonly type: 'tool_call';
      readonly index: number;
      readonly id: string;
      readonly name: string;
      readonly arguments: string;
    };

export interface StreamControl extends AttemptControl {
  /** Hears every piece in order; what it returns is awaited before more is read from the provider. */
  readonly onDelta: (delta: StreamDelta) => Promise<void> | void;
  /** Hears, before the first piece, what the provider has counted by then, where its wire tells. */
  readonly onUsage?: (usage: Usage) => void;
}

/** `billed`: what the provider reported for attempts that failed all the same. */
export type ProviderResult = { readonly attempts: readonly Attempt[]; readonly billed?: readonly Bill[] } & (
  | { readonly ok: true; readonly answer: ProviderAnswer }
  | { readonly ok: false; readonly error: PromptgateError }
);

/** Port to the providers. Retries are made inside, by one policy; the caller sees one result. */
export interface Providers {
  /** @returns undefined when no configured provider takes this model name */
  route(model: string): ModelRoute | undefined;
  /** What is known of a configured provider by its name; undefined when there is none. */
  provider(name: string): Pick<ModelRoute, 'baseUrl' | 'prices'> | undefined;
  /** What would keep a call from being made: no provider for the model, parameters that its wire cannot carry. */
  problemsOf(model: string, parameters: Parameters): string[];
  /** Never throws: a failure is a result with its attempts. */
  call(call: ProviderCall, control: AttemptControl): Promise<ProviderResult>;
  /**
   * The same, streamed: an answer with the provider's terminator is a success, whatever ends before it is none. Nothing
   * is retried once a piece was handed on.
   */
  stream(call: ProviderCall, control: StreamControl): Promise<ProviderResult>;
}

/** What a provider speaks: OpenAI's Chat Completions, OpenAI's Responses, Anthropic's Messages. */
export const wires = ['openai', 'openai-responses', 'anthropic'] as const;
export type Wire = (typeof wires)[number];

/** One provider as the configuration names it. */
export interface ProviderSettings {
  readonly name: string;
  readonly wire: Wire;
  readonly baseUrl: string;
  readonly apiKey: string;
  /** Model names that start with one of these go here; `<name>/<model>` always does. */
  readonly modelPrefixes: readonly string[];
  readonly simulated: boolean;
  readonly connectTimeoutMs: number;
  /** Bound on the wait for the response headers, in milliseconds. */
  readonly firstByteTimeoutMs: number;
  /** Bound on the wait for the first content of a stream, in milliseconds. */
  readonly firstTokenTimeoutMs: number;
  /** Bound on the pause between two contents of a stream, in milliseconds. */
  readonly idleTimeoutMs: number;
  /** What the configuration says that its models cost. */
  readonly prices?: readonly ContractPrice[];
}
