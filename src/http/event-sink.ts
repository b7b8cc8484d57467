/**
 * Where server-sent events go: to a caller's connection, written by Node itself, or to a reader inside this process.
 * A connection is not fed through a web stream: a thousand of those would take more memory than the answers in them.
 */
import type { ServerResponse } from 'node:http';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { HttpContext } from './context.ts';

export interface EventSink {
  /** Sends status and headers, with those that the context has by now. @returns what the handler is to answer */
  begin(c: HttpContext, headers: Record<string, string>): Response;
  write(text: string): void;
  hasRoom(): boolean;
  /** Ends the response after what was written. */
  end(): void;
}

export interface EventSinkEvents {
  /** There is room again. */
  onRoom(): void;
  /** The response is over, whoever ended it. */
  onClose(): void;
}

export class ConnectionSink implements EventSink {
  readonly #outgoing: ServerResponse;

  constructor(outgoing: ServerResponse, events: EventSinkEvents) {
    this.#outgoing = outgoing;
    // One that was lost before says so no more.
    if (outgoing.destroyed) events.onClose();
    outgoing.on('drain', () => events.onRoom());
    outgoing.on('close', () => events.onClose());
  }

  begin(c: HttpContext, headers: Record<string, string>): Response {
    const head = c.body(null, 200, headers);
    const outgoing = this.#outgoing;
    outgoing.writeHead(head.status, Object.fromEntries(head.headers));
    // Together with the first events. Node keeps the headers while the response lasts: written with something behind them they
    // would stay the dozen strings that they were made of.
    const { socket } = outgoing;
    socket?.cork();
    outgoing.flushHeaders();
    process.nextTick(() => socket?.uncork());
    // Made when it was imported, before the server put a Response of its own in place: such a one it would send again.
    return RESPONSE_ALREADY_SENT;
  }

  write(text: string): void {
    this.#outgoing.write(text);
  }

  hasRoom(): boolean {
    return !this.#outgoing.writableNeedDrain;
  }

  end(): void {
    this.#outgoing.end();
  }
}

/** Of a reader in this process: a few hundred deltas. A connection has the buffer of its socket. */
const bufferBytes = 16 * 1024;

export class ReaderSink implements EventSink {
  readonly #encoder = new TextEncoder();
  readonly #body: ReadableStream<Uint8Array>;
  #controller!: ReadableStreamDefaultController<Uint8Array>;

  constructor(events: EventSinkEvents) {
    this.#body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => events.onRoom(),
        cancel: () => events.onClose(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: bufferBytes }),
    );
  }

  begin(c: HttpContext, headers: Record<string, string>): Response {
    return c.body(this.#body, 200, headers);
  }

  write(text: string): void {
    this.#controller.enqueue(this.#encoder.encode(text));
  }

  hasRoom(): boolean {
    return (this.#controller.desiredSize ?? 0) > 0;
  }

  end(): void {
    this.#controller.close();
  }
}
