import Anthropic, { APIError } from '@anthropic-ai/sdk';
import type {
  Message,
  MessageCreateParamsNonStreaming,
  MessageStreamEvent,
} from '@anthropic-ai/sdk/resources/messages';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { clientDefinitions } from '../support/client-definitions.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

describe.each(databases)('the Anthropic client at POST /v1/messages, on $name', ({ create }) => {
  let database: TestDatabase;
  let gateway: TestGateway;
  let client: Anthropic;

  beforeAll(async () => {
    database = await create();
    gateway = await startGateway(database, { files: clientDefinitions });
    // As its users write it: the key goes into x-api-key.
    client = new Anthropic({ baseURL: gateway.url, apiKey: gateway.keys.execute, authToken: null });
  });
  afterAll(async () => {
    await gateway?.close();
    await database?.drop();
  });
  beforeEach(() => gateway.fault(null));

  /** Anthropic's types know no variables. */
  const paramsOf = (body: Record<string, unknown>) =>
    ({ max_tokens: 1024, messages: [], ...body }) as unknown as MessageCreateParamsNonStreaming;
  const greet = { model: 'prompt/greet', variables: { name: 'Ada' } };
  const rowOf = async ({ id }: { id: string }) =>
    (await gateway.call('GET', `/v1/executions/${id.replace('msg_', '')}`)).body;
  const newestRow = async () =>
    (await gateway.query('select * from ai_executions order by id desc limit 1'))[0];
  const textOf = ({ content }: Message) =>
    content.map((block) => (block.type === 'text' ? block.text : '')).join('');

  async function failureOf(work: Promise<unknown>): Promise<APIError> {
    const failure = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(failure).toBeInstanceOf(APIError);
    return failure as APIError;
  }

  it.each(['greet', 'chat'])(
    'answers %s with a message that is the row, whichever provider answered',
    async (name) => {
      const message = await client.messages.create(
        paramsOf({ ...greet, model: `prompt/${name}@production` }),
      );
      const row = await rowOf(message);
      expect(message).toMatchObject({ type: 'message', role: 'assistant', stop_reason: 'end_turn' });
      expect(textOf(message)).toBe(row.output);
      expect(message.model).toBe(row.response_model);
      expect(message.usage).toMatchObject({
        input_tokens: row.usage.prompt_tokens,
        cache_read_input_tokens: row.usage.cached_tokens,
        cache_creation_input_tokens: row.usage.cache_write_tokens,
        output_tokens: row.usage.completion_tokens,
      });
      expect(row).toMatchObject({ prompt: name, version: 1, label: 'production', status: 'succeeded' });
    },
  );

  it('takes a version, and the key as a bearer token', async () => {
    const bearer = new Anthropic({ baseURL: gateway.url, apiKey: null, authToken: gateway.keys.execute });
    const message = await bearer.messages.create(paramsOf({ ...greet, model: 'prompt/greet@1' }));
    expect(await rowOf(message)).toMatchObject({ version: 1, label: null });
  });

  it('fills {{history}} with the messages, and keeps metadata', async () => {
    const messages = [
      { role: 'user', content: 'Who are you?' },
      { role: 'assistant', content: [{ type: 'text', text: 'A friend.' }] },
      { role: 'user', content: 'Good.' },
    ];
    const message = await client.messages.create(
      paramsOf({ ...greet, model: 'prompt/talk', messages, metadata: { user_id: 'u1' } }),
    );
    const row = await rowOf(message);
    expect(row.input.messages).toEqual([
      messages[0],
      { role: 'assistant', content: 'A friend.' },
      messages[2],
    ]);
    expect(row.metadata).toEqual({ user_id: 'u1' });
  });

  it('calls the tools of the definition, streams the call as it is, and takes their results', async () => {
    const agent = { ...greet, model: 'prompt/agent' };
    const first = await client.messages.create(paramsOf(agent));
    const asked = { type: 'tool_use', name: 'get_weather', input: { city: 'simulated' } };
    expect(first).toMatchObject({ stop_reason: 'tool_use', content: [asked] });
    const streamed = await client.messages.stream(paramsOf(agent)).finalMessage();
    expect(streamed).toMatchObject({ stop_reason: 'tool_use', content: [asked] });
    const [use] = first.content;
    if (use?.type !== 'tool_use') throw new Error('no call');
    const messages = [
      { role: 'assistant', content: first.content },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: 'sunny' }] },
    ];
    const second = await client.messages.create(paramsOf({ ...agent, messages }));
    expect(second.stop_reason).toBe('end_turn');
    expect((await rowOf(second)).input.messages).toEqual([
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ id: use.id, name: 'get_weather', arguments: '{"city":"simulated"}' }],
      },
      { role: 'tool', content: 'sunny', tool_call_id: use.id },
    ]);
  });

  it('says when the limit of the definition cut the answer off', async () => {
    const message = await client.messages.create(paramsOf({ ...greet, model: 'prompt/short' }));
    expect(message.stop_reason).toBe('max_tokens');
  });

  it("streams Anthropic's events in their order, and their sum is the row", async () => {
    const stream = await client.messages.create({ ...paramsOf(greet), stream: true });
    const events: MessageStreamEvent[] = [];
    for await (const event of stream) events.push(event);
    const types = events.map(({ type }) => type).filter((type, index, all) => type !== all[index - 1]);
    expect(types).toEqual([
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
    const newest = await newestRow();
    const text = events
      .map((event) =>
        event.type === 'content_block_delta' && event.delta.type === 'text_delta' ? event.delta.text : '',
      )
      .join('');
    expect(text).toBe(newest.raw_output);
  });

  it('begins a stream with the tokens that the provider has counted by then', async () => {
    const started = async (model: string) => {
      const stream = await client.messages.create({ ...paramsOf({ ...greet, model }), stream: true });
      for await (const event of stream) if (event.type === 'message_start') return event.message.usage;
      return undefined;
    };
    const counted = await started('prompt/agent');
    expect(counted?.input_tokens).toBe(
      (await client.messages.create(paramsOf({ ...greet, model: 'prompt/agent' }))).usage.input_tokens,
    );
    expect(await started('prompt/greet')).toMatchObject({ input_tokens: 0, output_tokens: 0 });
  });

  it('gives the helper of the client the same final message as without streaming', async () => {
    const whole = await client.messages.create(paramsOf(greet));
    const final = await client.messages.stream(paramsOf(greet)).finalMessage();
    const plain = ({ id: _, ...rest }: Message) => JSON.parse(JSON.stringify(rest));
    const { parsed_output: _, ...rest } = plain(final);
    expect({ ...rest, content: textOf(final) }).toEqual({ ...plain(whole), content: textOf(whole) });
  });

  it('throws the error event of a provider that fails in the middle, and the row keeps what came', async () => {
    await gateway.fault({ kind: 'stream_error', afterEvents: 4 });
    const failure = await failureOf(client.messages.stream(paramsOf(greet)).finalMessage());
    expect(failure.error).toMatchObject({
      type: 'error',
      error: { type: 'overloaded_error', code: 'provider_unavailable' },
    });
    const row = await newestRow();
    expect(row).toMatchObject({ status: 'failed', error_code: 'provider_unavailable' });
    expect(row.raw_output).toBeTruthy();
  });

  it.each([
    ['invalid_request', 400, 'invalid_request_error', 'temperature', { ...greet, temperature: 0 }],
    ['invalid_request', 400, 'invalid_request_error', 'system', { ...greet, system: 'Be rude.' }],
    ['invalid_request', 400, 'invalid_request_error', 'tools', { ...greet, tools: [{ name: 'x' }] }],
    [
      'invalid_request',
      400,
      'invalid_request_error',
      'messages',
      { ...greet, messages: [{ role: 'user', content: 'x' }] },
    ],
    ['invalid_variables', 422, 'invalid_request_error', 'variables.name', { model: 'prompt/greet' }],
    ['not_found', 404, 'not_found_error', 'prompt', { model: 'prompt/nobody' }],
  ])('refuses with %s %i, with a row and without a call: %s %s', async (code, status, type, word, body) => {
    const before = await gateway.providerRequests();
    const failure = await failureOf(client.messages.create(paramsOf(body)));
    expect(failure).toMatchObject({ status, error: { type: 'error', error: { type, code } } });
    expect(failure.message).toContain(word);
    expect(failure.requestID).toBeTruthy();
    expect(await gateway.providerRequests()).toBe(before);
    const row = await newestRow();
    expect(row).toMatchObject({ status: 'refused', error_code: code, prompt_name: body.model.slice(7) });
  });

  it('refuses a raw call and says how to name a prompt', async () => {
    const raw = { model: 'claude-haiku-4-5', messages: [{ role: 'user', content: 'Write a poem.' }] };
    const failure = await failureOf(client.messages.create(paramsOf(raw)));
    expect(failure.status).toBe(400);
    expect(failure.message).toContain('prompt/name@label');
    expect(await newestRow()).toMatchObject({ status: 'refused', prompt_name: '' });
  });

  it("refuses an unknown key in Anthropic's shape", async () => {
    const failure = await failureOf(
      client.withOptions({ apiKey: 'pg_unknown' }).messages.create(paramsOf(greet)),
    );
    expect(failure).toMatchObject({ status: 401, error: { error: { type: 'authentication_error' } } });
  });

  it.each([
    ['unauthorized', 502, 'api_error', 'provider_misconfigured'],
    ['rejected', 422, 'invalid_request_error', 'provider_rejected'],
  ])(
    'tells of the fault %s of the provider once, and keeps the client from asking again',
    async (kind, status, type, code) => {
      await gateway.fault({ kind });
      const failure = await failureOf(client.messages.create(paramsOf(greet)));
      expect(failure).toMatchObject({ status, error: { error: { type, code } } });
      expect(failure.headers?.get('x-should-retry')).toBe('false');
      expect(await newestRow()).toMatchObject({ status: 'failed', error_code: code });
    },
  );
});
