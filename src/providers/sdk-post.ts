/**
 * A request as an SDK makes it, made once: address and headers are the same for every call of a client, so the SDK says
 * how they look and each call brings its body. Making them anew took longer than rendering, pricing and hashing together.
 */
import type { Json, JsonObject } from '../domain/json.ts';
import type { HttpClient } from './http-client.ts';

/** Posts a body; the answer is raw. @throws what the SDK makes of a failure, and what the transport throws */
export type Post = (body: JsonObject, signal: AbortSignal) => Promise<Response>;

/** As much of an SDK's client as makes a request; both SDKs have it. */
interface RequestBuilder {
  buildRequest(options: {
    method: 'post';
    path: string;
    body: object;
  }): Promise<{ url: string; req: { headers: Headers } }>;
}

/** How an SDK makes an error of a failed answer: of its parsed body, or of its text when that is no JSON. */
type ToError = (
  status: number,
  body: Record<string, Json> | undefined,
  text: string | undefined,
  headers: Headers,
) => Error;

/** @param path below the base URL of the client */
export function createPost(sdk: RequestBuilder, path: string, http: HttpClient, toError: ToError): Post {
  let head: Promise<{ url: string; headers: Record<string, string> }> | undefined;
  async function build() {
    const { url, req } = await sdk.buildRequest({ method: 'post', path, body: {} });
    return { url, headers: Object.fromEntries(req.headers) };
  }
  return async (body, signal) => {
    head ??= build();
    const { url, headers } = await head;
    const response = await http.fetch(url, { method: 'POST', headers, body: JSON.stringify(body), signal });
    if (response.ok) return response;
    const text = await response.text();
    const parsed = parseFailure(text);
    throw toError(response.status, parsed, parsed ? undefined : text, response.headers);
  };
}

function parseFailure(text: string): Record<string, Json> | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
