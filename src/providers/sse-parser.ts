/**
 * Server-sent events out of bytes that may be cut anywhere: in a character, between CR and LF, in the middle of an
 * event. Memory is bounded by the size of one event. Our own, because no parser at hand bounds a line while it grows.
 */
import { StringDecoder } from 'node:string_decoder';
import { TransportError } from './transport-error.ts';

export interface SseEvent {
  /** `message` unless the stream names it. */
  readonly event: string;
  /** The data lines, joined by LF. Events without data are not events. */
  readonly data: string;
}

/** UTF-16 units. A web search result or an image arrives as one event of some megabytes. */
export const eventSizeMax = 8 * 1024 * 1024;

/** An object with methods: of a thousand streams each has one. */
export class SseParser {
  readonly #sizeMax: number;
  /** From the first bytes on that end in something else than ASCII, which may be half a character. */
  #decoder: StringDecoder | undefined;
  /** A line is joined once, when it ends: appending each piece to one text would take quadratic time in tiny chunks. */
  #pieces: string[] = [];
  #data: string[] = [];
  #event = '';
  #size = 0;
  #begun = false;
  #endedInCr = false;

  constructor(sizeMax: number = eventSizeMax) {
    this.#sizeMax = sizeMax;
  }

  /** @throws TransportError too_large */
  push(bytes: Uint8Array): SseEvent[] {
    const found: SseEvent[] = [];
    this.#read(this.#decode(bytes), found);
    return found;
  }

  /**
   * The event that the end of the stream completes: many servers leave out the last blank line. What was cut in the
   * middle comes out cut, and does not parse.
   */
  end(): SseEvent[] {
    const found: SseEvent[] = [];
    this.#read(this.#decoder?.end() ?? '', found);
    if (this.#pieces.length > 0) this.#takeLine(this.#pieces.join(''), found);
    this.#pieces = [];
    this.#takeEvent(found);
    return found;
  }

  #decode(bytes: Uint8Array): string {
    if (!this.#decoder && (bytes.at(-1) ?? 0) < 0x80) {
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
    }
    this.#decoder ??= new StringDecoder('utf8');
    return this.#decoder.write(bytes);
  }

  #read(decoded: string, found: SseEvent[]): void {
    const text = this.#begun ? decoded : decoded.replace(/^\uFEFF/, '');
    this.#begun ||= decoded !== '';
    let from = this.#endedInCr && text.startsWith('\n') ? 1 : 0;
    if (text !== '') this.#endedInCr = text.endsWith('\r');
    for (const match of text.matchAll(/\r\n|\r|\n/g)) {
      if (match.index < from) continue;
      this.#grow(match.index - from);
      this.#pieces.push(text.slice(from, match.index));
      this.#takeLine(this.#pieces.join(''), found);
      this.#pieces = [];
      from = match.index + match[0].length;
    }
    this.#grow(text.length - from);
    if (from < text.length) this.#pieces.push(text.slice(from));
  }

  #grow(by: number): void {
    this.#size += by;
    if (this.#size > this.#sizeMax) throw new TransportError('too_large');
  }

  #takeLine(line: string, found: SseEvent[]): void {
    if (line === '') {
      this.#takeEvent(found);
      return;
    }
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') this.#data.push(value);
    else {
      if (field === 'event') this.#event = value;
      // Comments, ids and retry times are forgotten at once: endless ones must not count as an endless event.
      this.#size -= line.length;
    }
  }

  #takeEvent(found: SseEvent[]): void {
    if (this.#data.length > 0) found.push({ event: this.#event || 'message', data: this.#data.join('\n') });
    this.#data = [];
    this.#event = '';
    this.#size = 0;
  }
}
