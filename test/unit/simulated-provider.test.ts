import Ajv from 'ajv';
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { exampleOf } from '../../src/providers/simulated-answer.ts';
import { faultKinds } from '../../src/providers/simulated-fault.ts';
import { type SimulatedProvider, startSimulatedProvider } from '../../src/providers/simulated-provider.ts';

let simulated: SimulatedProvider;
beforeAll(async () => {
  simulated = await startSimulatedProvider();
});
afterEach(() => simulated.reset());
afterAll(() => simulated.close());

const chat = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Say hello.' }] };
const post = (path: string, body: object) =>
  fetch(simulated.url + path, { method: 'POST', body: JSON.stringify(body) });
const openai = (more: object = {}) => post('/v1/chat/completions', { ...chat, ...more });
const anthropic = (more: object = {}) => post('/v1/messages', { ...chat, max_tokens: 100, ...more });

test('every answer is marked as simulated, in the header, the fingerprint and the text', async () => {
  const response = await openai();
  expect(response.headers.get('x-promptgate-simulated')).toBe('true');
  expect(response.headers.get('x-request-id')).toBe('req_simulated_1');
  const body = (await response.json()) as { choices: { message: { content: string } }[] };
  expect(body).toMatchObject({ system_fingerprint: 'simulated', usage: { prompt_tokens: 3 } });
  expect(body.choices[0]?.message.content).toMatch(/^\[simulated gpt-4o-mini\] .*Say hello\.$/);
  expect(await (await anthropic()).json()).toMatchObject({ type: 'message', stop_reason: 'end_turn' });
});

test('the same request gets the same output', async () => {
  const text = async () => ((await (await anthropic()).json()) as { content: unknown }).content;
  expect(await text()).toEqual(await text());
});

test('a limit cuts the answer and says so', async () => {
  const body = await (await openai({ max_completion_tokens: 2 })).json();
  expect(body).toMatchObject({ choices: [{ finish_reason: 'length' }], usage: { completion_tokens: 2 } });
});

test('JSON is answered in the shape of the schema', () => {
  const schema = {
    type: 'object',
    properties: {
      title: { type: 'string', minLength: 12 },
      mood: { enum: ['good', 'bad'] },
      score: { type: 'integer', minimum: 3 },
      tags: { type: 'array', items: { type: 'string' }, minItems: 2 },
      note: { type: ['null', 'string'] },
      nested: { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] },
    },
    required: ['title', 'mood', 'score', 'tags', 'note', 'nested'],
    additionalProperties: false,
  };
  const valid = new Ajv.default().compile(schema);
  expect(valid(exampleOf(schema))).toBe(true);
});

test('a request without a model or messages is refused as the providers do', async () => {
  expect((await post('/v1/chat/completions', {})).status).toBe(400);
  expect((await post('/v1/embeddings', {})).status).toBe(404);
});

test('a fault can be set, counted down, seen and cleared with curl', async () => {
  const set = await post('/simulate', { kind: 'rate_limit', times: 2, retryAfter: 1.5 });
  expect(await set.json()).toMatchObject({ fault: { kind: 'rate_limit' }, times_left: 2 });
  const limited = await openai();
  expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '1.5']);
  expect((await openai()).status).toBe(429);
  expect((await openai()).status).toBe(200);
  await post('/simulate', { kind: 'server_error' });
  expect((await openai()).status).toBe(500);
  await fetch(`${simulated.url}/simulate`, { method: 'DELETE' });
  expect((await openai()).status).toBe(200);
  const state = await (await fetch(`${simulated.url}/simulate`)).json();
  expect(state).toMatchObject({ fault: null, requests: 5, last_requests: expect.any(Array) });
});

test.each([{}, { kind: 'nonsense' }, { kind: 'slow', times: 0 }, { kind: 'slow', delayMs: -1 }])(
  'the fault %o is refused with the list of kinds or the limit',
  async (fault) => {
    expect((await post('/simulate', fault)).status).toBe(400);
  },
);

test('every kind of fault is accepted', async () => {
  for (const kind of faultKinds) expect((await post('/simulate', { kind })).status).toBe(200);
});

test('slow answers late, and then as ever', async () => {
  simulated.setFault({ kind: 'slow', delayMs: 15 });
  const from = performance.now();
  expect((await openai()).status).toBe(200);
  expect(performance.now() - from).toBeGreaterThanOrEqual(14);
});

test('a page in a browser cannot steer it: foreign hosts and origins are refused', async () => {
  const response = await fetch(`${simulated.url}/simulate`, { headers: { origin: 'https://evil.test' } });
  expect(response.status).toBe(403);
});

test('OpenAI’s stream carries the whole text, one finish reason, usage when asked, and the terminator', async () => {
  const whole = (await (await openai()).json()) as { choices: { message: { content: string } }[] };
  const text = await (await openai({ stream: true, stream_options: { include_usage: true } })).text();
  const data = text
    .trim()
    .split('\n\n')
    .map((line) => line.replace(/^data: /, ''));
  expect(data.pop()).toBe('[DONE]');
  type Chunk = { choices: { delta: { content?: string }; finish_reason: string | null }[]; usage?: object };
  const chunks = data.map((line) => JSON.parse(line) as Chunk);
  const choices = chunks.flatMap((chunk) => chunk.choices);
  expect(choices.map(({ delta }) => delta.content ?? '').join('')).toBe(whole.choices[0]?.message.content);
  expect(choices.filter(({ finish_reason }) => finish_reason)).toHaveLength(1);
  expect(chunks.at(-1)?.usage).toMatchObject({ prompt_tokens: 3 });
});

test('Anthropic’s stream goes from message_start to message_stop with the whole text', async () => {
  const whole = (await (await anthropic()).json()) as { content: { text: string }[] };
  const text = await (await anthropic({ stream: true })).text();
  type Event = { type: string; delta?: { text?: string; stop_reason?: string } };
  const events = text
    .trim()
    .split('\n\n')
    .map((event) => JSON.parse(event.replace(/^event: .*\ndata: /, '')) as Event);
  expect(events[0]?.type).toBe('message_start');
  expect(events.at(-1)?.type).toBe('message_stop');
  expect(events.map(({ delta }) => delta?.text ?? '').join('')).toBe(whole.content[0]?.text);
  expect(events.find(({ type }) => type === 'message_delta')?.delta?.stop_reason).toBe('end_turn');
});

test('OpenAI’s client reads the same response whole and streamed, of text, of JSON, of a call and of what was cut', async () => {
  const client = new OpenAI({ apiKey: 'k', baseURL: `${simulated.url}/v1`, maxRetries: 0 });
  const schema = { type: 'object', properties: { title: { type: 'string' } }, required: ['title'] };
  const said = { model: 'gpt-5', input: 'Say hello.' };
  const requests = [
    [said, /^\[simulated gpt-5\] .*Say hello\.$/],
    [
      { ...said, text: { format: { type: 'json_schema', name: 'output', schema } } },
      /^{"title":"simulated"}$/,
    ],
    [{ ...said, tools: [{ type: 'function', name: 'look_up', parameters: schema, strict: false }] }, /^$/],
    [{ ...said, max_output_tokens: 2 }, /^\[simulat$/],
  ] as const;
  for (const [request, text] of requests) {
    const whole = await client.responses.create(request as typeof said);
    const streamed = await client.responses.stream(request as typeof said).finalResponse();
    expect(whole.output_text).toMatch(text);
    expect([streamed.output_text, streamed.status]).toEqual([whole.output_text, whole.status]);
    expect(streamed.usage).toEqual(whole.usage);
    const calls = [whole, streamed].map(({ output }) =>
      output.flatMap((item) => (item.type === 'function_call' ? [[item.name, item.arguments]] : [])),
    );
    expect(calls[0]).toEqual('tools' in request ? [['look_up', '{"title":"simulated"}']] : []);
    expect(calls[1]).toEqual(calls[0]);
  }
});
