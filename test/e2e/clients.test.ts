import { readFileSync } from 'node:fs';
import { createOpenAI } from '@ai-sdk/openai';
import { ChatOpenAI } from '@langchain/openai';
import { generateText, type ModelMessage } from 'ai';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { clientDefinitions } from '../support/client-definitions.ts';
import { type ClientCall, callAsPrinted, clients } from '../support/clients.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

const summarize = readFileSync(new URL('../../prompts/summarize.prompt', import.meta.url), 'utf8');

// What a client hears does not depend on where the rows lie: one database will do.
const [postgres] = databases;

describe('the clients that applications have', () => {
  let database: TestDatabase;
  let gateway: TestGateway;
  let publisher: string;

  beforeAll(async () => {
    // Its warnings that it does not know our models say nothing here.
    Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false });
    database = await postgres!.create();
    gateway = await startGateway(database, {
      files: { ...clientDefinitions, 'summarize.prompt': summarize },
    });
    const key = { name: 'publisher', scopes: ['publish'] };
    const made = await gateway.call('POST', '/v1/keys', { key: gateway.keys.admin, body: key });
    publisher = made.body.secret;
  });
  afterAll(async () => {
    await gateway?.close();
    await database?.drop();
  });
  beforeEach(() => gateway.fault(null));

  const greet: ClientCall = { prompt: 'greet', variables: { name: 'Zoë' } };
  const rows = () => gateway.query('select * from ai_executions order by id desc limit 2');
  const count = async () => (await gateway.query('select count(*)::int as n from ai_executions'))[0].n;
  const connectionOf = (apiKey = gateway.keys.execute) => ({ url: gateway.url, apiKey });

  describe.each(clients)('$name', (client) => {
    it('runs as the README prints it', async () => {
      await callAsPrinted(client.name, connectionOf(), { text: 'Prompts deserve version control. ✓' });
      const [row] = await rows();
      expect(row).toMatchObject({ prompt_name: 'summarize', label: 'production', status: 'succeeded' });
      expect(row.input_payload.variables).toEqual({ text: 'Prompts deserve version control. ✓' });
    });

    it('hears whole and streamed what the row holds', async () => {
      for (const kind of ['answer', 'stream'] as const) {
        const { text, executionId } = await client[kind](connectionOf(), greet);
        const [row] = await rows();
        expect(text).toBe(row.raw_output);
        expect(executionId).toBe(row.id);
        expect(row.raw_output).toContain('Greet Zoë.');
      }
    });

    const busy = 'The provider "openai" is overloaded or failing';
    it.each([
      ['an unknown prompt', { prompt: 'nobody' }, null, 404, 'NotFoundError', 'There is no prompt "nobody"'],
      [
        'invalid variables',
        { variables: {} },
        null,
        422,
        'UnprocessableEntityError',
        'variables.name: is missing',
      ],
      [
        'what is governed',
        { temperature: 0 },
        null,
        400,
        'BadRequestError',
        'temperature: the definition of the',
      ],
      [
        'a rate that the provider limits',
        {},
        { kind: 'rate_limit', retryAfter: 120 },
        429,
        'RateLimitError',
        `The provider "openai" limits the gateway's rate`,
      ],
      [
        'a provider that is down',
        {},
        { kind: 'overloaded', retryAfter: 120 },
        503,
        'InternalServerError',
        busy,
      ],
    ])(
      'throws its own error at %s, once, with message, status and execution',
      async (_, change, fault, ...expected) => {
        const [status, kind, message] = expected;
        for (const way of ['answer', 'stream'] as const) {
          if (way === 'stream' && 'temperature' in change) continue;
          await gateway.fault(fault);
          const [before, asked] = [await count(), await gateway.providerRequests()];
          const thrown = await client[way](connectionOf(), { ...greet, ...change }).catch((error) => error);
          const failure = client.describe(thrown);
          const [row] = await rows();
          expect(failure).toMatchObject({ status, executionId: row.id });
          expect(failure.kinds).toContain(client.failsBy === 'status' ? kind : client.failsBy);
          expect(failure.message).toContain(message);
          expect(row.error_message).toContain(message);
          expect(await count()).toBe(before + 1);
          expect(await gateway.providerRequests()).toBe(asked + (fault ? 1 : 0));
        }
      },
    );

    it.each([
      ['an unknown key', 401, 'AuthenticationError', 'The key is unknown or has been revoked'],
      ['a key that may not execute', 403, 'PermissionDeniedError', 'execute'],
    ])('throws its own error at %s', async (_, status, kind, message) => {
      const connection = connectionOf(status === 401 ? 'pg_unknown' : publisher);
      const failure = client.describe(await client.answer(connection, greet).catch((error) => error));
      expect(failure).toMatchObject({ status });
      expect(failure.kinds).toContain(client.failsBy === 'status' ? kind : client.failsBy);
      expect(failure.message).toContain(message);
    });

    it('throws at a provider that fails in the middle of a stream, once, and the row keeps what came', async () => {
      await gateway.fault({ kind: 'stream_error', after: 4 });
      const [before, asked] = [await count(), await gateway.providerRequests()];
      const failure = client.describe(await client.stream(connectionOf(), greet).catch((error) => error));
      const [row] = await rows();
      expect(failure.kinds).toContain(client.breaksAs);
      expect(failure.message).toContain(busy);
      expect(failure.executionId).toBe(row.id);
      expect(row).toMatchObject({ status: 'failed', error_code: 'provider_unavailable' });
      expect(row.raw_output).toBeTruthy();
      expect(await count()).toBe(before + 1);
      expect(await gateway.providerRequests()).toBe(asked + 1);
    });
  });

  it('sends variables that are too long for a header as docs/clients.md shows it', async () => {
    const name = 'Zoë '.repeat(50_000);
    const fetchWith = (variables: object) => (url: unknown, request?: RequestInit) =>
      fetch(String(url), {
        ...request,
        body: JSON.stringify({ ...JSON.parse(String(request?.body)), variables }),
      });
    const openai = createOpenAI({
      baseURL: `${gateway.url}/v1`,
      apiKey: gateway.keys.execute,
      fetch: fetchWith({ name }),
    });
    await generateText({ model: openai('prompt/greet'), prompt: '', maxRetries: 0 });
    expect((await rows())[0]).toMatchObject({ status: 'succeeded', input_payload: { variables: { name } } });
  });

  it('holds a conversation of the AI SDK whose answers are sent, not referred to', async () => {
    const openai = createOpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.keys.execute });
    const headers = { 'x-promptgate-variables': '{"name":"Ada"}' };
    const talk = (messages: ModelMessage[], store?: boolean) =>
      generateText({
        model: openai('prompt/talk'),
        messages,
        headers,
        ...(store === false ? { providerOptions: { openai: { store } } } : {}),
      });
    const hello: ModelMessage = { role: 'user', content: 'Hello' };
    const { response, text } = await talk([hello], false);
    const turns: ModelMessage[] = [hello, ...response.messages, { role: 'user', content: 'And?' }];
    await talk(turns, false);
    expect((await rows())[0].input_payload.messages).toEqual([
      hello,
      { role: 'assistant', content: text },
      { role: 'user', content: 'And?' },
    ]);
    await expect(talk(turns)).rejects.toThrow('`store: false`');
  });

  it('takes the variables of LangChain with each call, as a header', async () => {
    const configuration = { baseURL: `${gateway.url}/v1` };
    const model = new ChatOpenAI({
      configuration,
      apiKey: gateway.keys.execute,
      model: 'prompt/greet',
      maxRetries: 0,
    });
    const headers = { 'x-promptgate-variables': '{"name":"Ada"}' };
    const { text } = await model.invoke([], { options: { headers } });
    expect(text).toContain('Greet Ada.');
  });
});
