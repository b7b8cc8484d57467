/**
 * The `fetch` that requests go out by: one pool of kept-alive connections per provider and our own clocks. It owns
 * connect and first-byte time, the pause between bytes, the size of an answer and the refusal to follow redirects
 * (a redirect would re-post the prompt to another origin). It knows nothing of wires, retries or deadlines.
 */
import { Agent } from 'undici';
import { createPooledFetch } from './pooled-fetch.ts';
import { TransportError } from './transport-error.ts';

export type Fetch = typeof globalThis.fetch;

export interface HttpClient {
  readonly fetch: Fetch;
  close(): Promise<void>;
}

export interface HttpClientOptions {
  readonly connectTimeoutMs: number;
  readonly firstByteTimeoutMs: number;
  /** Stands in for the network in tests. */
  readonly fetch?: Fetch | undefined;
}

/** No chat answer comes near this; a runaway body must not fill the memory. */
export const responseBytesMax = 32 * 1024 * 1024;

/** The beginning of a failure's body says what there is to say. */
const failureBytesMax = 64 * 1024;

/** Longest pause inside a body. Providers that think send headers late, not bodies slowly. */
const stallMs = 60_000;

const utf8 = new TextDecoder();

export function createHttpClient(options: HttpClientOptions): HttpClient {
  if (options.fetch) return { fetch: guarded(options.fetch), close: async () => {} };
  const agent = new Agent({
    connect: { timeout: options.connectTimeoutMs },
    headersTimeout: options.firstByteTimeoutMs,
    bodyTimeout: stallMs,
    maxResponseSize: responseBytesMax,
    keepAliveTimeout: 30_000,
  });
  return {
    fetch: guarded(createPooledFetch(agent)),
    // Not `close`: it would wait for requests that nobody waits for any more.
    close: () => agent.destroy(),
  };
}

function guarded(fetch: Fetch): Fetch {
  return async (input, init) => {
    try {
      const response = await fetch(input, { ...init, redirect: 'error' });
      return response.ok ? response : await cutFailure(response, init?.signal);
    } catch (error) {
      throw toTransportError(error, init?.signal);
    }
  };
}

/** What is made of a failure reads its body whole: it is given the beginning. */
async function cutFailure(response: Response, signal: AbortSignal | null | undefined): Promise<Response> {
  const limit = { bytes: failureBytesMax, cut: true };
  const text = await readBody(response, signal ?? new AbortController().signal, limit).catch(() => '');
  return new Response(text || null, { status: response.status, headers: response.headers });
}

/**
 * Reads a whole body, decoded, as text. Past the limit it is too large, or cut off there.
 * @throws TransportError — broken, stalled or too large
 */
export async function readBody(
  response: Response,
  signal: AbortSignal,
  limit = { bytes: responseBytesMax, cut: false },
): Promise<string> {
  if (!response.body) return '';
  const reader = response.body.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  signal.addEventListener('abort', cancel, { once: true });
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      bytes += value.byteLength;
      if (bytes > limit.bytes && !limit.cut) throw new TransportError('too_large');
      pieces.push(value);
      if (bytes > limit.bytes) {
        cancel();
        break;
      }
    }
  } catch (error) {
    cancel();
    throw toTransportError(error, signal);
  } finally {
    signal.removeEventListener('abort', cancel);
  }
  return utf8.decode(pieces.length === 1 ? pieces[0] : Buffer.concat(pieces));
}

const kindByCode: Readonly<Record<string, TransportError['kind']>> = {
  UND_ERR_CONNECT_TIMEOUT: 'connect_timeout',
  UND_ERR_HEADERS_TIMEOUT: 'first_byte',
  UND_ERR_BODY_TIMEOUT: 'stall',
  UND_ERR_RES_EXCEEDED_MAX_SIZE: 'too_large',
};

/** An abort keeps its own shape: the retry policy knows it by the signal. */
export function toTransportError(thrown: unknown, signal: AbortSignal | null | undefined): unknown {
  if (signal?.aborted || thrown instanceof TransportError) return thrown;
  for (let error = thrown, depth = 0; error instanceof Error && depth < 5; error = error.cause, depth++) {
    const kind = 'code' in error ? kindByCode[String(error.code)] : undefined;
    if (kind) return new TransportError(kind, thrown);
    if (error.message === 'unexpected redirect') return new TransportError('redirect', thrown);
  }
  return new TransportError('connection', thrown);
}
