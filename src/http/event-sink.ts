/**
 * Where server-sent events go: to a caller's connection, written by Node itself, or to a reader inside this process.
 * A connection is not fed through a web stream: a thousand of those would take more memory than the answers in them.
 */
import type { ServerResponse } from 'node:http';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { HttpContext } from './context.ts';

export interface EventSink {
  /** Sends status and headers, with those that the context has by now. @returns what the handler is to answer */
  begin(headers: Record<string, string>): Response;
  write(text: string): void;
  hasRoom(): boolean;
  /** Ends the response after what was written. */
  end(): void;
}

export interface EventSinkOptions {
  /** Called when there is room again. */
  readonly onRoom: () => void;
  /** Called when the response is over, whoever ended it. */
  readonly onClose: () => void;
}

/** Of a reader in this process: a few hundred deltas. A connection has the buffer of its socket. */
const bufferBytes = 16 * 1024;

export function openEventSink(c: HttpContext, options: EventSinkOptions): EventSink {
  const outgoing = c.env?.outgoing;
  return outgoing ? connectionSink(c, outgoing, options) : readerSink(c, options);
}

function connectionSink(
  c: HttpContext,
  outgoing: ServerResponse,
  { onRoom, onClose }: EventSinkOptions,
): EventSink {
  // One that was lost before says so no more.
  if (outgoing.destroyed) onClose();
  outgoing.on('drain', onRoom).on('close', onClose);
  return {
    begin(headers) {
      const head = c.body(null, 200, headers);
      outgoing.writeHead(head.status, Object.fromEntries(head.headers));
      return RESPONSE_ALREADY_SENT;
    },
    write: (text) => void outgoing.write(text),
    hasRoom: () => !outgoing.writableNeedDrain,
    end: () => void outgoing.end(),
  };
}

function readerSink(c: HttpContext, { onRoom, onClose }: EventSinkOptions): EventSink {
  const encoder = new TextEncoder();
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given;
      },
      pull: onRoom,
      cancel: onClose,
    },
    new ByteLengthQueuingStrategy({ highWaterMark: bufferBytes }),
  );
  return {
    begin: (headers) => c.body(body, 200, headers),
    write: (text) => controller.enqueue(encoder.encode(text)),
    hasRoom: () => (controller.desiredSize ?? 0) > 0,
    end: () => controller.close(),
  };
}
