/**
 * Server-sent events out of bytes that may be cut anywhere: in a character, between CR and LF, in the middle of an
 * event. Memory is bounded by the size of one event. Our own, because no parser at hand bounds a line while it grows.
 */
import { TransportError } from './transport-error.ts';

export interface SseEvent {
  /** `message` unless the stream names it. */
  readonly event: string;
  /** The data lines, joined by LF. Events without data are not events. */
  readonly data: string;
}

export interface SseParser {
  /** @throws TransportError too_large */
  push(bytes: Uint8Array): SseEvent[];
  /**
   * The event that the end of the stream completes: many servers leave out the last blank line. What was cut in the
   * middle comes out cut, and does not parse.
   */
  end(): SseEvent[];
}

/** UTF-16 units. A web search result or an image arrives as one event of some megabytes. */
export const eventSizeMax = 8 * 1024 * 1024;

export function createSseParser(sizeMax: number = eventSizeMax): SseParser {
  const decoder = new TextDecoder();
  // A line is joined once, when it ends: appending each piece to one text would take quadratic time in tiny chunks.
  let pieces: string[] = [];
  let data: string[] = [];
  let event = '';
  let size = 0;
  let endedInCr = false;

  function read(text: string, found: SseEvent[]): void {
    let from = endedInCr && text.startsWith('\n') ? 1 : 0;
    if (text !== '') endedInCr = text.endsWith('\r');
    for (const match of text.matchAll(/\r\n|\r|\n/g)) {
      if (match.index < from) continue;
      grow(match.index - from);
      pieces.push(text.slice(from, match.index));
      takeLine(pieces.join(''), found);
      pieces = [];
      from = match.index + match[0].length;
    }
    grow(text.length - from);
    if (from < text.length) pieces.push(text.slice(from));
  }

  function grow(by: number): void {
    size += by;
    if (size > sizeMax) throw new TransportError('too_large');
  }

  function takeLine(line: string, found: SseEvent[]): void {
    if (line === '') {
      takeEvent(found);
      return;
    }
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') data.push(value);
    else {
      if (field === 'event') event = value;
      // Comments, ids and retry times are forgotten at once: endless ones must not count as an endless event.
      size -= line.length;
    }
  }

  function takeEvent(found: SseEvent[]): void {
    if (data.length > 0) found.push({ event: event || 'message', data: data.join('\n') });
    data = [];
    event = '';
    size = 0;
  }

  return {
    push(bytes) {
      const found: SseEvent[] = [];
      read(decoder.decode(bytes, { stream: true }), found);
      return found;
    },
    end() {
      const found: SseEvent[] = [];
      read(decoder.decode(), found);
      if (pieces.length > 0) takeLine(pieces.join(''), found);
      pieces = [];
      takeEvent(found);
      return found;
    },
  };
}
