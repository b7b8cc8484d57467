/**
 * One streamed request to one provider: bytes → events → deltas, and at the end the same proof as for a whole body. It
 * owns two clocks, the wait for the first content and the pause between contents; the time in which the reader of the
 * deltas is slow is not the provider's. Comments, pings and chunks that say nothing do not turn a clock back.
 */
import { piecesOf } from '../application/partial-answer.ts';
import type { StreamDelta } from '../application/provider.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import type { Bill } from '../domain/price.ts';
import type { Usage } from '../domain/usage.ts';
import {
  type Asked,
  AttemptFailure,
  fromTransport,
  fromUnusableAnswer,
  isRecord,
} from './attempt-failure.ts';
import { responseBytesMax, toTransportError } from './http-client.ts';
import { type SseEvent, SseParser } from './sse-parser.ts';
import { TransportError } from './transport-error.ts';
import { fromSdkError, named, proveAnswer, proveText, type ReadAnswer, type WireAnswer } from './wire.ts';

/** What turns the events of one wire into deltas and a body. */
export interface StreamAssembler {
  /** The terminator has been seen. */
  readonly ended: boolean;
  /**
   * @returns what is new; empty when the event moves the answer on without saying anything; undefined when it does
   * neither, as a ping
   * @throws StreamFault
   */
  push(event: SseEvent): readonly StreamDelta[] | undefined;
  /** The counts so far, on a wire that counts the prompt before it answers; null when none has come. */
  usage?(): Usage | null;
  /** What has come so far, in the shape of a body that was not streamed. */
  body(): JsonObject;
}

/** An event that is no part of an answer. */
export class StreamFault extends Error {
  readonly what: string;
  readonly body: unknown;

  constructor(what: string, body: unknown) {
    super(what);
    this.name = 'StreamFault';
    this.what = what;
    this.body = body;
  }
}

export interface StreamOptions {
  /** Awaited before more is read, so that a slow reader slows the provider down and memory stays bounded. */
  readonly onDelta: (delta: StreamDelta) => Promise<void> | void;
  /** Hears, before the first delta, what is counted by then. */
  readonly onUsage?: ((usage: Usage) => void) | undefined;
  /** Longest wait for the first content, from the start of the request, in milliseconds. */
  readonly firstTokenTimeoutMs: number;
  /** Longest pause between contents, in milliseconds. */
  readonly idleTimeoutMs: number;
}

export interface StreamRequest extends StreamOptions {
  readonly asked: Asked;
  readonly signal: AbortSignal;
  readonly send: (signal: AbortSignal) => Promise<Response>;
  readonly assembler: StreamAssembler;
  readonly read: ReadAnswer;
}

/** How long the end of an answered stream is waited for, so that its connection can be used again, in milliseconds. */
const tailMs = 250;

/**
 * Makes the request and reads its stream to the terminator.
 * @throws AttemptFailure — never retryable once a delta was handed on
 */
export async function streamExchange(request: StreamRequest): Promise<WireAnswer> {
  const { asked, assembler } = request;
  const clock = new Clock(request);
  let response: Response | undefined;
  let delivered = false;
  const deliver = (delta: StreamDelta) => {
    const counted = delivered ? null : assembler.usage?.();
    if (counted) request.onUsage?.(counted);
    delivered = true;
    const taken = request.onDelta(delta);
    return taken ? clock.pause(taken) : undefined;
  };
  try {
    response = await request.send(clock.signal);
    // A server that knows no streaming answers at once; an error inside a 200 comes the same way.
    if (/\bjson\b/i.test(response.headers.get('content-type') ?? '')) {
      return await readWhole(request, response, clock.signal, deliver);
    }
    await readStream(response, assembler, clock, deliver);
    if (!assembler.ended) throw new StreamFault('its stream ended before its terminator', null);
    return proveAnswer(asked, response, assembler.body(), request.read);
  } catch (thrown) {
    const failure = billed(toFailure(request, clock.fault ?? thrown, response), request);
    throw delivered && failure.retryable ? failure.asFinal() : failure;
  } finally {
    clock.stop();
  }
}

/** @returns a promise when the reader has no room for more */
type Deliver = (delta: StreamDelta) => Promise<void> | undefined;

/** A stream may break after its last counts have come: the work was done and billed. */
function billed(failure: AttemptFailure, { assembler, read }: StreamRequest): AttemptFailure {
  if (failure.bill !== null) return failure;
  const answer = read(assembler.body());
  const bill = 'unusable' in answer ? answer.bill : answer;
  return bill?.rawUsage ? failure.withBill(named(toBill(bill))) : failure;
}

function toBill({ responseModel, usage, rawUsage, serviceTier }: Bill): Bill {
  return { responseModel, usage, rawUsage, serviceTier };
}

async function readWhole(
  request: StreamRequest,
  response: Response,
  signal: AbortSignal,
  deliver: Deliver,
): Promise<WireAnswer> {
  const answered = await proveText(request.asked, response, signal, request.read);
  for (const piece of piecesOf(answered.answer)) await deliver(piece);
  return answered;
}

async function readStream(
  response: Response,
  assembler: StreamAssembler,
  clock: Clock,
  deliver: Deliver,
): Promise<void> {
  if (!response.body) return;
  const reader = response.body.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  clock.signal.addEventListener('abort', cancel, { once: true });
  const parser = new SseParser();
  let bytes = 0;
  try {
    while (!assembler.ended) {
      const { done, value } = await reader.read();
      if (clock.signal.aborted) throw new Error('the stream was aborted');
      bytes += value?.byteLength ?? 0;
      if (bytes > responseBytesMax) throw new TransportError('too_large');
      for (const event of done ? parser.end() : parser.push(value)) {
        const deltas = assembler.push(event);
        if (deltas) clock.progress(deltas.length > 0);
        for (const delta of deltas ?? []) {
          const taken = deliver(delta);
          // Most readers have room: a promise for each token would cost more than the token.
          if (taken) await taken;
        }
        if (assembler.ended) break;
      }
      if (done) return;
    }
    void finish(reader);
  } catch (error) {
    cancel();
    throw error instanceof StreamFault ? error : toTransportError(error, clock.signal);
  } finally {
    clock.signal.removeEventListener('abort', cancel);
  }
}

/** Nothing of value follows the terminator, only the end of the response. */
async function finish(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  const timer = setTimeout(() => void reader.cancel().catch(() => {}), tailMs);
  try {
    while (!(await reader.read()).done);
  } catch {
    // The answer is whole: how its connection ends is nobody's concern.
  } finally {
    clearTimeout(timer);
  }
}

function toFailure(
  { asked }: StreamRequest,
  thrown: unknown,
  response: Response | undefined,
): AttemptFailure {
  if (thrown instanceof AttemptFailure) return thrown;
  if (!response) return fromSdkError(asked, thrown);
  const { status, headers } = response;
  if (thrown instanceof StreamFault) {
    return fromUnusableAnswer(asked, { status, headers, body: thrown.body }, thrown.what);
  }
  return fromTransport(asked, thrown, headers, status);
}

/** The wait for the first content, then the pauses between contents. */
class Clock {
  readonly #controller = new AbortController();
  readonly #callerSignal: AbortSignal;
  readonly #idleTimeoutMs: number;
  #timer: NodeJS.Timeout;
  #fault: TransportError | undefined;
  #begun = false;
  #stopped = false;

  constructor({ signal, firstTokenTimeoutMs, idleTimeoutMs }: StreamRequest) {
    this.#callerSignal = signal;
    this.#idleTimeoutMs = idleTimeoutMs;
    if (signal.aborted) this.#abort();
    else signal.addEventListener('abort', this.#abort, { once: true });
    this.#timer = setTimeout(() => this.#runOut('first_token'), firstTokenTimeoutMs);
  }

  readonly #abort = () => this.#controller.abort();

  #runOut(kind: TransportError['kind']): void {
    this.#fault = new TransportError(kind);
    this.#abort();
  }

  #restart(): void {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => this.#runOut('stall'), this.#idleTimeoutMs);
  }

  /** Aborts with the request's signal and when a clock has run out. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get fault(): TransportError | undefined {
    return this.#fault;
  }

  /** The answer has moved on; `content` ends the wait for the first one. */
  progress(content: boolean): void {
    if (this.#begun) this.#timer.refresh();
    else if (content) {
      this.#begun = true;
      this.#restart();
    }
  }

  /** Runs no time while `work` lasts. */
  async pause(work: Promise<void>): Promise<void> {
    clearTimeout(this.#timer);
    try {
      await work;
    } finally {
      this.#restart();
    }
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#callerSignal.removeEventListener('abort', this.#abort);
  }
}

/** @throws StreamFault */
export function parseEvent(data: string): Record<string, Json | undefined> {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    throw new StreamFault('its stream holds an event that is not JSON', data);
  }
  if (!isRecord(value)) throw new StreamFault('its stream holds an event that is not an object', value);
  return value;
}
