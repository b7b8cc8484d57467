/** OpenAI's SDK with nothing of its own: no retries, no clock, nothing out of the environment. The only file that imports it. */
import OpenAI, { APIError } from 'openai';
import type { ProviderSettings } from '../application/provider.ts';
import type { HttpClient } from './http-client.ts';
import { createPost, type Post } from './sdk-post.ts';
import { sdkTimeoutMs } from './wire.ts';

/** @param path below the base URL */
export function createOpenaiSdk(settings: ProviderSettings, http: HttpClient, path: string): Post {
  const client = new OpenAI({
    apiKey: settings.apiKey,
    baseURL: settings.baseUrl,
    maxRetries: 0,
    timeout: sdkTimeoutMs,
    logLevel: 'off',
    // The SDK would read these from the environment and send them to whatever server is configured.
    adminAPIKey: null,
    organization: null,
    project: null,
  });
  return createPost(client, path, http, (status, body, text, headers) => {
    // As the client does before it makes an error of an answer.
    const named = body?.error == null ? { error: body } : body;
    return APIError.generate(status, named, text, headers);
  });
}
