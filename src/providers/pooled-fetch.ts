/**
 * As much of `fetch` as our requests and readers use, straight over a pool: the whole of it costs a gateway more than all
 * that it does itself. Redirects are not followed but refused, and answers are asked for as they are, not packed.
 */
import type { Readable } from 'node:stream';
import type { ReadableStreamReadResult } from 'node:stream/web';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { Agent, Dispatcher } from 'undici';
import type { Fetch } from './http-client.ts';
import { TransportError } from './transport-error.ts';

const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** @returns a `fetch` for absolute URLs, and bodies of text */
export function createPooledFetch(agent: Agent): Fetch {
  const pooledFetch = async (input: string | URL, init: RequestInit = {}) => {
    const { origin, pathname, search } = new URL(input);
    const answer = await agent.request({
      origin,
      path: pathname + search,
      method: (init.method ?? 'GET') as Dispatcher.HttpMethod,
      headers: init.headers as Headers,
      body: (init.body ?? null) as string | null,
      signal: init.signal ?? null,
    });
    // Who gives up on an answer hears of it by other means.
    answer.body.on('error', () => {});
    if (redirects.has(answer.statusCode)) {
      answer.body.destroy();
      throw new TransportError('redirect');
    }
    return new PooledResponse(answer);
  };
  return pooledFetch as unknown as Fetch;
}

/** The members of `Response` that are read; its body can be read once, in pieces or as text. */
class PooledResponse {
  readonly status: number;
  readonly ok: boolean;
  readonly url = '';
  readonly headers: PooledHeaders;
  readonly body: PooledBody;

  constructor({ statusCode, headers, body }: Dispatcher.ResponseData) {
    this.status = statusCode;
    this.ok = statusCode >= 200 && statusCode < 300;
    this.headers = new PooledHeaders(headers);
    this.body = new PooledBody(unpack(body, this.headers.get('content-encoding')));
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

class PooledBody {
  readonly #body: Readable;

  constructor(body: Readable) {
    this.#body = body;
  }

  getReader() {
    const pieces = this.#body[Symbol.asyncIterator]();
    return {
      read: () => pieces.next() as Promise<ReadableStreamReadResult<Uint8Array>>,
      cancel: async () => void this.#body.destroy(),
    };
  }
}

const unpackers = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

/** Some servers pack what nobody asked them to. What is read of it is bounded where it is read. */
function unpack(body: Readable, encoding: string | null): Readable {
  const create = unpackers[encoding?.toLowerCase() as keyof typeof unpackers];
  if (!create) return body;
  const unpacked = body.compose(create());
  unpacked.on('error', () => {});
  return unpacked;
}
