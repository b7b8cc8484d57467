import { HttpResponse, http } from 'msw';
import { setupServer } from 'msw/node';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { fromAnthropicBody, toAnthropicRequest } from '../../src/providers/anthropic.ts';
import { createProviders } from '../../src/providers/providers.ts';
import { unsupportedParameters } from '../../src/providers/wire.ts';
import { callOf, controlOf, noWaits, settingsOf, testKey } from '../support/provider-calls.ts';

const url = 'https://anthropic.test/v1/messages';
const server = setupServer();
beforeAll(() => server.listen({ onUnhandledFrame: 'error' }));
afterEach(() => server.resetHandlers());
afterAll(() => server.close());

const message = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude-haiku-4-5-20251001',
  content: [{ type: 'text', text: 'Hello.' }],
  stop_reason: 'end_turn',
  usage: {
    input_tokens: 10,
    cache_read_input_tokens: 100,
    cache_creation_input_tokens: 1000,
    output_tokens: 7,
    output_tokens_details: { thinking_tokens: 5 },
    service_tier: 'standard',
  },
};

function ask() {
  const settings = settingsOf('anthropic', 'https://anthropic.test');
  const providers = createProviders([settings], {
    ...noWaits,
    fetch: (...args) => globalThis.fetch(...args),
  });
  return providers.call(callOf('anthropic', 'claude-haiku-4-5'), controlOf());
}

describe('the request', () => {
  const call = callOf('anthropic', 'claude-haiku-4-5');

  test('system messages leave the conversation; the limit that the wire demands is 4096 unless stated', () => {
    expect(toAnthropicRequest(call)).toEqual({
      model: 'claude-haiku-4-5',
      max_tokens: 4096,
      system: 'Be brief.',
      messages: [{ role: 'user', content: 'Say hello.' }],
    });
  });

  test('several system messages stay apart', () => {
    const messages = [
      { role: 'system', content: 'One.' },
      { role: 'user', content: 'Hi.' },
      { role: 'system', content: 'Two.' },
    ] as const;
    expect(toAnthropicRequest({ ...call, messages })).toMatchObject({
      system: [
        { type: 'text', text: 'One.' },
        { type: 'text', text: 'Two.' },
      ],
      messages: [{ role: 'user', content: 'Hi.' }],
    });
  });

  test('every parameter that the wire knows is sent, zeros included', () => {
    const parameters = {
      temperature: 0,
      maxOutputTokens: 50,
      topP: 0.5,
      topK: 3,
      stopSequences: ['END'],
      reasoningEffort: 'low',
    };
    expect(toAnthropicRequest({ ...call, parameters })).toMatchObject({
      max_tokens: 50,
      temperature: 0,
      top_p: 0.5,
      top_k: 3,
      stop_sequences: ['END'],
      output_config: { effort: 'low' },
    });
    expect(unsupportedParameters('anthropic', parameters)).toEqual([]);
  });

  test('parameters without a place on the wire are named, never dropped', () => {
    expect(unsupportedParameters('anthropic', { seed: 0, frequencyPenalty: 0, presencePenalty: 1 })).toEqual([
      'frequencyPenalty',
      'presencePenalty',
      'seed',
    ]);
  });

  test('a schema is sent as the output format; JSON without one is left to the prompt', () => {
    const schema = { type: 'object', properties: {}, additionalProperties: false };
    expect(toAnthropicRequest({ ...call, output: { format: 'json', schema } }).output_config).toEqual({
      format: { type: 'json_schema', schema },
    });
    expect(toAnthropicRequest({ ...call, output: { format: 'json', schema: null } })).not.toHaveProperty(
      'output_config',
    );
  });

  test('a limit beyond ten minutes of output is not refused by the SDK', async () => {
    server.use(http.post(url, () => HttpResponse.json(message)));
    const settings = settingsOf('anthropic', 'https://anthropic.test');
    const providers = createProviders([settings], { fetch: (...args) => globalThis.fetch(...args) });
    const long = { ...call, parameters: { maxOutputTokens: 64_000 } };
    expect(await providers.call(long, controlOf())).toMatchObject({ ok: true });
  });
});

describe('the answer', () => {
  test('is read with usage summed over the cache, tier and request id', async () => {
    let headers: Headers | undefined;
    server.use(
      http.post(url, ({ request }) => {
        headers = request.headers;
        return HttpResponse.json(message, { headers: { 'request-id': 'req_1' } });
      }),
    );
    expect(await ask()).toMatchObject({
      ok: true,
      answer: {
        output: 'Hello.',
        finishReason: 'stop',
        usage: {
          promptTokens: 1110,
          completionTokens: 7,
          cachedTokens: 100,
          cacheWriteTokens: 1000,
          reasoningTokens: 5,
        },
        rawUsage: message.usage,
        responseModel: 'claude-haiku-4-5-20251001',
        serviceTier: 'standard',
        providerRequestId: 'req_1',
        responseId: 'msg_1',
      },
    });
    expect(`${headers?.get('authorization')} ${headers?.get('x-api-key')}`).toContain(testKey);
  });

  test.each([
    [
      'text blocks around other blocks',
      {
        content: [
          { type: 'thinking', thinking: 'hm' },
          { type: 'text', text: 'a' },
          { type: 'tool_use' },
          { type: 'text', text: 'b' },
        ],
      },
      'ab',
      'stop',
    ],
    ['no content', { content: [] }, '', 'stop'],
    [
      'a refusal',
      { content: [], stop_reason: 'refusal', stop_details: { explanation: 'Not that.' } },
      'Not that.',
      'refusal',
    ],
    ['a refusal without details', { content: [], stop_reason: 'refusal' }, '', 'refusal'],
    ['a cut answer', { stop_reason: 'max_tokens' }, 'Hello.', 'length'],
    ['a full context', { stop_reason: 'model_context_window_exceeded' }, 'Hello.', 'length'],
    ['a stop sequence', { stop_reason: 'stop_sequence' }, 'Hello.', 'stop'],
    ['a paused turn', { stop_reason: 'pause_turn' }, 'Hello.', 'other'],
  ])('%s is a success that says so', (_name, members, output, finishReason) => {
    expect(fromAnthropicBody({ ...message, ...members })).toMatchObject({ output, finishReason });
  });

  test.each([
    ['no stop reason', { stop_reason: null }],
    ['another type', { type: 'completion' }],
    ['no content', { content: undefined }],
  ])('a body with %s is no answer', (_name, members) => {
    expect(fromAnthropicBody({ ...message, ...members })).toHaveProperty('unusable');
  });

  test('without input tokens the prompt tokens are unknown, not the cached ones alone', () => {
    expect(fromAnthropicBody({ ...message, usage: { cache_read_input_tokens: 5 } })).toMatchObject({
      usage: { promptTokens: null, cachedTokens: 5 },
    });
  });
});

describe('a failure', () => {
  test.each([
    [429, 'rate_limit_error', 'rate_limited', 3],
    [529, 'overloaded_error', 'provider_unavailable', 3],
    [500, 'api_error', 'provider_unavailable', 3],
    [200, 'overloaded_error', 'provider_unavailable', 3],
    [401, 'authentication_error', 'provider_misconfigured', 1],
    [402, 'billing_error', 'provider_misconfigured', 1],
    [404, 'not_found_error', 'provider_misconfigured', 1],
    [413, 'request_too_large', 'provider_rejected', 1],
    [400, 'invalid_request_error', 'provider_rejected', 1],
  ])('HTTP %i %s is %s after %i request(s)', async (status, type, expected, requests) => {
    let seen = 0;
    server.use(
      http.post(url, () => {
        seen += 1;
        const body = { type: 'error', error: { type, message: 'no' }, request_id: 'req_from_body' };
        return HttpResponse.json(body, { status });
      }),
    );
    const result = await ask();
    expect(result).toMatchObject({ ok: false, error: { code: expected } });
    expect(result.attempts.at(-1)).toMatchObject({ httpStatus: status, providerRequestId: 'req_from_body' });
    expect(seen).toBe(requests);
  });

  test('a rejection quotes the message alone, not the body', async () => {
    const body = { type: 'error', error: { type: 'invalid_request_error', message: 'prompt is too long' } };
    server.use(http.post(url, () => HttpResponse.json(body, { status: 400 })));
    const result = await ask();
    expect(result.ok || result.error.message).toBe(
      'The provider "anthropic" refused the request (HTTP 400): prompt is too long',
    );
  });

  test('credit that is too low, which comes as a 400, is ours to mend and not the caller’s', async () => {
    const said = 'Your credit balance is too low to access the Anthropic API.';
    const body = { type: 'error', error: { type: 'invalid_request_error', message: said } };
    server.use(http.post(url, () => HttpResponse.json(body, { status: 400 })));
    expect(await ask()).toMatchObject({ ok: false, error: { code: 'provider_misconfigured' } });
  });
});
