/**
 * Server-sent events to one client, with backpressure and keep-alive comments. Memory per client is bounded by what its
 * sink holds. It knows nothing of what the events say.
 */
import type { HttpContext } from './context.ts';
import { ConnectionSink, type EventSink, type EventSinkEvents, ReaderSink } from './event-sink.ts';

export interface ServerSentEvent {
  /** Left out: the wire names no events. */
  readonly event?: string;
  /** A text is sent as it is: one line. */
  readonly data: object | string;
}

/**
 * Pause after which a comment tells that the connection lives, in milliseconds: proxies commonly cut one that is silent
 * for 30 seconds or more.
 */
export const keepAliveMs = 10_000;

const headers = {
  'content-type': 'text/event-stream; charset=utf-8',
  // no-transform: a proxy that compresses would hold events back; x-accel-buffering tells nginx the same.
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

/** An object with methods, as its sink is, and without the request's context: of these there may be thousands. */
export class EventStream implements EventSinkEvents {
  readonly #sink: EventSink;
  readonly #onGone: () => void;
  #state: 'waiting' | 'open' | 'over' = 'waiting';
  #room: PromiseWithResolvers<void> | undefined;
  #keepAlive: NodeJS.Timeout | undefined;

  /**
   * @param outgoing left out: the client is inside this process
   * @param onGone called when the client has gone before the end
   */
  constructor(outgoing: HttpContext['env']['outgoing'], onGone: () => void) {
    this.#onGone = onGone;
    this.#sink = outgoing ? new ConnectionSink(outgoing, this) : new ReaderSink(this);
  }

  /** Sends status and headers; comes once, before anything else. @returns what the handler is to answer */
  begin(c: HttpContext): Response {
    const response = this.#sink.begin(c, headers);
    if (this.#state === 'waiting') {
      this.#state = 'open';
      this.#keepAlive = setInterval(() => this.keepAlive(), keepAliveMs).unref();
    }
    return response;
  }

  /** Tells that the connection lives. A client with a full buffer needs no sign of life: it has something to read. */
  keepAlive(): void {
    if (this.#state === 'open' && this.#sink.hasRoom()) this.#sink.write(': keep-alive\n\n');
  }

  /** @returns a promise of room when the buffer is full; it settles, too, when the client has gone */
  send({ event, data }: ServerSentEvent): Promise<void> | undefined {
    if (this.#state !== 'open') return undefined;
    const name = event === undefined ? '' : `event: ${event}\n`;
    this.#sink.write(`${name}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
    this.#keepAlive?.refresh();
    if (this.#sink.hasRoom()) return undefined;
    this.#room ??= Promise.withResolvers<void>();
    return this.#room.promise;
  }

  /** Ends the response after what was sent. */
  end(): void {
    const begun = this.#state === 'open';
    if (this.#close() && begun) this.#sink.end();
  }

  onRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  onClose(): void {
    if (this.#close()) this.#onGone();
  }

  /** @returns false when it was closed before */
  #close(): boolean {
    if (this.#state === 'over') return false;
    this.#state = 'over';
    clearInterval(this.#keepAlive);
    this.onRoom();
    return true;
  }
}
