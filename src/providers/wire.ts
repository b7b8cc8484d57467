/**
 * What the adapters share: one request to one provider, and the reading of an answer whose shape nobody promised.
 * An adapter makes exactly one request per call and throws an AttemptFailure or returns an answer with proof.
 */
import type { ProviderAnswer, ProviderCall, Wire } from '../application/provider.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import type { Message } from '../domain/message.ts';
import type { Bill } from '../domain/price.ts';
import type { Parameters } from '../domain/prompt-version.ts';
import { tokensMax } from '../domain/usage.ts';
import { anthropicContentProblems } from './anthropic-content.ts';
import {
  type Asked,
  AttemptFailure,
  fromFailedResponse,
  fromTransport,
  fromUnusableAnswer,
  isRecord,
  readRequestId,
  toName,
} from './attempt-failure.ts';
import { readBody } from './http-client.ts';
import { openaiContentProblems } from './openai-content.ts';
import type { StreamOptions } from './stream.ts';

export interface WireAnswer {
  readonly answer: ProviderAnswer;
  readonly httpStatus: number;
}

/** One provider, reached over its wire. */
export interface WireClient {
  /**
   * Makes one request.
   * @throws AttemptFailure — and whatever the abort of `signal` makes the transport throw
   */
  request(call: ProviderCall, signal: AbortSignal): Promise<WireAnswer>;
  /** The same, with the answer handed on while it is made. */
  stream(call: ProviderCall, signal: AbortSignal, options: StreamOptions): Promise<WireAnswer>;
}

/** What a converter makes of a parsed body: the answer, or why it is none. */
export type ReadAnswer = (
  body: unknown,
) => Omit<ProviderAnswer, 'providerRequestId' | 'responseId'> | { unusable: string; bill?: Bill };

/** Parameters that a wire has no place for. The others are sent as they are, for the provider to accept or refuse. */
const missingOnWire: Readonly<Record<Wire, readonly (keyof Parameters)[]>> = {
  openai: ['topK'],
  'openai-responses': ['topK', 'stopSequences', 'frequencyPenalty', 'presencePenalty', 'seed'],
  anthropic: ['frequencyPenalty', 'presencePenalty', 'seed'],
};

/** @returns names of the given parameters that the wire cannot carry, so that they are refused and never dropped */
export function unsupportedParameters(wire: Wire, parameters: Parameters): string[] {
  return missingOnWire[wire].filter((name) => parameters[name] !== undefined);
}

const contentProblems: Readonly<Record<Wire, (message: Message) => string[]>> = {
  openai: openaiContentProblems,
  'openai-responses': () => [],
  anthropic: anthropicContentProblems,
};

/** @returns what of the messages the wire cannot carry, each as `a …` and once, so that nothing is dropped */
export function unsupportedContent(wire: Wire, messages: readonly Message[]): string[] {
  return [...new Set(messages.flatMap(contentProblems[wire]))];
}

/** What the SDKs tell a provider of their patience; our clocks decide. A day, in milliseconds. */
export const sdkTimeoutMs = 24 * 3600 * 1000;

/** An error class of an SDK, as far as it is read here: both SDKs have these members. */
interface SdkError extends Error {
  readonly status?: number | undefined;
  readonly headers?: Headers | undefined;
  readonly error?: unknown;
}

/**
 * Sends one request, then reads and proves the answer ourselves: the SDKs take a page of HTML or an error inside a 200
 * for a success.
 */
export async function exchange(
  asked: Asked,
  signal: AbortSignal,
  send: () => Promise<Response>,
  read: ReadAnswer,
): Promise<WireAnswer> {
  let response: Response;
  try {
    response = await send();
  } catch (error) {
    throw fromSdkError(asked, error);
  }
  return proveText(asked, response, signal, read);
}

/** Reads a whole response as an answer. @throws AttemptFailure */
export async function proveText(
  asked: Asked,
  response: Response,
  signal: AbortSignal,
  read: ReadAnswer,
): Promise<WireAnswer> {
  const { status, headers } = response;
  let text: string;
  try {
    text = await readBody(response, signal);
  } catch (error) {
    throw fromTransport(asked, error, headers, status);
  }
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    const what = text.trim() === '' ? 'the body is empty' : 'the body is not JSON';
    throw fromUnusableAnswer(asked, { status, headers, body: null, cause }, what);
  }
  return proveAnswer(asked, response, body, read);
}

/** A body as an answer. @throws AttemptFailure when it is none */
export function proveAnswer(asked: Asked, response: Response, body: unknown, read: ReadAnswer): WireAnswer {
  const { status, headers } = response;
  const answer = read(body);
  if ('unusable' in answer) {
    const failure = fromUnusableAnswer(asked, { status, headers, body }, answer.unusable);
    throw failure.withBill(answer.bill ? named(answer.bill) : null);
  }
  return {
    httpStatus: status,
    answer: {
      ...named(answer),
      systemFingerprint: toName(answer.systemFingerprint),
      providerRequestId: readRequestId({ headers, body }),
      responseId: isRecord(body) ? toName(readString(body.id)) : null,
    },
  };
}

/** What the provider calls things, as the audit can hold it. */
export function named<T extends Bill>(bill: T): T {
  return { ...bill, responseModel: toName(bill.responseModel), serviceTier: toName(bill.serviceTier) };
}

export function fromSdkError(asked: Asked, thrown: unknown): AttemptFailure {
  if (thrown instanceof AttemptFailure) return thrown;
  const error = thrown as SdkError;
  if (typeof error?.status === 'number' && error.headers) {
    // OpenAI's SDK unwraps `{error}`, Anthropic's does not; readers of the body accept both.
    const body = error.error ?? error.message.replace(/^\d{3} /, '');
    return fromFailedResponse(asked, { status: error.status, headers: error.headers, body, cause: thrown });
  }
  return fromTransport(asked, thrown);
}

/** The text of a content that is a string, null, or parts of which only `text` parts are output. */
export function joinText(content: Json | undefined): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content
    .map((part) => (isRecord(part) && part.type === 'text' && typeof part.text === 'string' ? part.text : ''))
    .join('');
}

/** A count as reported; null when absent or no count that an answer can have. */
export function readCount(container: Json | undefined, name: string): number | null {
  const value = isRecord(container) ? container[name] : undefined;
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= tokensMax
    ? value
    : null;
}

export function readString(value: Json | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

export function readObject(value: Json | undefined): JsonObject | null {
  return isRecord(value) ? (value as JsonObject) : null;
}
