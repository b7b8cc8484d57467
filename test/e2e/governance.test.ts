/** What callers may decide in place of a definition, and calls that bring a prompt of their own. */
import Anthropic, { APIError as AnthropicError } from '@anthropic-ai/sdk';
import OpenAI, { APIError } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databases, type TestDatabase } from '../support/databases.ts';
import { definition, startGateway, type TestGateway } from '../support/gateway.ts';

const overridable = `config: { temperature: 0.2, maxOutputTokens: 50 }
overridable:
  model: [gpt-4o-mini, claude-haiku-4-5]
  temperature: { max: 1 }
  maxOutputTokens: { max: 90 }
  seed: any
  tools: any
  output: any
`;
const files = {
  'open.prompt': definition('open', 1, 'gpt-4o-mini', 'Greet {{name}}.', overridable),
  'closed.prompt': definition('closed', 1, 'gpt-4o-mini', 'Greet {{name}}.'),
};
const tool = { name: 'look_up', description: 'Of a word.', input_schema: { type: 'object' as const } };

describe.each(databases)('governance, on $name', ({ create: createDatabase }) => {
  let database: TestDatabase;
  let gateway: TestGateway;
  let openai: OpenAI;
  let anthropic: Anthropic;

  beforeAll(async () => {
    database = await createDatabase();
    gateway = await startGateway(database, { files, environment: { PROMPTGATE_RAW: 'audit' } });
    openai = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.keys.execute, maxRetries: 0 });
    anthropic = new Anthropic({ baseURL: gateway.url, apiKey: gateway.keys.execute, maxRetries: 0 });
  });
  afterAll(async () => {
    await gateway?.close();
    await database?.drop();
  });

  const newestRow = async () =>
    (await gateway.query('select * from ai_executions order by id desc limit 1'))[0];
  const variables = { name: 'Ada' };
  const keyOf = async (name: string, body: object): Promise<string> => {
    const key = { key: gateway.keys.admin, body: { name: `${name}-${database.kind}`, ...body } };
    return (await gateway.call('POST', '/v1/keys', key)).body.secret;
  };

  async function failureOf(work: PromiseLike<unknown>): Promise<APIError | AnthropicError> {
    const failure = await Promise.resolve(work).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (failure instanceof APIError || failure instanceof AnthropicError) return failure;
    throw new Error('it did not fail', { cause: failure });
  }

  describe('overrides that the definition lists', () => {
    const sent = { temperature: 0.9, maxOutputTokens: 80, seed: 7 };
    const function_ = { name: tool.name, description: tool.description, parameters: tool.input_schema };
    it.each<[string, object, () => PromiseLike<unknown>]>([
      [
        'Chat Completions',
        sent,
        () =>
          openai.chat.completions.create({
            ...{ prompt_id: 'open', prompt_variables: variables, model: 'claude-haiku-4-5', messages: [] },
            ...{ temperature: 0.9, max_tokens: 80 },
          }),
      ],
      [
        'Responses',
        sent,
        () =>
          openai.responses.create({
            ...{ prompt: { id: 'open', variables }, model: 'claude-haiku-4-5' },
            ...{ temperature: 0.9, max_output_tokens: 80 },
          }),
      ],
      [
        'the native endpoint',
        sent,
        async () => {
          const parameters = { temperature: 0.9, maxOutputTokens: 80 };
          const answer = await gateway.execute('open', { variables, parameters, model: 'claude-haiku-4-5' });
          expect(answer.status).toBe(200);
        },
      ],
      [
        "Portkey's endpoint",
        sent,
        async () => {
          const body = { variables, temperature: 0.9, max_tokens: 80, model: 'claude-haiku-4-5' };
          expect((await gateway.call('POST', '/v1/prompts/open/completions', { body })).status).toBe(200);
          const { body: rendered } = await gateway.call('POST', '/v1/prompts/open/render', { body });
          expect(rendered.data).toMatchObject({ model: body.model, temperature: 0.9, max_tokens: 80 });
        },
      ],
    ])('count at %s: the row says what was sent and what was asked for', async (_, _all, call) => {
      await call();
      expect(await newestRow()).toMatchObject({
        ...{ status: 'succeeded', purpose: 'call', prompt_name: 'open', provider: 'anthropic' },
        ...{ model: 'claude-haiku-4-5', parameters: { temperature: 0.9, maxOutputTokens: 80 } },
        input_payload: { overrides: { model: 'claude-haiku-4-5', parameters: { temperature: 0.9 } } },
      });
    });

    it('count at Messages, tools and the form of the answer too, and leave the rest as it is', async () => {
      const message = await anthropic.messages.create({
        ...{ model: 'prompt/open', variables, max_tokens: 80, messages: [], tools: [tool] },
      } as Anthropic.MessageCreateParamsNonStreaming);
      expect(message.stop_reason).toBe('tool_use');
      expect(await newestRow()).toMatchObject({
        ...{ model: 'gpt-4o-mini', parameters: { temperature: 0.2, maxOutputTokens: 80 } },
        input_payload: { overrides: { tools: [{ name: 'look_up', inputSchema: { type: 'object' } }] } },
      });
      const completion = await openai.chat.completions.create({
        ...{ model: 'prompt/open', variables, messages: [], seed: 7 },
        response_format: { type: 'json_schema', json_schema: { name: 'a', schema: { type: 'object' } } },
      } as OpenAI.ChatCompletionCreateParamsNonStreaming);
      expect(JSON.parse(completion.choices[0]!.message.content!)).toBeTypeOf('object');
      expect((await newestRow()).parameters).toEqual({ temperature: 0.2, maxOutputTokens: 50, seed: 7 });
      const called = await openai.responses.create({
        ...{ prompt: { id: 'open', variables }, tools: [{ type: 'function', strict: false, ...function_ }] },
      });
      expect(called.output.at(-1)).toMatchObject({ type: 'function_call', name: 'look_up' });
    });

    it('are what an Idempotency-Key stands for: the same key with another value is a conflict', async () => {
      const once = (temperature: number) =>
        gateway.execute(
          'open',
          { variables, parameters: { temperature } },
          { headers: { 'idempotency-key': 'over' } },
        );
      const first = await once(0.5);
      expect(await once(0.5)).toMatchObject({ status: 200, body: { id: first.body.id } });
      expect((await once(0.6)).status).toBe(409);
    });
  });

  describe('overrides that the definition does not allow', () => {
    it.each([
      [
        'a parameter that is not listed',
        'open',
        { parameters: { topP: 0.5 } },
        'parameters.topP',
        'list `topP`',
      ],
      [
        'one beyond its bound',
        'open',
        { parameters: { temperature: 1.5 } },
        'parameters.temperature',
        'at most 1',
      ],
      [
        'no value of it',
        'open',
        { parameters: { temperature: 'hot' } },
        'parameters.temperature',
        'from 0 to 2',
      ],
      ['a model that is not listed', 'open', { model: 'gpt-4o' }, 'model', 'gpt-4o-mini, claude-haiku-4-5'],
      ['an unknown parameter', 'open', { parameters: { warmth: 1 } }, 'parameters.warmth', 'not known here'],
      ['tools', 'closed', { tools: [tool] }, 'tools', 'list `tools` under `overridable`'],
      ['the form of the answer', 'closed', { output: { format: 'json' } }, 'output', 'list `output`'],
    ])('are refused with a row and without a call: %s', async (_, name, asked, path, said) => {
      const before = await gateway.providerRequests();
      const { status, body } = await gateway.execute(name, { variables, ...asked });
      expect([status, body.error.issues[0].path]).toEqual([400, path]);
      expect(body.error.message).toContain(said);
      expect(await gateway.providerRequests()).toBe(before);
      expect(await newestRow()).toMatchObject({ status: 'refused', error_code: 'invalid_request' });
    });

    it('are refused before admission where the wire of the model cannot carry them', async () => {
      const { status, body } = await gateway.execute('open', {
        ...{ variables, model: 'claude-haiku-4-5', parameters: { seed: 1 } },
      });
      expect([status, body.error.code]).toEqual([400, 'invalid_request']);
      expect(body.error.message).toContain('the anthropic wire cannot carry seed');
    });

    it("leave the definition's limit in force where a client cannot but name one", async () => {
      await anthropic.messages.create({
        ...{ model: 'prompt/closed', variables, max_tokens: 9, messages: [] },
      } as Anthropic.MessageCreateParamsNonStreaming);
      expect(await newestRow()).toMatchObject({
        status: 'succeeded',
        parameters: {},
        input_payload: { variables },
      });
    });
  });

  describe('raw calls, where they are let through', () => {
    const system = 'You are brief.';
    const user = { role: 'user' as const, content: 'Say hello.' };
    const chat = { model: 'gpt-4o-mini', messages: [{ role: 'system' as const, content: system }, user] };
    const responses = { model: 'claude-haiku-4-5', instructions: system, input: user.content };
    const messages = { model: 'claude-haiku-4-5', max_tokens: 30, system, messages: [user] };
    const tempered = { ...messages, temperature: 0.4 };
    const raw = {
      ...{ status: 'succeeded', purpose: 'raw', prompt_name: '', prompt_version: null, label: null },
      input_payload: { variables: {}, messages: [{ role: 'system', content: system }, user] },
    };

    it.each<[string, string, () => Promise<string | null>, () => Promise<string>]>([
      [
        'Chat Completions',
        chat.model,
        async () => {
          const completion = await openai.chat.completions.create({ ...chat, temperature: 0.4 });
          return completion.choices[0]!.message.content;
        },
        async () => {
          const chunks = await openai.chat.completions.create({ ...chat, temperature: 0.4, stream: true });
          const said = (await Array.fromAsync(chunks)).map(({ choices }) => choices[0]?.delta.content ?? '');
          return said.join('');
        },
      ],
      [
        'Responses',
        responses.model,
        async () => (await openai.responses.create({ ...responses, temperature: 0.4 })).output_text,
        async () => {
          const events = await openai.responses.create({ ...responses, temperature: 0.4, stream: true });
          const said = (await Array.fromAsync(events)).map((event) =>
            event.type === 'response.output_text.delta' ? event.delta : '',
          );
          return said.join('');
        },
      ],
      [
        'Messages',
        messages.model,
        async () => {
          const { content } = await anthropic.messages.create(tempered);
          return content.map((block) => (block.type === 'text' ? block.text : '')).join('');
        },
        () => anthropic.messages.stream(tempered).finalText(),
      ],
    ])(
      'are executions like any other at %s, whole and streamed, marked as raw',
      async (_, model, whole, stream) => {
        for (const call of [whole, stream]) {
          const said = await call();
          const row = await newestRow();
          expect(row).toMatchObject({ ...raw, model, raw_output: said, parameters: { temperature: 0.4 } });
          expect(row.input_payload.overrides).toMatchObject({ model, parameters: { temperature: 0.4 } });
          expect(row.attempts).toHaveLength(1);
          expect(row.rendered_hash).toMatch(/^[0-9a-f]{64}$/);
        }
        expect((await newestRow()).delivered_bytes).toBeGreaterThan(0);
      },
    );

    it('bring their own tools and are listed and read as raw', async () => {
      const { data: message, response } = await anthropic.messages
        .create({ ...messages, tools: [tool] })
        .withResponse();
      expect(message.stop_reason).toBe('tool_use');
      expect(response.headers.get('x-promptgate-purpose')).toBe('raw');
      expect(response.headers.get('x-promptgate-prompt')).toBeNull();
      const id = response.headers.get('x-promptgate-execution-id');
      const { body: list } = await gateway.call('GET', '/v1/executions?purpose=raw&limit=1');
      expect(list.data[0]).toMatchObject({ id, purpose: 'raw', prompt: '', version: null });
      const { body: detail } = await gateway.call('GET', `/v1/executions/${id}`);
      expect(detail.input.overrides).toMatchObject({ model: messages.model, tools: [{ name: tool.name }] });
    });

    it('choose among their tools, whichever API and wire', async () => {
      const tools = ['first', tool.name].map((name) => ({
        ...{
          type: 'function' as const,
          name,
          description: null,
          parameters: { type: 'object' },
          strict: null,
        },
      }));
      const answer = await openai.responses.create({
        ...{ ...responses, tools, tool_choice: { type: 'function', name: tool.name } },
      });
      expect(answer.output).toMatchObject([{ type: 'function_call', name: tool.name }]);
      expect(answer).toMatchObject({ prompt: null, tool_choice: { type: 'function', name: tool.name } });
      const none = await anthropic.messages.create({
        ...{ ...messages, model: 'gpt-4o-mini', tools: [tool], tool_choice: { type: 'none' } },
      });
      expect(none.stop_reason).toBe('end_turn');
      const { input_payload } = await newestRow();
      expect(input_payload.overrides).toMatchObject({ toolChoice: 'none' });
    });

    it('fail as governed calls do: through the same retries, with the same outcome', async () => {
      await gateway.fault({ kind: 'overloaded' });
      try {
        const failure = await failureOf(openai.chat.completions.create(chat));
        expect(failure).toMatchObject({ status: 503, code: 'provider_unavailable' });
      } finally {
        await gateway.fault(null);
      }
      const row = await newestRow();
      expect(row).toMatchObject({ purpose: 'raw', status: 'failed', error_code: 'provider_unavailable' });
      expect(row.attempts).toHaveLength(3);
    });

    it.each([
      ['a model that nobody serves', { ...chat, model: 'no-such-model' }, 'takes the model "no-such-model"'],
      ['no messages', { ...chat, messages: [] }, 'brings its own'],
      ['variables', { ...chat, variables }, 'variables'],
      ['what we do not carry', { ...chat, logit_bias: { 1: 2 } }, 'does not carry it'],
      ['a parameter that is none', { ...chat, temperature: 3 }, 'from 0 to 2'],
      ['no model at all', { messages: [user] }, 'no prompt is named'],
    ])('are refused with %s, with a row and without a call', async (_, body, said) => {
      const before = await gateway.providerRequests();
      const failure = await failureOf(openai.chat.completions.create(body as typeof chat));
      expect(failure).toMatchObject({ status: 400, code: 'invalid_request' });
      expect(failure.message).toContain(said);
      expect(await gateway.providerRequests()).toBe(before);
      expect(await newestRow()).toMatchObject({ status: 'refused', prompt_name: '' });
    });

    it('are for keys that are limited to nothing, or that say so', async () => {
      const by = (apiKey: string) => openai.withOptions({ apiKey }).chat.completions.create(chat);
      for (const [name, limits] of [
        ['limited', { labels: ['staging'] }],
        ['forbidden', { raw: false }],
      ] as const) {
        const failure = await failureOf(by(await keyOf(name, limits)));
        expect(failure).toMatchObject({ status: 403, code: 'forbidden' });
        expect(await newestRow()).toMatchObject({
          status: 'refused',
          purpose: 'raw',
          error_code: 'forbidden',
        });
      }
      // No field and no spelling of a model makes a prompt's variables or a raw call of what the key may not do.
      const limited = openai.withOptions({ apiKey: await keyOf('prompts-only', { prompts: ['open'] }) });
      const headers = { 'x-promptgate-variables': JSON.stringify(variables) };
      for (const model of ['prompt/closed', 'prompt/closed@1', 'PROMPT/open', 'openai/gpt-4o-mini']) {
        const call = limited.chat.completions.create({ model, messages: [] }, { headers });
        expect(await failureOf(call)).toMatchObject({ status: 403, code: 'forbidden' });
      }
      const allowed = await keyOf('allowed', { prompts: ['open'], raw: true });
      expect((await by(allowed)).choices[0]?.message.content).toContain('[simulated');
    });
  });

  it('tells by key how much is governed, simulated calls apart, and to a key its own alone', async () => {
    const secret = await keyOf('measured', {});
    const by = openai.withOptions({ apiKey: secret });
    await by.chat.completions.create({
      model: 'gpt-4o-mini',
      messages: [{ role: 'user', content: 'Hello' }],
    });
    await failureOf(by.chat.completions.create({ model: 'no-such-model', messages: [] }));
    const own = await gateway.call('GET', '/v1/coverage', { key: secret });
    const measured = {
      actor: `key:measured-${database.kind}`,
      raw_refused: 1,
      simulated: 1,
      call_share: null,
    };
    expect(own.body).toMatchObject({ total: { simulated: 1 }, data: [measured] });
    const all = await gateway.call('GET', '/v1/coverage', {
      key: gateway.keys.admin,
    });
    expect(all.body.data.length).toBeGreaterThan(1);
  });
});
