/** OpenAI's SDK with nothing of its own: no retries, no clock, nothing out of the environment. The only file that imports it. */
import OpenAI from 'openai';
import type { ProviderSettings } from '../application/provider.ts';
import type { JsonObject } from '../domain/json.ts';
import type { HttpClient } from './http-client.ts';
import { sdkTimeoutMs } from './wire.ts';

/** Posts a body below the base URL; the answer is raw. */
export type Post = (path: string, body: JsonObject, signal: AbortSignal) => Promise<Response>;

export function createOpenaiSdk(settings: ProviderSettings, http: HttpClient): Post {
  const client = new OpenAI({
    apiKey: settings.apiKey,
    baseURL: settings.baseUrl,
    fetch: http.fetch,
    maxRetries: 0,
    timeout: sdkTimeoutMs,
    logLevel: 'off',
    // The SDK would read these from the environment and send them to whatever server is configured.
    adminAPIKey: null,
    organization: null,
    project: null,
  });
  return (path, body, signal) => client.post(path, { body, signal }).asResponse();
}
