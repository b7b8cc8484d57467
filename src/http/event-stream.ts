/**
 * Server-sent events to one client, with backpressure and keep-alive comments. Memory per client is bounded by the
 * buffer here and the socket's own. It knows nothing of what the events say.
 */
export interface ServerSentEvent {
  /** Left out: the wire names no events. */
  readonly event?: string;
  /** A text is sent as it is: one line. */
  readonly data: object | string;
}

export interface EventStream {
  readonly body: ReadableStream<Uint8Array>;
  /** @returns a promise of room when the buffer is full */
  send(event: ServerSentEvent): Promise<void> | undefined;
  /** Ends the response after what was sent. */
  end(): void;
}

/** A few hundred deltas; what lies here is lost when the client goes. */
const bufferBytes = 16 * 1024;

export interface EventStreamOptions {
  /** Pause after which a comment tells proxies that the connection lives, in milliseconds. */
  readonly keepAliveMs: number;
  /** Called when the client has gone before the end. */
  readonly onGone: () => void;
}

export function createEventStream({ keepAliveMs, onGone }: EventStreamOptions): EventStream {
  const encoder = new TextEncoder();
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let room: PromiseWithResolvers<void> | undefined;
  let open = true;

  const body = new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given;
      },
      pull() {
        room?.resolve();
        room = undefined;
      },
      cancel() {
        close();
        onGone();
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: bufferBytes }),
  );
  // A client with a full buffer needs no sign of life: it has something to read.
  const keepAlive = setInterval(() => {
    if (hasRoom()) write(': keep-alive\n\n');
  }, keepAliveMs);
  keepAlive.unref();

  function close(): void {
    open = false;
    clearInterval(keepAlive);
    room?.resolve();
    room = undefined;
  }

  function hasRoom(): boolean {
    return (controller?.desiredSize ?? 0) > 0;
  }

  function write(text: string): void {
    controller?.enqueue(encoder.encode(text));
  }

  return {
    body,
    send({ event, data }) {
      if (!open) return undefined;
      const name = event === undefined ? '' : `event: ${event}\n`;
      write(`${name}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
      keepAlive.refresh();
      if (hasRoom()) return undefined;
      room ??= Promise.withResolvers<void>();
      return room.promise;
    },
    end() {
      if (!open) return;
      close();
      controller?.close();
    },
  };
}
