import OpenAI, { APIError } from 'openai';
import type {
  ResponseCreateParamsNonStreaming,
  ResponseInput,
  ResponseStreamEvent,
} from 'openai/resources/responses/responses';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { clientDefinitions } from '../support/client-definitions.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { definition, startGateway, type TestGateway } from '../support/gateway.ts';

describe.each(databases)('the openai client at POST /v1/responses, on $name', ({ create }) => {
  let database: TestDatabase;
  let gateway: TestGateway;
  let client: OpenAI;

  beforeAll(async () => {
    database = await create();
    gateway = await startGateway(database, { files: clientDefinitions });
    client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.keys.execute });
  });
  afterAll(async () => {
    await gateway?.close();
    await database?.drop();
  });
  beforeEach(() => gateway.fault(null));

  const greet = { prompt: { id: 'greet', variables: { name: 'Ada' } } };
  const rowOf = async (response: { id: string }) =>
    (await gateway.call('GET', `/v1/executions/${response.id.replace('resp_', '')}`)).body;
  const newestRow = async () =>
    (await gateway.query('select * from ai_executions order by id desc limit 1'))[0];

  async function failureOf(
    body: Record<string, unknown>,
    options: OpenAI.RequestOptions = {},
    by: OpenAI = client,
  ): Promise<APIError> {
    const params = body as ResponseCreateParamsNonStreaming;
    const failure = await by.responses.create(params, options).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(failure).toBeInstanceOf(APIError);
    return failure as APIError;
  }

  async function collect(params: object): Promise<ResponseStreamEvent[]> {
    const stream = await client.responses.create({ ...params, stream: true });
    const events: ResponseStreamEvent[] = [];
    for await (const event of stream) events.push(event);
    return events;
  }

  it('answers with a response that is the row', async () => {
    const { data: response, response: http } = await client.responses.create(greet).withResponse();
    const row = await rowOf(response);
    expect(response).toMatchObject({
      object: 'response',
      status: 'completed',
      error: null,
      incomplete_details: null,
      model: 'gpt-4o-mini',
      output_text: row.output,
      prompt: { id: 'greet', version: '1', variables: { name: 'Ada' } },
    });
    expect(response.output_text).toContain('Greet Ada.');
    expect(response.usage).toMatchObject({
      input_tokens: row.usage.prompt_tokens,
      output_tokens: row.usage.completion_tokens,
      total_tokens: row.usage.prompt_tokens + row.usage.completion_tokens,
    });
    expect(row).toMatchObject({ prompt: 'greet', label: 'production', status: 'succeeded' });
    const headers = Object.fromEntries(http.headers);
    expect(headers).toMatchObject({
      'x-promptgate-execution-id': row.id,
      'x-promptgate-prompt': 'greet',
      'x-promptgate-version': '1',
      'x-promptgate-attempts': '1',
      'x-promptgate-overhead-ms': String(row.overhead_ms),
    });
    // Simulated answers have no price, and a header never holds a guess.
    expect(headers['x-promptgate-cost']).toBeUndefined();
  });

  it.each([
    ['a label in the id', { prompt: { id: 'greet@production', variables: { name: 'Ada' } } }],
    ['a version as text', { prompt: { id: 'greet', version: '1', variables: { name: 'Ada' } } }],
    ['a version in the id', { prompt: { id: 'greet@1', variables: { name: 'Ada' } } }],
    ['prompt_id', { prompt_id: 'greet', prompt_variables: { name: 'Ada' } }],
    ['the model', { model: 'prompt/greet@production', variables: { name: 'Ada' } }],
    [
      'an input_text variable',
      { prompt: { id: 'greet', variables: { name: { type: 'input_text', text: 'Ada' } } } },
    ],
    [
      'what asks for nothing',
      { ...greet, store: false, background: false, tools: [], truncation: 'disabled' },
    ],
  ])('takes %s', async (_, body) => {
    const response = await client.responses.create(body as ResponseCreateParamsNonStreaming);
    const row = await rowOf(response);
    expect(row).toMatchObject({ prompt: 'greet', version: 1, input: { variables: { name: 'Ada' } } });
  });

  it('finds the prompt that a pmpt_ id was imported as, and its version by the number it had there', async () => {
    const prompt = { id: 'pmpt_6A0b', variables: { name: 'Ada' } };
    const edited = definition(
      'moved',
      2,
      'gpt-4o-mini',
      'Welcome {{name}}.',
      'metadata: { importedFrom: { promptId: pmpt_6A0b, promptVersion: "7" } }\n',
    );
    await gateway.call('POST', '/v1/prompts/moved/versions', {
      key: gateway.keys.admin,
      body: { source: edited },
    });
    await gateway.call('PUT', '/v1/prompts/moved/labels/production', {
      key: gateway.keys.admin,
      body: { version: 2 },
    });
    expect(await rowOf(await client.responses.create({ prompt }))).toMatchObject({
      prompt: 'moved',
      version: 2,
    });
    const pinned = await client.responses.create({ prompt: { ...prompt, version: '7' } });
    expect(await rowOf(pinned)).toMatchObject({ prompt: 'moved', version: 1, label: null });
    expect(await failureOf({ prompt: { ...prompt, version: '8' } })).toMatchObject({
      status: 404,
      code: 'not_found',
    });
    expect(await failureOf({ prompt: { id: 'pmpt_other' } })).toMatchObject({
      status: 404,
      code: 'not_found',
    });
  });

  it('fills {{history}} with the input, its last turn included', async () => {
    const input = [
      { role: 'user' as const, content: 'Who are you?' },
      { role: 'assistant' as const, content: 'A friend.' },
      { role: 'user' as const, content: [{ type: 'input_text' as const, text: 'Good.' }] },
    ];
    const prompt = { id: 'talk', variables: { name: 'Ada' } };
    const row = await rowOf(await client.responses.create({ prompt, input }));
    expect(row.input.messages).toEqual([
      { role: 'user', content: 'Who are you?' },
      { role: 'assistant', content: 'A friend.' },
      { role: 'user', content: 'Good.' },
    ]);
    expect(row.output).toContain('Good.');
    const alone = await rowOf(await client.responses.create({ prompt, input: 'Hello' }));
    expect(alone.input.messages).toEqual([{ role: 'user', content: 'Hello' }]);
  });

  it('takes its own output as earlier turns', async () => {
    const prompt = { id: 'talk', variables: { name: 'Ada' } };
    const first = await client.responses.create({ prompt, input: 'Hello' });
    const input = [
      { role: 'user' as const, content: 'Hello' },
      ...first.output,
      { role: 'user' as const, content: 'And?' },
    ];
    const second = await rowOf(await client.responses.create({ prompt, input: input as ResponseInput }));
    expect(second.input.messages[1]).toEqual({ role: 'assistant', content: first.output_text });
  });

  it('calls the tools of the definition, streams the call as it is, and takes their results', async () => {
    const prompt = { id: 'agent', variables: { name: 'Ada' } };
    const first = await client.responses.create({ prompt });
    expect(first.output).toMatchObject([
      { type: 'function_call', name: 'get_weather', arguments: '{"city":"simulated"}', status: 'completed' },
    ]);
    const final = await client.responses.stream({ prompt }).finalResponse();
    expect(final.output).toMatchObject([
      { type: 'function_call', name: 'get_weather', arguments: '{"city":"simulated"}', status: 'completed' },
    ]);
    const types = (await collect({ prompt })).map(({ type }) => type);
    expect(types.filter((type, index) => type !== types[index - 1])).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.done',
      'response.output_item.done',
      'response.completed',
    ]);
    const [call] = first.output;
    if (call?.type !== 'function_call') throw new Error('no call');
    const result = { type: 'function_call_output', call_id: call.call_id, output: 'sunny' };
    const input = [...first.output, result] as ResponseInput;
    const second = await client.responses.create({ prompt, input });
    expect(second.output_text).toContain('[simulated');
    expect((await rowOf(second)).input.messages).toEqual([
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ id: call.call_id, name: 'get_weather', arguments: call.arguments }],
      },
      { role: 'tool', content: 'sunny', tool_call_id: call.call_id },
    ]);
  });

  it('is incomplete when the limit of the definition cut it off, whole and streamed', async () => {
    const body = { prompt: { id: 'short', variables: { name: 'Ada' } } };
    const whole = await client.responses.create(body);
    expect(whole).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
    });
    expect((await collect(body)).at(-1)).toMatchObject({
      type: 'response.incomplete',
      response: { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } },
    });
  });

  it('streams the events of OpenAI in their order, numbered, and their sum is the row', async () => {
    const events = await collect(greet);
    expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, index) => index));
    const types = events.map(({ type }) => type).filter((type, index, all) => type !== all[index - 1]);
    expect(types).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
    const text = events
      .map((event) => (event.type === 'response.output_text.delta' ? event.delta : ''))
      .join('');
    const last = events.at(-1) as ResponseStreamEvent & { type: 'response.completed' };
    const row = await rowOf(last.response);
    expect(text).toBe(row.output);
    expect(row.stream).not.toBeNull();
  });

  it('gives the helper of the client the same final response as without streaming', async () => {
    const whole = await client.responses.create(greet);
    const final = await client.responses.stream(greet).finalResponse();
    const plain = (response: typeof whole) => {
      const {
        id: _id,
        created_at: _at,
        output_parsed: _parsed,
        output,
        ...rest
      } = JSON.parse(JSON.stringify(response));
      return {
        ...rest,
        output: output.map(({ content }: { content: { text: string }[] }) => content.map(({ text }) => text)),
      };
    };
    expect(plain(final as typeof whole)).toEqual(plain(whole));
  });

  it('ends with response.failed when the provider fails in the middle, and the row keeps what came', async () => {
    await gateway.fault({ kind: 'stream_error', afterEvents: 4 });
    const events = await collect(greet);
    const last = events.at(-1) as ResponseStreamEvent & { type: 'response.failed' };
    expect(last).toMatchObject({
      type: 'response.failed',
      response: { status: 'failed', error: { code: 'provider_unavailable' } },
    });
    expect(await rowOf(last.response)).toMatchObject({
      status: 'failed',
      error: { code: 'provider_unavailable' },
    });
  });

  it.each([
    ['invalid_request', 400, 'invalid_request_error', 'temperature', { ...greet, temperature: 0 }],
    ['invalid_request', 400, 'invalid_request_error', 'model', { ...greet, model: 'gpt-4o' }],
    [
      'invalid_request',
      400,
      'invalid_request_error',
      'max_output_tokens',
      { ...greet, max_output_tokens: 5 },
    ],
    [
      'invalid_request',
      400,
      'invalid_request_error',
      'tools[0]',
      { ...greet, tools: [{ type: 'web_search' }] },
    ],
    [
      'invalid_request',
      400,
      'invalid_request_error',
      'text.format',
      { ...greet, text: { format: { type: 'json_object' } } },
    ],
    ['invalid_request', 400, 'invalid_request_error', 'instructions', { ...greet, instructions: 'Be rude.' }],
    ['invalid_request', 400, 'invalid_request_error', 'store', { ...greet, store: true }],
    [
      'invalid_request',
      400,
      'invalid_request_error',
      'previous_response_id',
      { ...greet, previous_response_id: 'resp_1' },
    ],
    ['invalid_request', 400, 'invalid_request_error', 'surprise', { ...greet, surprise: 1 }],
    ['invalid_request', 400, 'invalid_request_error', 'messages', { ...greet, input: 'Hello' }],
    [
      'invalid_request',
      400,
      'invalid_request_error',
      'input[0].role',
      { ...greet, input: [{ role: 'system', content: 'x' }] },
    ],
    ['invalid_variables', 422, 'invalid_request_error', 'variables.name', { prompt: { id: 'greet' } }],
    ['not_found', 404, 'invalid_request_error', null, { prompt: { id: 'nobody' } }],
  ])('refuses with %s %i, with a row and without a call: %s %s', async (code, status, type, param, body) => {
    const before = await gateway.providerRequests();
    const failure = await failureOf(body);
    expect(failure).toMatchObject({ status, code, type, ...(param === 'messages' ? {} : { param }) });
    expect(failure.requestID).toBeTruthy();
    expect(await gateway.providerRequests()).toBe(before);
    const row = await newestRow();
    expect(row).toMatchObject({ status: 'refused', error_code: code, prompt_name: body.prompt.id });
    expect(failure.headers?.get('x-promptgate-execution-id')).toBe(row.id);
  });

  it('refuses a raw call and says how to name a prompt', async () => {
    const failure = await failureOf({ model: 'gpt-4o', input: 'Write a poem.' });
    expect(failure).toMatchObject({ status: 400, code: 'invalid_request', param: 'prompt' });
    expect(failure.message).toContain('prompt: { id: "name@label"');
    expect(await newestRow()).toMatchObject({
      status: 'refused',
      error_code: 'invalid_request',
      prompt_name: '',
    });
  });

  it('refuses an unknown key, and a key that may not execute', async () => {
    const unknown = await failureOf(greet, {}, client.withOptions({ apiKey: 'pg_unknown' }));
    expect(unknown).toMatchObject({ status: 401, code: 'unauthenticated', type: 'authentication_error' });
    const { body } = await gateway.call('POST', '/v1/keys', {
      key: gateway.keys.admin,
      body: { name: `publisher-${database.kind}`, scopes: ['publish'] },
    });
    const forbidden = await failureOf(greet, {}, client.withOptions({ apiKey: body.secret }));
    expect(forbidden).toMatchObject({ status: 403, code: 'forbidden', type: 'permission_error' });
  });

  it('executes once for each Idempotency-Key', async () => {
    const options = { headers: { 'Idempotency-Key': 'responses-once' } };
    const first = await client.responses.create(greet, options);
    const again = await client.responses.create(greet, options);
    expect(again).toEqual(first);
    const streamed = await client.responses.create({ ...greet, stream: true }, options);
    let text = '';
    for await (const event of streamed) if (event.type === 'response.output_text.delta') text += event.delta;
    expect(text).toBe(first.output_text);
  });

  it('is asked once by the client when the same Idempotency-Key comes with another request', async () => {
    const options = { headers: { 'Idempotency-Key': 'responses-conflict', 'x-request-id': 'conflict' } };
    await client.responses.create(greet, options);
    const other = { prompt: { id: 'greet', variables: { name: 'Bob' } } };
    expect(await failureOf(other, options)).toMatchObject({ status: 409, code: 'conflict' });
    const rows = await gateway.query(
      "select status from ai_executions where request_id = 'conflict' order by id",
    );
    expect(rows).toEqual([{ status: 'succeeded' }, { status: 'refused' }]);
  });

  it('tells a key that may not use a prompt nothing of its import', async () => {
    const { body } = await gateway.call('POST', '/v1/keys', {
      key: gateway.keys.admin,
      body: { name: `greeter-${database.kind}`, scopes: ['execute'], prompts: ['greet'] },
    });
    const greeter = client.withOptions({ apiKey: body.secret });
    for (const version of ['7', '8', undefined]) {
      const failure = await failureOf({ prompt: { id: 'pmpt_6A0b', version } }, {}, greeter);
      expect(failure).toMatchObject({ status: 403, code: 'forbidden' });
      expect(failure.message).not.toContain('moved');
    }
  });

  it('keeps the outcome of a client that leaves in the middle, and when it left', async () => {
    await gateway.fault({ kind: 'stream_slow', delayMs: 30 });
    const stream = await client.responses.create(
      { ...greet, stream: true },
      { headers: { 'x-request-id': 'responses-left' } },
    );
    for await (const event of stream) if (event.type === 'response.output_text.delta') break;
    const query = "select id from ai_executions where request_id = 'responses-left'";
    await expect.poll(() => gateway.query(query), { timeout: 10_000 }).toHaveLength(1);
    const row = await rowOf({ id: (await gateway.query(query))[0].id });
    expect(row).toMatchObject({ status: 'succeeded', finish_reason: 'stop' });
    expect(row.stream.disconnected_at).not.toBeNull();
    expect(row.stream.delivered_bytes).toBeLessThan(Buffer.byteLength(row.output));
  });

  it('passes metadata, user, trace and request id into the row', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const response = await client.responses.create(
      { ...greet, metadata: { team: 'a' }, user: 'u1' },
      { headers: { 'x-request-id': 'mine', traceparent: `00-${traceId}-b7ad6b7169203331-01` } },
    );
    expect(await rowOf(response)).toMatchObject({
      metadata: { team: 'a', user: 'u1' },
      request_id: 'mine',
      trace_id: traceId,
    });
  });
});
