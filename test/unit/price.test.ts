import { readFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import type { JsonObject } from '../../src/domain/json.ts';
import { computePrice, noPrice, type PriceQuestion, priceSource } from '../../src/domain/price.ts';
import { noUsage } from '../../src/domain/usage.ts';
import { loadRecordings, recordingsAbsent, recordingsArePresent } from '../support/recordings.ts';

const at = new Date('2026-09-01T00:00:00Z');

function priceOf(more: Partial<PriceQuestion> & { rawUsage: JsonObject | null }) {
  return computePrice({
    provider: 'openai',
    model: 'gpt-4o-mini',
    responseModel: 'gpt-4o-mini-2024-07-18',
    usage: noUsage,
    serviceTier: null,
    simulated: false,
    at,
    ...more,
  });
}

const chatUsage = { prompt_tokens: 22, completion_tokens: 3 };

test('the source names the installed version', () => {
  const manifest = new URL('../../node_modules/@pydantic/genai-prices/package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  expect(priceSource).toBe(`genai-prices@${version}`);
});

test('a cost is an exact decimal without floating-point noise, with the unit prices that made it', () => {
  expect(priceOf({ rawUsage: chatUsage })).toEqual({
    cost: '0.0000051',
    currency: 'USD',
    source: priceSource,
    unknownReason: null,
    unitPrices: { 'gpt-4o-mini-2024-07-18': expect.objectContaining({ input_mtok: 0.15, output_mtok: 0.6 }) },
  });
});

test('no tokens cost 0, which is known', () => {
  expect(priceOf({ rawUsage: { prompt_tokens: 0, completion_tokens: 0 } }).cost).toBe('0');
});

test('OpenAI’s cached tokens are part of its prompt tokens, and cheaper', () => {
  const rawUsage = { ...chatUsage, prompt_tokens: 1000, prompt_tokens_details: { cached_tokens: 400 } };
  // 600 × 0.15 + 400 × 0.075 + 3 × 0.6, per million
  expect(priceOf({ rawUsage }).cost).toBe('0.0001218');
});

test('Anthropic’s cache reads and writes come on top of its input tokens, writes at two prices', () => {
  const rawUsage = {
    input_tokens: 100,
    cache_read_input_tokens: 1000,
    cache_creation_input_tokens: 300,
    cache_creation: { ephemeral_5m_input_tokens: 200, ephemeral_1h_input_tokens: 100 },
    output_tokens: 10,
  };
  const price = priceOf({ provider: 'anthropic', model: 'claude-haiku-4-5', responseModel: null, rawUsage });
  // 100 × 1 + 1000 × 0.1 + 200 × 1.25 + 100 × 2 + 10 × 5, per million
  expect(price.cost).toBe('0.0007');
});

test('iterations are billed each at the price of its own model', () => {
  const iteration = { input_tokens: 1000, output_tokens: 100 };
  const rawUsage = {
    ...iteration,
    iterations: [
      { ...iteration, type: 'message' },
      { ...iteration, type: 'advisor_message', model: 'claude-opus-4-8' },
    ],
  };
  const price = priceOf({ provider: 'anthropic', responseModel: 'claude-sonnet-5', rawUsage });
  expect(price.cost).toBe('0.0105');
  expect(Object.keys(price.unitPrices ?? {})).toEqual(['claude-sonnet-5', 'claude-opus-4-8']);
});

describe('NULL, never a guess', () => {
  test.each<[string, Partial<PriceQuestion> & { rawUsage: JsonObject | null }, RegExp]>([
    ['simulated', { simulated: true, rawUsage: chatUsage }, /simulated: nothing was bought/],
    ['no usage', { rawUsage: null }, /reported no usage/],
    ['usage without counts', { rawUsage: { total: 3 } }, /./],
    ['an unknown model', { responseModel: 'gpt-99', rawUsage: chatUsage }, /model gpt-99/],
    ['a fine-tuned model', { responseModel: 'ft:gpt-4o-mini:org::x', rawUsage: chatUsage }, /ft:gpt/],
    ['an unknown provider', { provider: 'local', rawUsage: chatUsage }, /provider local/],
    [
      'a provider whose name merely contains a known one',
      { provider: 'my-openai-proxy', rawUsage: chatUsage },
      /proxy/,
    ],
    [
      'another server behind the name openai',
      { baseUrl: 'http://127.0.0.1:1/v1', rawUsage: chatUsage },
      /openai/,
    ],
    ['the flex tier', { serviceTier: 'flex', rawUsage: chatUsage }, /tier flex/],
    ['the priority tier', { serviceTier: 'priority', rawUsage: chatUsage }, /tier priority/],
    ['a regional surcharge', { rawUsage: { ...chatUsage, inference_geo: 'us' } }, /region us/],
    ['fast mode', { rawUsage: { ...chatUsage, speed: 'fast' } }, /speed fast/],
    [
      'more cached than prompt tokens',
      { rawUsage: { ...chatUsage, prompt_tokens_details: { cached_tokens: 163 } } },
      /contradicts itself/,
    ],
    [
      'counts beyond any bill',
      { rawUsage: { ...chatUsage, completion_tokens: 1e300 } },
      /beyond any bill|contradicts itself/,
    ],
    [
      'audio that the list prices as text',
      {
        responseModel: 'gpt-4o-audio-preview',
        rawUsage: { ...chatUsage, prompt_tokens_details: { audio_tokens: 9, cached_tokens: 0 } },
      },
      /audio/,
    ],
    ['an iteration of an unknown shape', { rawUsage: { ...chatUsage, iterations: [7] } }, /iteration/],
  ])('%s', (_name, question, reason) => {
    const price = priceOf(question);
    expect(price).toEqual(noPrice(price.unknownReason ?? ''));
    expect(price.unknownReason).toMatch(reason);
  });
});

test('a known address decides, whatever the provider is called', () => {
  const price = priceOf({ provider: 'work', baseUrl: 'https://api.openai.com/v1', rawUsage: chatUsage });
  expect(price.cost).toBe('0.0000051');
});

test('no price is ever fetched', () => {
  const fetch = vi.spyOn(globalThis, 'fetch');
  priceOf({ rawUsage: chatUsage });
  expect(fetch).not.toHaveBeenCalled();
});

/** Where we differ from `genai-prices` applied to the whole usage with today's prices, and why. */
const differences: Readonly<Record<string, string | null>> = {
  // The advisor's tokens, at another model's price, are not in the top-level counts.
  'ant-advisor-iterations': '0.01913',
  // The price of the day of the call; it has fallen since.
  'oai-chat-gpt56-cache-write': '0.01062125',
  'oai-resp-incomplete-gpt56-cache-write': '0.01062125',
  // Half price, which the list does not state.
  'oai-chat-service-tier-flex': null,
  // A premium, which the list does not state.
  'oai-chat-service-tier-priority': null,
  'oai-resp-service-tier-priority': null,
  // It names the tier that was asked for, not the one that was given.
  'oai-resp-custom-tool': null,
  // Audio tokens would be priced as text.
  'oai-chat-audio-in': null,
};

if (!recordingsArePresent) test.skip(recordingsAbsent, () => {});

describe.runIf(recordingsArePresent)('recorded usage', () => {
  const billed = loadRecordings().filter(
    ({ endpoint, response }) => response.body?.usage && endpoint !== '/v1/completions',
  );
  test.each(billed.map((one) => [one.id, one] as const))('%s costs what it cost', (id, recording) => {
    const { body } = recording.response;
    const usage = body?.usage as JsonObject;
    const price = priceOf({
      provider: recording.provider,
      ...(recording.url ? { baseUrl: recording.url } : {}),
      responseModel: body?.model as string,
      rawUsage: usage,
      serviceTier: ((body?.service_tier ?? usage.service_tier) as string | undefined) ?? null,
      at: new Date(recording.source.recorded_at ?? at),
    });
    const total = recording.sdk.cost?.total;
    const opinion = total == null ? null : Number(total.toFixed(12));
    const expected = id in differences ? differences[id] : opinion;
    expect(price.cost === null ? null : Number(price.cost)).toBe(expected == null ? null : Number(expected));
  });
});
