import { describe, expect, test } from 'vitest';
import type { ProviderCall, StreamDelta } from '../../src/application/provider.ts';
import { fromResponsesBody, toResponsesRequest } from '../../src/providers/openai-responses.ts';
import { assembleResponsesStream } from '../../src/providers/openai-responses-stream.ts';
import { createProviders } from '../../src/providers/providers.ts';
import { unsupportedParameters } from '../../src/providers/wire.ts';
import { callOf, controlOf, noWaits, settingsOf, testKey } from '../support/provider-calls.ts';

const message = (...content: object[]) => ({ type: 'message', role: 'assistant', content });
const text = (said: string) => ({ type: 'output_text', text: said });
const response = {
  id: 'resp_1',
  status: 'completed',
  model: 'gpt-5-2025-08-07',
  service_tier: 'default',
  error: null,
  incomplete_details: null,
  output: [message(text('Hello.'))],
  usage: {
    input_tokens: 20,
    output_tokens: 7,
    input_tokens_details: { cached_tokens: 12, cache_write_tokens: 3 },
    output_tokens_details: { reasoning_tokens: 5 },
  },
};

async function ask(body: object, init: ResponseInit = {}, call: ProviderCall = callOf('openai', 'gpt-5')) {
  const requests: { url: string; headers: Headers; body: string }[] = [];
  const providers = createProviders(
    [settingsOf('openai-responses', 'https://openai.test/v1', { name: 'openai' })],
    {
      ...noWaits,
      fetch: async (url, sent) => {
        const headers = new Headers(sent?.headers);
        requests.push({ url: String(url), headers, body: String(sent?.body) });
        return Response.json(body, init);
      },
    },
  );
  return { result: await providers.call(call, controlOf()), requests };
}

describe('the request', () => {
  const all = { maxOutputTokens: 50, temperature: 0, topP: 0.5, reasoningEffort: 'low' };

  test('goes to /responses with every parameter of the definition, zeros included, and asks to keep nothing', async () => {
    const { requests } = await ask(response, {}, callOf('openai', 'gpt-5', { parameters: all }));
    expect(requests[0]?.url).toBe('https://openai.test/v1/responses');
    expect(requests[0]?.headers.get('authorization')).toBe(`Bearer ${testKey}`);
    expect(JSON.parse(requests[0]?.body ?? '')).toEqual({
      model: 'gpt-5',
      store: false,
      input: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Say hello.' },
      ],
      max_output_tokens: 50,
      temperature: 0,
      top_p: 0.5,
      reasoning: { effort: 'low' },
      include: ['reasoning.encrypted_content'],
    });
  });

  test('what the definition does not say is not sent, nor is anything but role and content', () => {
    const call = callOf('openai', 'gpt-5', {
      messages: [{ role: 'user', content: 'x', origin: 'template', spans: [] } as never],
      parameters: { timeoutMs: 5 },
    });
    const input = [{ role: 'user', content: 'x' }];
    expect(toResponsesRequest(call)).toEqual({ model: 'gpt-5', store: false, input });
  });

  test('parameters without a place on the wire are named, never dropped', () => {
    const others = { topK: 1, stopSequences: ['END'], frequencyPenalty: 0, presencePenalty: 0, seed: 0 };
    expect(unsupportedParameters('openai-responses', { ...all, ...others })).toEqual(Object.keys(others));
    expect(unsupportedParameters('openai-responses', all)).toEqual([]);
  });

  test('calls and results of the conversation are items beside its messages, in their order', () => {
    const messages = [
      { role: 'user', content: 'Weather?' },
      {
        role: 'assistant',
        content: 'Let me see.',
        toolCalls: [{ id: 'a', name: 'look_up', arguments: '{"z":1}' }],
      },
      { role: 'tool', content: 'sunny', toolCallId: 'a' },
      { role: 'assistant', content: '', toolCalls: [{ id: 'b', name: 'look_up', arguments: '' }] },
      { role: 'tool', content: '', toolCallId: 'b' },
    ] as const;
    const tools = [{ name: 'look_up', description: 'Looks.', inputSchema: { type: 'object' } }];
    expect(toResponsesRequest(callOf('openai', 'gpt-5', { messages, tools }))).toMatchObject({
      input: [
        { role: 'user', content: 'Weather?' },
        { role: 'assistant', content: 'Let me see.' },
        { type: 'function_call', call_id: 'a', name: 'look_up', arguments: '{"z":1}' },
        { type: 'function_call_output', call_id: 'a', output: 'sunny' },
        { type: 'function_call', call_id: 'b', name: 'look_up', arguments: '{}' },
        { type: 'function_call_output', call_id: 'b', output: '' },
      ],
      tools: [
        {
          type: 'function',
          name: 'look_up',
          description: 'Looks.',
          parameters: { type: 'object' },
          strict: false,
        },
      ],
    });
  });

  test('strict JSON is asked for only with a schema that strict mode takes', () => {
    const properties = { a: { type: 'string' } };
    const closed = { type: 'object', properties, required: ['a'], additionalProperties: false };
    const open = { type: 'object', properties };
    const format = (schema: typeof open | null) =>
      toResponsesRequest(callOf('openai', 'gpt-5', { output: { format: 'json', schema } })).text;
    expect(format(closed)).toEqual({
      format: { type: 'json_schema', name: 'output', schema: closed, strict: true },
    });
    expect(format(open)).toMatchObject({ format: { strict: false } });
    expect(format(null)).toEqual({ format: { type: 'json_object' } });
  });
});

describe('the answer', () => {
  test('is read with usage, model, tier and request id', async () => {
    const { result } = await ask(response, { headers: { 'x-request-id': 'req_1' } });
    expect(result).toMatchObject({
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
        rawUsage: response.usage,
        responseModel: 'gpt-5-2025-08-07',
        serviceTier: 'default',
        providerRequestId: 'req_1',
        responseId: 'resp_1',
      },
    });
  });

  const call = { type: 'function_call', id: 'fc_1', call_id: 'a', name: 'look_up', arguments: '{"z":1}' };
  const cut = (reason: string | null) => ({
    status: 'incomplete',
    incomplete_details: reason === null ? null : { reason },
  });

  test.each([
    ['several messages', { output: [message(text('a')), message(text('b'), text('c'))] }, 'abc', 'stop'],
    ['a refusal', { output: [message({ type: 'refusal', refusal: 'No.' })] }, 'No.', 'refusal'],
    ['nothing', { output: [] }, '', 'stop'],
    ['reasoning and a call', { output: [{ type: 'reasoning', summary: [] }, call] }, '', 'tool_calls'],
    ['a text that was cut', cut('max_output_tokens'), 'Hello.', 'length'],
    ['a text that was filtered', cut('content_filter'), 'Hello.', 'content_filter'],
    ['a text that was cut by who knows what', cut(null), 'Hello.', 'length'],
    ['a call that was cut', { ...cut('max_output_tokens'), output: [call] }, '', 'length'],
    ['tools of the provider', { output: [{ type: 'web_search_call' }, message(text('a'))] }, 'a', 'stop'],
  ])('%s is a success that says so', (_name, changes, output, finishReason) => {
    expect(fromResponsesBody({ ...response, ...changes })).toMatchObject({ output, finishReason });
  });

  test('a call is known by the id that its result has to name', () => {
    expect(fromResponsesBody({ ...response, output: [call] })).toMatchObject({
      toolCalls: [{ id: 'a', name: 'look_up', arguments: '{"z":1}' }],
    });
  });

  test.each([
    ['that is queued', { status: 'queued' }],
    ['in progress', { status: 'in_progress' }],
    ['that was cancelled', { status: 'cancelled' }],
    ['without a status', { status: undefined }],
    ['without an output', { output: undefined }],
  ])('a response %s is none, and is asked for once', async (_name, changes) => {
    const { result, requests } = await ask({ ...response, ...changes });
    expect(result).toMatchObject({ ok: false, error: { code: 'provider_protocol_error' } });
    expect(requests).toHaveLength(1);
  });

  test.each([
    ['server_error', 'provider_unavailable', 3],
    ['rate_limit_exceeded', 'rate_limited', 3],
    ['insufficient_quota', 'provider_misconfigured', 1],
    ['invalid_prompt', 'provider_rejected', 1],
    ['image_content_policy_violation', 'provider_rejected', 1],
    ['unsupported_image_media_type', 'provider_rejected', 1],
    ['bio_policy', 'provider_rejected', 1],
    ['new_kind_of_error', 'provider_protocol_error', 1],
  ])('a response that failed with %s is %s after %i request(s)', async (code, expected, requests) => {
    const failed = { ...response, status: 'failed', error: { code, message: 'no' }, output: [] };
    const asked = await ask(failed);
    expect(asked.result).toMatchObject({ ok: false, error: { code: expected } });
    expect(asked.requests).toHaveLength(requests);
  });
});

describe('the stream', () => {
  const event = (type: string, members: object = {}) => ({ type: `response.${type}`, ...members });
  const added = (output_index: number, item: object) => event('output_item.added', { output_index, item });
  const completed = (output: object[] = []) =>
    event('completed', { response: { status: 'completed', output } });
  const said = (delta: string, at: object = { output_index: 0 }) =>
    event('output_text.delta', { ...at, delta });
  const call = (id: string, more = '') => ({
    type: 'function_call',
    call_id: id,
    name: 'f',
    arguments: more,
  });
  const argument = (output_index: number, delta: string) =>
    event('function_call_arguments.delta', { output_index, delta });

  function play(events: readonly object[]) {
    const assembler = assembleResponsesStream();
    const deltas: StreamDelta[] = [];
    for (const sent of events) {
      deltas.push(...(assembler.push({ event: 'message', data: JSON.stringify(sent) }) ?? []));
    }
    const answer = fromResponsesBody(assembler.body());
    if ('unusable' in answer) throw new Error(answer.unusable);
    const spoken = deltas.map((delta) => ('text' in delta ? delta.text : ''));
    return { deltas, spoken, answer, ended: assembler.ended };
  }

  test.each([
    ['in pieces', [added(0, message()), said('Hel'), said('lo'), completed()]],
    ['without its item', [said('Hel'), said('lo'), completed()]],
    [
      'whole at its end',
      [added(0, message()), event('output_text.done', { output_index: 0, text: 'Hello' }), completed()],
    ],
    [
      'in its part',
      [
        added(0, message()),
        event('content_part.done', { output_index: 0, part: text('Hello') }),
        completed(),
      ],
    ],
    [
      'in its item',
      [event('output_item.done', { output_index: 0, item: message(text('Hello')) }), completed()],
    ],
    ['in the response alone', [completed([message(text('Hello'))])]],
    [
      'in pieces and every time again',
      [
        added(0, message()),
        said('Hel'),
        said('lo'),
        event('output_text.done', { output_index: 0, text: 'Hello' }),
        event('content_part.done', { output_index: 0, part: text('Hello') }),
        event('output_item.done', { output_index: 0, item: message(text('Hello')) }),
        completed([message(text('Hello'))]),
      ],
    ],
    ['in pieces that lack the end', [added(0, message()), said('Hel'), completed([message(text('Hello'))])]],
    [
      'under ids that change',
      [
        added(0, { ...message(), id: 'a' }),
        said('Hel', { output_index: 0, item_id: 'b' }),
        said('lo', { output_index: 0, item_id: 'c' }),
        completed([{ ...message(text('Hello')), id: 'd' }]),
      ],
    ],
    [
      'under an id alone',
      [
        event('output_item.added', { item: { ...message(), id: 'a' } }),
        said('Hel', { item_id: 'a' }),
        said('lo', { item_id: 'a' }),
        event('output_item.done', { item: { ...message(text('Hello')), id: 'a' } }),
        completed([{ ...message(text('Hello')), id: 'a' }]),
      ],
    ],
    [
      'after reasoning that the response leaves out',
      [
        added(0, { type: 'reasoning', summary: [] }),
        added(1, message()),
        said('Hello', { output_index: 1 }),
        completed([message(text('Hello'))]),
      ],
    ],
  ] as [string, object[]][])('a text that comes %s is told once', (_how, events) => {
    const { spoken, answer, ended } = play(events);
    expect([spoken.join(''), answer.output, ended]).toEqual(['Hello', 'Hello', true]);
  });

  test('two calls at once stay apart, each announced once', () => {
    const { deltas, answer } = play([
      added(0, call('a')),
      added(1, call('b')),
      argument(1, '{"y":'),
      argument(0, '{}'),
      argument(1, '2}'),
      event('function_call_arguments.done', { output_index: 1, arguments: '{"y":2}' }),
      event('output_item.done', { output_index: 0, item: call('a', '{}') }),
      completed([call('a', '{}'), call('b', '{"y":2}')]),
    ]);
    expect(deltas.filter((delta) => delta.type === 'tool_call' && delta.arguments === '')).toHaveLength(2);
    expect(answer).toMatchObject({
      finishReason: 'tool_calls',
      toolCalls: [
        { id: 'a', name: 'f', arguments: '{}' },
        { id: 'b', name: 'f', arguments: '{"y":2}' },
      ],
    });
  });

  test('reasoning is told apart from the text, and its summary once', () => {
    const { deltas, answer } = play([
      added(0, { type: 'reasoning', summary: [] }),
      event('reasoning_summary_text.delta', { output_index: 0, summary_index: 0, delta: 'Hm' }),
      event('reasoning_summary_text.done', { output_index: 0, summary_index: 0, text: 'Hm.' }),
      event('output_item.done', {
        output_index: 0,
        item: { type: 'reasoning', summary: [{ type: 'summary_text', text: 'Hm.' }] },
      }),
      added(1, message()),
      said('Yes.', { output_index: 1 }),
      completed(),
    ]);
    expect(deltas).toEqual([
      { type: 'reasoning', text: 'Hm' },
      { type: 'reasoning', text: '.' },
      { type: 'reasoning_end' },
      { type: 'text', text: 'Yes.' },
    ]);
    expect(answer).toMatchObject({ output: 'Yes.', reasoning: [{ text: 'Hm.' }] });
  });

  test('a refusal is one, whole and in pieces', () => {
    const { deltas, answer } = play([
      added(0, message()),
      event('refusal.delta', { output_index: 0, delta: 'I will ' }),
      event('refusal.done', { output_index: 0, refusal: 'I will not.' }),
      completed(),
    ]);
    expect(deltas.map(({ type }) => type)).toEqual(['refusal', 'refusal']);
    expect(answer).toMatchObject({ output: 'I will not.', finishReason: 'refusal' });
  });

  test('that failed keeps the counts of what was billed', () => {
    const assembler = assembleResponsesStream();
    const failed = { ...response, status: 'failed', error: { code: 'server_error', message: 'no' } };
    const data = JSON.stringify(event('failed', { response: failed }));
    expect(() => assembler.push({ event: 'message', data })).toThrow('it reports an error');
    expect(fromResponsesBody(assembler.body())).toMatchObject({
      unusable: 'it reports an error',
      bill: { rawUsage: response.usage },
    });
  });

  test('that the answer is still to come is no progress; that something is done for it is', () => {
    const assembler = assembleResponsesStream();
    const push = (type: string) => assembler.push({ event: type, data: JSON.stringify({ type }) });
    for (const type of ['response.created', 'response.queued', 'response.in_progress', 'keepalive']) {
      expect(push(type), type).toBeUndefined();
    }
    expect(push('response.web_search_call.searching')).toEqual([]);
    expect(assembler.ended).toBe(false);
  });
});
