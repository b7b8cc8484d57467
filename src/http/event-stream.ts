/**
 * Server-sent events to one client, with backpressure and keep-alive comments. Memory per client is bounded by what its
 * sink holds. It knows nothing of what the events say.
 */
import type { HttpContext } from './context.ts';
import { openEventSink } from './event-sink.ts';

export interface ServerSentEvent {
  /** Left out: the wire names no events. */
  readonly event?: string;
  /** A text is sent as it is: one line. */
  readonly data: object | string;
}

export interface EventStream {
  /** Sends status and headers; comes once, before anything else. @returns what the handler is to answer */
  begin(): Response;
  /** @returns a promise of room when the buffer is full; it settles, too, when the client has gone */
  send(event: ServerSentEvent): Promise<void> | undefined;
  /** Ends the response after what was sent. */
  end(): void;
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

/** @param onGone called when the client has gone before the end */
export function createEventStream(c: HttpContext, onGone: () => void): EventStream {
  let state: 'waiting' | 'open' | 'over' = 'waiting';
  let room: PromiseWithResolvers<void> | undefined;
  let keepAlive: NodeJS.Timeout | undefined;

  function makeRoom(): void {
    room?.resolve();
    room = undefined;
  }

  function close(): boolean {
    const wasOver = state === 'over';
    state = 'over';
    clearInterval(keepAlive);
    makeRoom();
    return !wasOver;
  }

  const sink = openEventSink(c, {
    onRoom: makeRoom,
    onClose() {
      if (close()) onGone();
    },
  });

  return {
    begin() {
      if (state === 'waiting') {
        state = 'open';
        // A client with a full buffer needs no sign of life: it has something to read.
        keepAlive = setInterval(() => {
          if (sink.hasRoom()) sink.write(': keep-alive\n\n');
        }, keepAliveMs).unref();
      }
      return sink.begin(headers);
    },
    send({ event, data }) {
      if (state !== 'open') return undefined;
      const name = event === undefined ? '' : `event: ${event}\n`;
      sink.write(`${name}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
      keepAlive?.refresh();
      if (sink.hasRoom()) return undefined;
      room ??= Promise.withResolvers<void>();
      return room.promise;
    },
    end() {
      const begun = state === 'open';
      if (close() && begun) sink.end();
    },
  };
}
