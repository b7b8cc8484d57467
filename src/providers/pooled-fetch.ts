/**
 * As much of `fetch` as our requests and readers use, straight over a pool: the whole of it costs a gateway more than all
 * that it does itself. Redirects are not followed but refused, and answers are asked for as they are, not packed.
 */
import { Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { Agent, Dispatcher } from 'undici';
import type { Fetch } from './http-client.ts';
import { TransportError } from './transport-error.ts';

const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

const utf8 = new TextEncoder();

/** More than this of a body does not wait here for its reader, in bytes. */
const waitingBytesMax = 65_536;

/** @returns a `fetch` for absolute URLs, and bodies of text */
export function createPooledFetch(agent: Agent): Fetch {
  const pooledFetch = (input: string | URL, init: RequestInit = {}) => {
    const { origin, pathname, search } = new URL(input);
    const exchange = new Exchange(init.signal);
    agent.dispatch(
      {
        origin,
        path: pathname + search,
        method: (init.method ?? 'GET') as Dispatcher.HttpMethod,
        headers: init.headers as Record<string, string>,
        // Bytes of its own: the request keeps them while its answer streams, and a slice would keep a pool of 64 KiB.
        body: typeof init.body === 'string' ? utf8.encode(init.body) : null,
      },
      exchange,
    );
    return exchange.response;
  };
  return pooledFetch as unknown as Fetch;
}

interface Piece {
  readonly done?: boolean | undefined;
  readonly value?: Uint8Array | undefined;
}

/** A body as it comes; it can be read once. */
interface Pieces {
  read(): Promise<Piece>;
  /** Wants no more. Of a whole body nothing happens. */
  cancel(): Promise<void>;
}

/** One request and its answer, as undici tells of it. */
class Exchange implements Dispatcher.DispatchHandler, Pieces {
  readonly response: Promise<PooledResponse>;
  readonly #settle: PromiseWithResolvers<PooledResponse>;
  readonly #signal: AbortSignal | null | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #waiting: Buffer[] | undefined;
  #waitingBytes = 0;
  #ended = false;
  #failure: Error | undefined;
  #reading: PromiseWithResolvers<Piece> | undefined;

  constructor(signal: AbortSignal | null | undefined) {
    this.#settle = Promise.withResolvers();
    this.response = this.#settle.promise;
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  readonly #onAbort = () => this.#controller?.abort(this.#signal?.reason);

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#signal?.aborted) this.#onAbort();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Dispatcher.ResponseData['headers'],
  ): void {
    if (status < 200) return;
    // Told once more, as bytes: while an answer streams they would hold what they came in, some KiB.
    controller.rawHeaders = null;
    if (redirects.has(status)) controller.abort(new TransportError('redirect'));
    else this.#settle.resolve(new PooledResponse(status, headers, this));
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void {
    const reading = this.#takeReading();
    if (reading) {
      reading.resolve({ done: false, value: piece });
      return;
    }
    this.#waiting ??= [];
    this.#waiting.push(piece);
    this.#waitingBytes += piece.length;
    if (this.#waitingBytes > waitingBytesMax) controller.pause();
  }

  onResponseEnd(): void {
    this.#end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#failure = error;
    this.#settle.reject(error);
    this.#end();
  }

  #end(): void {
    this.#ended = true;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    const reading = this.#takeReading();
    if (this.#failure) reading?.reject(this.#failure);
    else reading?.resolve({ done: true });
  }

  /** Whoever waits for a piece, who then waits no more. */
  #takeReading(): PromiseWithResolvers<Piece> | undefined {
    const reading = this.#reading;
    this.#reading = undefined;
    return reading;
  }

  read(): Promise<Piece> {
    const value = this.#waiting?.shift();
    if (value) {
      this.#waitingBytes -= value.length;
      // May bring further pieces before it returns: they wait behind this one.
      if (this.#waitingBytes <= waitingBytesMax) this.#controller?.resume();
      return Promise.resolve({ done: false, value });
    }
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#ended) return Promise.resolve({ done: true });
    this.#reading = Promise.withResolvers<Piece>();
    return this.#reading.promise;
  }

  async cancel(): Promise<void> {
    if (!this.#ended) this.#controller?.abort(new TransportError('connection'));
  }
}

/** The members of `Response` that are read. */
class PooledResponse {
  readonly status: number;
  readonly ok: boolean;
  readonly headers: PooledHeaders;
  readonly body: { getReader(): Pieces };

  constructor(status: number, headers: Dispatcher.ResponseData['headers'], pieces: Pieces) {
    this.status = status;
    this.ok = status >= 200 && status < 300;
    this.headers = new PooledHeaders(headers);
    const unpacked = unpack(pieces, this.headers.get('content-encoding'));
    this.body = { getReader: () => unpacked };
  }
}

class PooledHeaders {
  readonly #values: Dispatcher.ResponseData['headers'];

  constructor(values: Dispatcher.ResponseData['headers']) {
    this.#values = values;
  }

  get(name: string): string | null {
    const value = this.#values[name.toLowerCase()];
    return Array.isArray(value) ? value.join(', ') : (value ?? null);
  }

  *entries(): IterableIterator<[string, string]> {
    for (const name of Object.keys(this.#values)) yield [name, this.get(name) ?? ''];
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }
}

const unpackers = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

/** Some servers pack what nobody asked them to. What is read of it is bounded where it is read. */
function unpack(pieces: Pieces, encoding: string | null): Pieces {
  const create = encoding === null ? undefined : unpackers[encoding.toLowerCase() as keyof typeof unpackers];
  if (!create) return pieces;
  const unpacked = Readable.from(iterate(pieces)).compose(create());
  // Who gives up on an answer hears of it by other means.
  unpacked.on('error', () => {});
  const unread = unpacked[Symbol.asyncIterator]();
  return { read: () => unread.next(), cancel: async () => void unpacked.destroy() };
}

async function* iterate(pieces: Pieces) {
  try {
    for (;;) {
      const { done, value } = await pieces.read();
      if (done) return;
      yield value;
    }
  } finally {
    await pieces.cancel();
  }
}
