import { HttpResponse, http } from 'msw';
import { setupServer } from 'msw/node';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ProviderCall } from '../../src/application/provider.ts';
import { fromOpenaiBody, toOpenaiRequest } from '../../src/providers/openai.ts';
import { createProviders } from '../../src/providers/providers.ts';
import { unsupportedParameters } from '../../src/providers/wire.ts';
import { callOf, controlOf, noWaits, settingsOf, testKey } from '../support/provider-calls.ts';

const url = 'https://openai.test/v1/chat/completions';
const server = setupServer();
beforeAll(() => server.listen({ onUnhandledFrame: 'error' }));
afterEach(() => server.resetHandlers());
afterAll(() => server.close());

const completion = {
  id: 'chatcmpl-1',
  model: 'gpt-4o-mini-2024-07-18',
  service_tier: 'default',
  system_fingerprint: 'fp_1',
  choices: [
    { index: 0, message: { role: 'assistant', content: 'Hello.', refusal: null }, finish_reason: 'stop' },
  ],
  usage: {
    prompt_tokens: 20,
    completion_tokens: 7,
    prompt_tokens_details: { cached_tokens: 12, cache_write_tokens: 3 },
    completion_tokens_details: { reasoning_tokens: 5 },
  },
};

function ask(call: ProviderCall = callOf('openai', 'gpt-4o-mini')) {
  const settings = settingsOf('openai', 'https://openai.test/v1');
  const providers = createProviders([settings], {
    ...noWaits,
    fetch: (...args) => globalThis.fetch(...args),
  });
  return providers.call(call, controlOf());
}

function answerWith(body: object, init: { status?: number; headers?: Record<string, string> } = {}) {
  server.use(http.post(url, () => HttpResponse.json(body, init)));
}

describe('the request', () => {
  const all = {
    temperature: 0,
    maxOutputTokens: 50,
    topP: 0.5,
    stopSequences: ['END'],
    frequencyPenalty: 0.1,
    presencePenalty: 0.2,
    seed: 0,
    reasoningEffort: 'low',
  };

  test('every parameter of the definition is on the wire, zeros included', () => {
    expect(toOpenaiRequest(callOf('openai', 'gpt-4o-mini', { parameters: all }))).toEqual({
      model: 'gpt-4o-mini',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Say hello.' },
      ],
      max_completion_tokens: 50,
      temperature: 0,
      top_p: 0.5,
      stop: ['END'],
      frequency_penalty: 0.1,
      presence_penalty: 0.2,
      seed: 0,
      reasoning_effort: 'low',
    });
  });

  test('what the definition does not say is not sent, nor is anything but role and content', () => {
    const call = callOf('openai', 'gpt-4o-mini', {
      messages: [{ role: 'user', content: 'x', origin: 'template', spans: [] } as never],
      parameters: { timeoutMs: 5 },
    });
    expect(toOpenaiRequest(call)).toEqual({
      model: 'gpt-4o-mini',
      messages: [{ role: 'user', content: 'x' }],
    });
  });

  test.each([
    ['openai', 'gpt-4o-mini', 'max_completion_tokens'],
    ['local', 'llama-3', 'max_tokens'],
    ['local', 'gpt-5-nano', 'max_completion_tokens'],
    ['local', 'o3-mini', 'max_completion_tokens'],
  ])('%s/%s is told its limit as %s', (provider, model, name) => {
    const body = toOpenaiRequest(callOf(provider, model, { parameters: { maxOutputTokens: 9 } }));
    expect(body).toHaveProperty(name, 9);
    expect('max_tokens' in body && 'max_completion_tokens' in body).toBe(false);
  });

  test('strict JSON is asked for only with a schema that strict mode takes', () => {
    const closed = {
      type: 'object',
      properties: { a: { type: 'string' } },
      required: ['a'],
      additionalProperties: false,
    };
    const open = { type: 'object', properties: { a: { type: 'string' } } };
    const format = (schema: typeof open | null) =>
      toOpenaiRequest(callOf('openai', 'gpt-4o-mini', { output: { format: 'json', schema } }))
        .response_format;
    expect(format(closed)).toEqual({
      type: 'json_schema',
      json_schema: { name: 'output', schema: closed, strict: true },
    });
    expect(format(open)).toMatchObject({ json_schema: { strict: false } });
    expect(format(null)).toEqual({ type: 'json_object' });
  });

  test('a parameter without a place on the wire is named, never dropped', () => {
    expect(unsupportedParameters('openai', { ...all, topK: 3 })).toEqual(['topK']);
    expect(unsupportedParameters('openai', all)).toEqual([]);
  });

  test('the key goes out as a bearer token; nothing from the environment does', async () => {
    process.env.OPENAI_ORG_ID = 'org-from-environment';
    let headers: Headers | undefined;
    server.use(
      http.post(url, ({ request }) => {
        headers = request.headers;
        return HttpResponse.json(completion);
      }),
    );
    await ask();
    delete process.env.OPENAI_ORG_ID;
    expect(headers?.get('authorization')).toBe(`Bearer ${testKey}`);
    expect(headers?.get('openai-organization')).toBeNull();
  });
});

describe('the answer', () => {
  test('is read with usage, model, tier, fingerprint and request id', async () => {
    answerWith(completion, { headers: { 'x-request-id': 'req_1' } });
    expect(await ask()).toMatchObject({
      ok: true,
      answer: {
        output: 'Hello.',
        finishReason: 'stop',
        usage: {
          promptTokens: 20,
          completionTokens: 7,
          cachedTokens: 12,
          cacheWriteTokens: 3,
          reasoningTokens: 5,
        },
        rawUsage: completion.usage,
        responseModel: 'gpt-4o-mini-2024-07-18',
        systemFingerprint: 'fp_1',
        serviceTier: 'default',
        providerRequestId: 'req_1',
        responseId: 'chatcmpl-1',
      },
    });
  });

  test('without a request id header is known by its own id', async () => {
    answerWith(completion);
    expect(await ask()).toMatchObject({ answer: { providerRequestId: 'chatcmpl-1' } });
  });

  const withChoice = (choice: object) => fromOpenaiBody({ ...completion, choices: [choice] });

  test.each([
    [
      'a refusal',
      { message: { content: null, refusal: 'I will not.' }, finish_reason: 'stop' },
      'I will not.',
      'refusal',
    ],
    ['a filtered answer without message', { finish_reason: 'content_filter' }, '', 'content_filter'],
    ['a cut answer', { message: { content: 'Hel' }, finish_reason: 'length' }, 'Hel', 'length'],
    [
      'stop with tool calls',
      { message: { content: null, tool_calls: [{}] }, finish_reason: 'stop' },
      '',
      'tool_calls',
    ],
    [
      'parts',
      {
        message: {
          content: [
            { type: 'thinking', thinking: 'x' },
            { type: 'text', text: 'a' },
            { type: 'text', text: 'b' },
          ],
        },
        finish_reason: 'stop',
      },
      'ab',
      'stop',
    ],
    [
      'finish_details of vision previews',
      { message: { content: 'a' }, finish_details: { type: 'max_tokens' } },
      'a',
      'length',
    ],
    ['a reason nobody knows', { message: { content: 'a' }, finish_reason: 'moonlight' }, 'a', 'other'],
  ])('%s is a success that says so', (_name, choice, output, finishReason) => {
    expect(withChoice(choice)).toMatchObject({ output, finishReason });
  });

  test.each([
    ['a choice without any reason to have finished', { message: { content: 'a' }, finish_reason: null }],
    ['a choice without message', { finish_reason: 'stop' }],
    ['no choice', undefined],
  ])('%s is no answer', (_name, choice) => {
    expect(fromOpenaiBody({ ...completion, choices: choice ? [choice] : [] })).toHaveProperty('unusable');
  });

  test('usage of a strange shape becomes null, never 0 and never a throw', () => {
    const usage = {
      prompt_tokens: '20',
      completion_tokens: -1,
      prompt_tokens_details: null,
      latency: { ms: 3 },
    };
    expect(fromOpenaiBody({ ...completion, usage })).toMatchObject({
      usage: { promptTokens: null, completionTokens: null, cachedTokens: null, reasoningTokens: null },
      rawUsage: usage,
    });
    expect(fromOpenaiBody({ ...completion, usage: undefined })).toMatchObject({ rawUsage: null });
  });

  test('more tokens than any answer takes are no count: a thousand of them would overflow the sums', () => {
    const usage = { prompt_tokens: 1_000_000_000, completion_tokens: Number.MAX_SAFE_INTEGER };
    expect(fromOpenaiBody({ ...completion, usage })).toMatchObject({
      usage: { promptTokens: 1_000_000_000, completionTokens: null },
      rawUsage: usage,
    });
  });
});

describe('a failure', () => {
  test.each([
    [{ status: 429, code: 'rate_limit_exceeded' }, 'rate_limited', 3],
    [{ status: 429, code: 'insufficient_quota' }, 'provider_misconfigured', 1],
    [{ status: 400, code: 'context_length_exceeded' }, 'provider_rejected', 1],
    [{ status: 400, code: 'model_not_found' }, 'provider_misconfigured', 1],
    [{ status: 404, code: null }, 'provider_misconfigured', 1],
    [{ status: 403, code: null }, 'provider_misconfigured', 1],
    [{ status: 413, code: null }, 'provider_rejected', 1],
    [{ status: 408, code: null }, 'provider_unavailable', 3],
    [{ status: 409, code: null }, 'provider_unavailable', 3],
    [{ status: 503, code: null }, 'provider_unavailable', 3],
    [{ status: 200, code: 'content_filter' }, 'provider_rejected', 1],
    [{ status: 200, code: 429 }, 'rate_limited', 3],
    [{ status: 200, code: null }, 'provider_protocol_error', 1],
  ])('%o is %s after %i request(s)', async ({ status, code }, expected, requests) => {
    let seen = 0;
    server.use(
      http.post(url, () => {
        seen += 1;
        return HttpResponse.json({ error: { message: 'no', type: null, param: null, code } }, { status });
      }),
    );
    expect(await ask()).toMatchObject({ ok: false, error: { code: expected } });
    expect(seen).toBe(requests);
  });

  test('a rejection quotes the provider with keys redacted and cut to length; the rest only in the cause', async () => {
    const message = `Bad: ${testKey}, sk-proj-abcdefgh12345678, Bearer abc.def, abcd****wxyz. ${'long '.repeat(300)}`;
    answerWith({ error: { message } }, { status: 400 });
    const result = await ask();
    if (result.ok) throw new Error('expected a failure');
    expect(result.error.message).toContain('Bad: [redacted]');
    expect(result.error.message).not.toMatch(/0123456789abcdef|abcdefgh12345678|abc\.def|\*\*/);
    expect(result.error.message.length).toBeLessThan(600);
    expect(result.error.cause).toBeDefined();
  });

  test('a 401 does not repeat what the provider says about the key', async () => {
    answerWith({ error: { message: 'Incorrect API key provided: sk-te****cdef' } }, { status: 401 });
    const result = await ask();
    expect(result.ok || result.error.message).toBe(
      'The provider "openai" refused the gateway\'s key (HTTP 401).',
    );
  });

  test('x-should-retry overrides our own judgement, except for an empty account', async () => {
    const count = async (status: number, code: string | null, told: string) => {
      let seen = 0;
      server.use(
        http.post(url, () => {
          seen += 1;
          return HttpResponse.json(
            { error: { message: 'no', code } },
            { status, headers: { 'x-should-retry': told } },
          );
        }),
      );
      await ask();
      return seen;
    };
    expect(await count(500, null, 'false')).toBe(1);
    expect(await count(400, null, 'true')).toBe(3);
    expect(await count(429, 'insufficient_quota', 'true')).toBe(1);
  });
});
