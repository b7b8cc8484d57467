/**
 * An answer on its way to a reader while it is made. It owns what a reader may cost the call: a slow one holds the
 * provider back for a while and is then given up; one that went away leaves the provider a moment to end, because what
 * has been bought is worth its record, and then the call is cancelled. It knows nothing of HTTP and of rows.
 */
import type { Admission, Delivery } from '../domain/execution.ts';
import type { Usage } from '../domain/usage.ts';
import { collectAnswer, type PartialAnswer } from './partial-answer.ts';
import type { AttemptControl, StreamControl, StreamDelta } from './provider.ts';

/** Who hears an answer while it is made. */
export interface StreamReader {
  /** The call is admitted: its intent is durable. Comes once, before anything is written. */
  admitted(admission: Admission): void;
  /** What the provider has counted before the first piece, where its wire tells. */
  counted?(usage: Usage): void;
  /** @returns a promise of room for more when there is none now; it settles, too, when the reader is gone */
  write(delta: StreamDelta): Promise<void> | undefined;
  /** Hears when the reader has gone away, at once where it has gone already. */
  onGone(leave: () => void): void;
  /** The reader is given up: it did not read. Nothing is written any more. */
  drop(): void;
}

/** How long a reader may take to make room, in milliseconds: longer than any hiccup of a network. */
const patienceMs = 10_000;

/** How long a provider may go on for a reader that has gone, in milliseconds: most answers are near their end. */
const drainMs = 5_000;

export interface ClosedDelivery {
  readonly delivery: Delivery;
  /** The answer as far as it came. */
  readonly partial: PartialAnswer;
}

function contentOf(delta: StreamDelta): string {
  if (delta.type === 'tool_call') return delta.arguments;
  return delta.type === 'reasoning_end' ? '' : delta.text;
}

/** An object with methods: each stream has one. */
export class OpenDelivery {
  readonly #reader: StreamReader;
  readonly #admission: Admission;
  readonly #elapsedMs: () => number;
  /** Aborts with the call's own signal, and when the reader is not worth waiting for any more. */
  readonly #end = new AbortController();
  readonly #answer = collectAnswer();
  #timeToFirstTokenMs: number | null = null;
  #deliveredBytes = 0;
  #disconnectedAt: Date | null = null;
  #drain: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param elapsedMs milliseconds since the request arrived */
  constructor(reader: StreamReader, admission: Admission, elapsedMs: () => number) {
    this.#reader = reader;
    this.#admission = admission;
    this.#elapsedMs = elapsedMs;
    reader.onGone(() => this.#leave());
  }

  /** Bounds the call by the reader's presence, and hands every piece on. */
  control(control: AttemptControl): StreamControl {
    const { signal, deadlineMs } = control;
    const stop = () => this.#end.abort(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    return {
      signal: this.#end.signal,
      deadlineMs,
      beforeAttempt: async (number, earlier) => {
        await control.beforeAttempt(number, earlier);
        if (number === 1) this.#reader.admitted(this.#admission);
      },
      onDelta: (delta) => this.#hand(delta),
      onUsage: (usage) => this.#reader.counted?.(usage),
    };
  }

  /** What to record, once the provider has ended. */
  close(): ClosedDelivery {
    this.#closed = true;
    clearTimeout(this.#drain);
    return {
      delivery: {
        timeToFirstTokenMs: this.#timeToFirstTokenMs,
        deliveredBytes: this.#deliveredBytes,
        disconnectedAt: this.#disconnectedAt,
      },
      partial: this.#answer.build(),
    };
  }

  #leave(): void {
    if (this.#closed || this.#disconnectedAt) return;
    this.#disconnectedAt = new Date();
    // Before the first content there is nothing to wait for.
    if (this.#timeToFirstTokenMs === null) this.#end.abort();
    else this.#drain = setTimeout(() => this.#end.abort(), drainMs);
  }

  #hand(delta: StreamDelta): Promise<void> | undefined {
    this.#timeToFirstTokenMs ??= this.#elapsedMs();
    this.#answer.push(delta);
    if (this.#disconnectedAt) return undefined;
    const room = this.#reader.write(delta);
    this.#deliveredBytes += Buffer.byteLength(contentOf(delta));
    return room && this.#awaitRoom(room);
  }

  async #awaitRoom(room: Promise<void>): Promise<void> {
    const { promise: impatience, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      this.#reader.drop();
      this.#leave();
      resolve();
    }, patienceMs);
    await Promise.race([room, impatience]);
    clearTimeout(timer);
  }
}
