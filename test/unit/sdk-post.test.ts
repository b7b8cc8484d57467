import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { expect, test } from 'vitest';
import { type Wire, wires } from '../../src/application/provider.ts';
import { createProviders } from '../../src/providers/providers.ts';
import { sdkTimeoutMs } from '../../src/providers/wire.ts';
import { callOf, controlOf, settingsOf, testKey } from '../support/provider-calls.ts';

type Fetch = typeof fetch;
interface Sent {
  readonly url: string;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: unknown;
}

function record(sent: Sent[]): Fetch {
  return async (url, init) => {
    sent.push({
      url: String(url),
      method: String(init?.method).toUpperCase(),
      headers: Object.fromEntries(new Headers(init?.headers)),
      body: JSON.parse(String(init?.body)),
    });
    return new Response('{}');
  };
}

const baseURL = 'http://127.0.0.1:9/base';

async function sendBySdk(wire: Wire, body: object, fetch: Fetch): Promise<void> {
  const options = { apiKey: testKey, baseURL, fetch, maxRetries: 0, timeout: sdkTimeoutMs };
  if (wire === 'anthropic') {
    const client = new Anthropic({ ...options, authToken: null });
    await client.messages.create(body as Anthropic.MessageCreateParams).asResponse();
  } else {
    const path = wire === 'openai' ? '/chat/completions' : '/responses';
    const client = new OpenAI({ ...options, adminAPIKey: null, organization: null, project: null });
    await client.post(path, { body }).asResponse();
  }
}

test.each(wires)('over the %s wire each request is what the SDK itself would send', async (wire) => {
  const ours: Sent[] = [];
  const providers = createProviders([settingsOf(wire, baseURL)], { fetch: record(ours) });
  await providers.call(callOf(wire, 'a-model'), controlOf());
  await providers.call(callOf(wire, 'another-model', { parameters: { maxOutputTokens: 7 } }), controlOf());
  const theirs: Sent[] = [];
  for (const { body } of ours) await sendBySdk(wire, body as object, record(theirs));
  expect(ours).toHaveLength(2);
  expect(ours[1]?.body).not.toEqual(ours[0]?.body);
  expect(ours).toEqual(theirs);
});
