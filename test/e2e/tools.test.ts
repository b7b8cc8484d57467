import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databases, type TestDatabase } from '../support/databases.ts';
import { definition, startGateway, type TestGateway } from '../support/gateway.ts';

const tools = 'tools:\n  get_weather:\n    description: Of a city.\n    input: { city: string }\n';
const agent = (name: string, model: string) =>
  definition(name, 1, model, '{{role "user"}}\nThe weather for {{name}}?\n{{history}}', tools);
const files = {
  'one.prompt': agent('one', 'gpt-4o-mini'),
  'two.prompt': agent('two', 'claude-haiku-4-5'),
  'none.prompt': definition('none', 1, 'gpt-4o-mini', '{{role "user"}}\n{{name}}\n{{history}}'),
};

/** Each database with another of OpenAI's wires: they know nothing of each other. */
const openaiWires: Readonly<Record<string, string>> = { PostgreSQL: 'openai', PGlite: 'openai-responses' };

describe.each(databases)('tools that a definition declares, on $name', ({ name: on, create }) => {
  let database: TestDatabase;
  let gateway: TestGateway;

  beforeAll(async () => {
    database = await create();
    const environment = { OPENAI_WIRE: openaiWires[on] ?? 'openai' };
    gateway = await startGateway(database, { files, environment });
  });
  afterAll(async () => {
    await gateway?.close();
    await database?.drop();
  });

  const call = (name: string, more: object = {}) =>
    gateway.execute(name, { variables: { name: 'Ada' }, ...more });
  const asked = { name: 'get_weather', arguments: '{"city":"simulated"}' };

  it.each(['one', 'two'])('are called, and their results lead to the answer: %s', async (name) => {
    const first = await call(name);
    expect(first.body).toMatchObject({
      status: 'succeeded',
      finish_reason: 'tool_calls',
      tool_calls: [asked],
    });
    expect(first.body.response_hash).toBe((await call(name)).body.response_hash);
    const messages = [
      { role: 'assistant', tool_calls: first.body.tool_calls },
      { role: 'tool', tool_call_id: first.body.tool_calls[0].id, content: 'sunny' },
    ];
    const second = await call(name, { messages });
    expect(second.body).toMatchObject({ status: 'succeeded', finish_reason: 'stop', tool_calls: [] });
    const rows = await Promise.all(
      [first, second].map(({ body }) => gateway.call('GET', `/v1/executions/${body.id}`)),
    );
    expect(rows[0]?.body.tool_calls).toEqual(first.body.tool_calls);
    expect(rows[1]?.body.input.messages).toEqual([{ ...messages[0], content: '' }, messages[1]]);
  });

  it.each(['one', 'two'])('are called in a stream, in pieces that are the call: %s', async (name) => {
    const answer = await call(name, { stream: true });
    const data = (answer.body as string).match(/(?<=^data: ).*/gm)?.map((line) => JSON.parse(line)) ?? [];
    const pieces = data.filter(({ type }) => type === 'tool_call');
    expect(pieces.length).toBeGreaterThan(1);
    const [{ id }] = pieces;
    expect(pieces.every((piece) => piece.id === id && piece.index === 0)).toBe(true);
    const said = pieces.map((piece) => piece.arguments).join('');
    expect(data.at(-1).tool_calls).toEqual([{ id, name: 'get_weather', arguments: said }]);
    const row = (await gateway.call('GET', `/v1/executions/${data.at(-1).id}`)).body;
    expect(row.stream.delivered_bytes).toBe(Buffer.byteLength(said));
  });

  it.each([
    [
      'a tool that is not declared',
      'one',
      [{ role: 'assistant', tool_calls: [{ id: 'a', name: 'rm', arguments: '{}' }] }],
    ],
    ['a result where no tool is declared', 'none', [{ role: 'tool', tool_call_id: 'a', content: 'x' }]],
    ['a result without its call', 'one', [{ role: 'tool', content: 'x' }]],
    ['tools of the caller', 'one', undefined],
  ])('refuse %s, and no provider is called', async (_what, name, messages) => {
    const before = await gateway.providerRequests();
    const answer = await call(name, messages ? { messages } : { tools: [{ name: 'rm' }] });
    expect([answer.status, answer.body.error.code]).toEqual([400, 'invalid_request']);
    expect(answer.body.error.execution_id).not.toBeNull();
    expect(await gateway.providerRequests()).toBe(before);
  });

  it('are kept as far as they came, when the stream breaks', async () => {
    await gateway.fault({ kind: 'stream_truncate', after: 4 });
    const answer = await call('two', { stream: true });
    await gateway.fault(null);
    const data = (answer.body as string).match(/(?<=^data: ).*/gm)?.map((line) => JSON.parse(line)) ?? [];
    const said = data.map((piece) => (piece.type === 'tool_call' ? piece.arguments : '')).join('');
    const row = (await gateway.call('GET', `/v1/executions/${data[0].id}`)).body;
    expect(said).not.toBe('');
    expect(row).toMatchObject({ status: 'failed', tool_calls: [{ name: 'get_weather', arguments: said }] });
  });
});
