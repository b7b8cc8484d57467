import OpenAI, { APIError } from 'openai';
import type {
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionMessageParam,
} from 'openai/resources/chat/completions';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { clientDefinitions } from '../support/client-definitions.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

describe.each(databases)(
  'the openai client at POST /v1/chat/completions, on $name',
  ({ create: createDatabase }) => {
    let database: TestDatabase;
    let gateway: TestGateway;
    let client: OpenAI;

    beforeAll(async () => {
      database = await createDatabase();
      gateway = await startGateway(database, { files: clientDefinitions });
      client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.keys.execute });
    });
    afterAll(async () => {
      await gateway?.close();
      await database?.drop();
    });
    beforeEach(() => gateway.fault(null));

    const variables = { name: 'Ada' };
    const greet = { model: 'prompt/greet@production', variables, messages: [] };
    const talk = { ...greet, model: 'prompt/talk' };
    const create = (body: object, options: OpenAI.RequestOptions = {}) =>
      client.chat.completions.create(body as ChatCompletionCreateParamsNonStreaming, options);
    const stream = (body: object) => client.chat.completions.create({ ...greet, ...body, stream: true });
    const newestRow = async () =>
      (await gateway.query('select * from ai_executions order by id desc limit 1'))[0];
    const clientOf = async (name: string, key: object) => {
      const { body } = await gateway.call('POST', '/v1/keys', {
        key: gateway.keys.admin,
        body: { name: `${name}-${database.kind}`, ...key },
      });
      return client.withOptions({ apiKey: body.secret });
    };

    async function failureOf(work: PromiseLike<unknown>): Promise<APIError> {
      const failure = await Promise.resolve(work).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(failure).toBeInstanceOf(APIError);
      return failure as APIError;
    }

    it.each([
      ['the model', greet],
      ['the model without a label', { ...greet, model: 'prompt/greet' }],
      ['the model and a version', { ...greet, model: 'prompt/greet', prompt_version: 1 }],
      ['prompt_id', { prompt_id: 'greet', prompt_variables: variables, prompt_version: '1' }],
      ['what asks for nothing', { ...greet, n: 1, store: false, tools: [], response_format: null }],
    ])('answers a prompt named by %s with a completion that is the row', async (_, body) => {
      const { data: completion, response: http } = await create(body).withResponse();
      const row = await newestRow();
      expect(row).toMatchObject({ prompt_name: 'greet', status: 'succeeded', input_payload: { variables } });
      expect(completion).toMatchObject({
        id: `chatcmpl-${row.id}`,
        object: 'chat.completion',
        model: 'gpt-4o-mini',
        choices: [
          { index: 0, finish_reason: 'stop', message: { role: 'assistant', content: row.raw_output } },
        ],
        usage: { prompt_tokens: row.prompt_tokens, completion_tokens: row.completion_tokens },
      });
      expect(http.headers.get('x-promptgate-execution-id')).toBe(row.id);
    });

    it('streams chunks whose sum is the row, the usage last and only where it is asked for', async () => {
      for (const include_usage of [true, false]) {
        const chunks = await Array.fromAsync(await stream({ stream_options: { include_usage } }));
        const row = await newestRow();
        expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(row.raw_output);
        expect(chunks.flatMap(({ choices }) => choices[0]?.finish_reason ?? [])).toEqual(['stop']);
        const usage = { prompt_tokens: row.prompt_tokens, completion_tokens: row.completion_tokens };
        expect(chunks.flatMap(({ usage }) => usage ?? [])).toMatchObject(include_usage ? [usage] : []);
        expect(chunks.at(-1)?.choices).toHaveLength(include_usage ? 0 : 1);
      }
    });

    it('ends a stream with [DONE]', async () => {
      const { body } = await gateway.call('POST', '/v1/chat/completions', {
        body: { ...greet, stream: true },
      });
      expect(body).toMatch(/\ndata: \[DONE\]\n\n$/);
    });

    it('calls the tools of the definition, whole and streamed, and takes their results', async () => {
      const agent = { ...greet, model: 'prompt/agent' };
      const [choice] = (await create(agent)).choices;
      const [call] = choice?.message.tool_calls ?? [];
      if (call?.type !== 'function') throw new Error('no call');
      expect(choice).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } });
      expect(call.function).toEqual({ name: 'get_weather', arguments: '{"city":"simulated"}' });
      const chunks = await Array.fromAsync(await stream({ model: agent.model }));
      const said = chunks.map(({ choices }) => choices[0]?.delta.tool_calls?.[0]?.function?.arguments ?? '');
      expect(said.join('')).toBe(call.function.arguments);
      const result = { role: 'tool', tool_call_id: call.id, content: 'sunny' };
      const answer = await create({ ...agent, messages: [choice?.message, result] });
      expect(answer.choices[0]?.message.content).toContain('[simulated');
    });

    it('fills {{history}} with the messages, its own answers and refusals included', async () => {
      const first = await create({ ...talk, messages: [{ role: 'user', content: 'Hello' }] });
      const messages = [
        { role: 'user', content: 'Hello' },
        first.choices[0]!.message,
        { role: 'user', content: [{ type: 'text', text: 'And?' }] },
        { role: 'assistant', content: null, refusal: 'No.' },
        { role: 'user', content: 'Why?' },
      ] satisfies ChatCompletionMessageParam[];
      await create({ ...talk, messages });
      expect((await newestRow()).input_payload.messages).toEqual([
        { role: 'user', content: 'Hello' },
        { role: 'assistant', content: first.choices[0]!.message.content },
        { role: 'user', content: 'And?' },
        { role: 'assistant', content: 'No.' },
        { role: 'user', content: 'Why?' },
      ]);
    });

    it('passes metadata and user into the row', async () => {
      await create({ ...greet, metadata: { team: 'a' }, user: 'u1', safety_identifier: 's1' });
      expect((await newestRow()).metadata).toEqual({ team: 'a', user: 'u1', safety_identifier: 's1' });
    });

    const hello = [{ role: 'user', content: 'Hello' }];
    it.each([
      ['invalid_request', 400, 'temperature', { ...greet, temperature: 0 }],
      ['invalid_request', 400, 'max_tokens', { ...greet, max_tokens: 5 }],
      ['invalid_request', 400, 'tools', { ...greet, tools: [{ type: 'function', function: { name: 'x' } }] }],
      ['invalid_request', 400, 'tools[0]', { ...greet, tools: [{ type: 'web_search' }] }],
      ['invalid_request', 400, 'response_format', { ...greet, response_format: { type: 'json_object' } }],
      ['invalid_request', 400, 'n', { ...greet, n: 2 }],
      ['invalid_request', 400, 'store', { ...greet, store: true }],
      ['invalid_request', 400, 'surprise', { ...greet, surprise: 1 }],
      ['invalid_request', 400, 'model', { prompt_id: 'greet', model: 'gpt-4o' }],
      ['invalid_request', 400, 'messages', { ...greet, messages: hello }],
      [
        'invalid_request',
        400,
        'messages[0].role',
        { ...greet, messages: [{ role: 'system', content: 'x' }] },
      ],
      ['invalid_variables', 422, 'variables.name', { ...greet, variables: {} }],
      ['not_found', 404, null, { ...greet, model: 'prompt/nobody' }],
    ])('refuses with %s %i, with a row and without a call: %s', async (code, status, param, body) => {
      const before = await gateway.providerRequests();
      const failure = await failureOf(create(body));
      expect(failure).toMatchObject({ status, code, type: 'invalid_request_error', param });
      expect(await gateway.providerRequests()).toBe(before);
      const row = await newestRow();
      const prompt_name = status === 404 ? 'nobody' : 'greet';
      expect(row).toMatchObject({ status: 'refused', error_code: code, prompt_name });
      expect(failure.headers?.get('x-promptgate-execution-id')).toBe(row.id);
    });

    it('refuses a raw call, with a row and without a call, and says how to name a prompt', async () => {
      const before = await gateway.providerRequests();
      const failure = await failureOf(create({ model: 'gpt-4o', messages: hello }));
      expect(failure).toMatchObject({ status: 400, code: 'invalid_request', param: 'model' });
      expect(failure.message).toContain('`model: "prompt/name@label"` with `variables`');
      expect(await gateway.providerRequests()).toBe(before);
      expect(await newestRow()).toMatchObject({
        status: 'refused',
        error_code: 'invalid_request',
        prompt_name: '',
      });
    });

    it('refuses an unknown key, and one that may not execute, at both endpoints', async () => {
      const stranger = client.withOptions({ apiKey: 'pg_unknown' });
      const publisher = await clientOf('publisher', { scopes: ['publish'] });
      for (const call of [
        (by: OpenAI) => by.chat.completions.create(greet),
        (by: OpenAI) => by.models.list(),
      ]) {
        expect(await failureOf(call(stranger))).toMatchObject({ status: 401, type: 'authentication_error' });
        expect(await failureOf(call(publisher))).toMatchObject({ status: 403, type: 'permission_error' });
      }
    });

    it('executes once for each Idempotency-Key', async () => {
      const options = { headers: { 'Idempotency-Key': 'chat-once' } };
      expect(await create(greet, options)).toEqual(await create(greet, options));
    });

    it('lists as models the prompts and labels that the key may use, and each can be called', async () => {
      await gateway.call('PUT', '/v1/prompts/greet/labels/staging', {
        key: gateway.keys.admin,
        body: { version: 1 },
      });
      const idsOf = async (by: OpenAI) =>
        (await Array.fromAsync(by.models.list())).map(({ id }) => id).sort();
      const names = ['agent', 'chat', 'greet', 'hasty', 'lost', 'moved', 'short', 'talk'];
      expect(await idsOf(client)).toEqual(
        [...names.map((name) => `prompt/${name}@production`), 'prompt/greet@staging'].sort(),
      );
      const limited = await clientOf('stager', {
        scopes: ['execute'],
        prompts: ['greet', 'talk'],
        labels: ['staging'],
      });
      const [model, ...others] = (await limited.models.list()).data;
      expect(others).toEqual([]);
      expect(model).toMatchObject({ id: 'prompt/greet@staging', object: 'model', owned_by: 'promptgate' });
      expect(Math.abs(Date.now() / 1000 - model!.created)).toBeLessThan(600);
      const called = await limited.chat.completions.create({ ...greet, model: model!.id });
      expect(called.choices[0]?.message.content).toContain('Greet Ada.');
      expect(await failureOf(limited.chat.completions.create(greet))).toMatchObject({ status: 403 });
    });
  },
);
