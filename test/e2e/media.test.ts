/** An image and a file, as variables and in turns, through each API to each wire. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SimulatedProvider, startSimulatedProvider } from '../../src/providers/simulated-provider.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

const look = (name: string, model: string) => `---
name: ${name}
version: 1
model: ${model}
input:
  schema: { photo: image, report?: file }
---
{{role "system"}}
Look.
{{role "user"}}
{{media url=photo}}
{{#if report}}{{media url=report}}{{/if}}
What is it?
{{history}}
`;
const files = { 'one.prompt': look('one', 'gpt-4o-mini'), 'two.prompt': look('two', 'claude-haiku-4-5') };

const png = Buffer.from('a picture').toString('base64');
const pdf = Buffer.from('a report').toString('base64');
const photo = { mime_type: 'image/png', data: png };
const variables = { photo, report: { mime_type: 'application/pdf', data: pdf, filename: 'r.pdf' } };
const turnPng = Buffer.from('another picture').toString('base64');
const turnPdf = Buffer.from('another report').toString('base64');
const pngUrl = `data:image/png;base64,${turnPng}`;
const pdfUrl = `data:application/pdf;base64,${turnPdf}`;

/** A user's turn with both, as each API says it. */
const turns = {
  native: [
    { type: 'text', text: 'And these?' },
    { type: 'image', mime_type: 'image/png', data: turnPng },
    { type: 'file', mime_type: 'application/pdf', data: turnPdf, filename: 't.pdf' },
  ],
  chat: [
    { type: 'text', text: 'And these?' },
    { type: 'image_url', image_url: { url: pngUrl } },
    { type: 'file', file: { filename: 't.pdf', file_data: pdfUrl } },
  ],
  responses: [
    { type: 'input_text', text: 'And these?' },
    { type: 'input_image', image_url: pngUrl, detail: 'auto' },
    { type: 'input_file', filename: 't.pdf', file_data: pdfUrl },
  ],
  messages: [
    { type: 'text', text: 'And these?' },
    { type: 'image', source: { type: 'base64', media_type: 'image/png', data: turnPng } },
    {
      type: 'document',
      title: 't.pdf',
      source: { type: 'base64', media_type: 'application/pdf', data: turnPdf },
    },
  ],
};
type Api = keyof typeof turns;

function requestOf(api: Api, name: string): { path: string; body: object } {
  const said = [{ role: 'user', content: turns[api] }];
  const model = `prompt/${name}`;
  switch (api) {
    case 'native':
      return { path: `/v1/prompts/${name}/executions`, body: { variables, messages: said } };
    case 'chat':
      return { path: '/v1/chat/completions', body: { model, variables, messages: said } };
    case 'responses':
      return { path: '/v1/responses', body: { prompt: { id: name, variables }, input: said } };
    case 'messages':
      return { path: '/v1/messages', body: { model, variables, messages: said, max_tokens: 9 } };
  }
}

/** Each database with another of OpenAI's wires: they know nothing of each other. */
const openaiWires: Readonly<Record<string, string>> = { PostgreSQL: 'openai', PGlite: 'openai-responses' };

describe.each(databases)('images and files, on $name', ({ name: on, create }) => {
  let database: TestDatabase;
  let provider: SimulatedProvider;
  let gateway: TestGateway;

  beforeAll(async () => {
    database = await create();
    provider = await startSimulatedProvider();
    gateway = await startGateway(database, {
      files,
      environment: {
        OPENAI_WIRE: openaiWires[on] ?? 'openai',
        ...{ OPENAI_API_KEY: 'sk-test', OPENAI_BASE_URL: `${provider.url}/v1` },
        ...{ ANTHROPIC_API_KEY: 'sk-ant-test', ANTHROPIC_BASE_URL: provider.url },
      },
    });
  });
  afterAll(async () => {
    await gateway?.close();
    await provider?.close();
    await database?.drop();
  });

  const apis = Object.keys(turns) as Api[];
  it.each(
    apis.flatMap((api) => Object.keys(files).map((file) => [api, file.replace('.prompt', '')] as const)),
  )(
    'said over the API %s reach the provider of %s in order, and the row keeps them for a replay',
    async (api, name) => {
      const { path, body } = requestOf(api, name);
      const answer = await gateway.call('POST', path, { body });
      expect(answer.status, JSON.stringify(answer.body)).toBe(200);
      const sent = JSON.stringify(provider.requests.at(-1)?.body);
      const places = [png, pdf, 'What is it?', 'And these?', turnPng, turnPdf].map((part) =>
        sent.indexOf(part),
      );
      expect(places).toEqual(places.toSorted((a, b) => a - b));
      expect(places[0]).toBeGreaterThan(0);
      const id = answer.headers.get('x-promptgate-execution-id');
      const { input } = (await gateway.call('GET', `/v1/executions/${id}`)).body;
      expect(input).toMatchObject({ variables, messages: [{ role: 'user', content: turns.native }] });
      const again = await gateway.execute(name, { variables: input.variables, messages: input.messages });
      const hashes = await gateway.query(
        `select distinct rendered_hash from ai_executions where id in ('${id}', '${again.body.id}')`,
      );
      expect(hashes).toHaveLength(1);
      expect(JSON.stringify(provider.requests.at(-1)?.body)).toBe(sent);
    },
  );

  it('as variables of the Responses API are what they are anywhere', async () => {
    const given = { photo: { type: 'input_image', image_url: 'https://a.example/b.png', detail: 'auto' } };
    const body = { prompt: { id: 'two', variables: given } };
    expect((await gateway.call('POST', '/v1/responses', { body })).status).toBe(200);
    expect(JSON.stringify(provider.requests.at(-1)?.body)).toContain('https://a.example/b.png');
  });

  const url = 'http://a.example/b.png';
  it.each<[string, object, string | null]>([
    ['an address without TLS', { variables: { photo: url } }, 'variables.photo'],
    ['a picture that is none', { variables: { photo: 'data:text/html;base64,AAAA' } }, 'variables.photo'],
    [
      'a file of another kind',
      { variables: { photo, report: 'data:image/png;base64,AAAA' } },
      'variables.report',
    ],
    [
      'an address in a turn',
      { variables: { photo }, messages: [{ role: 'user', content: [{ type: 'image', url }] }] },
      'messages[0].content[0]',
    ],
    [
      'a picture of the assistant',
      { variables: { photo }, messages: [{ role: 'assistant', content: [{ type: 'image', ...photo }] }] },
      null,
    ],
  ])('are refused before any provider is called: %s', async (_what, body, path) => {
    const before = provider.requestCount;
    const answer = await gateway.execute('two', body);
    expect([400, 422]).toContain(answer.status);
    if (path) expect(answer.body.error.issues[0].path).toBe(path);
    expect(provider.requestCount).toBe(before);
    const row = (await gateway.call('GET', `/v1/executions/${answer.body.error.execution_id}`)).body;
    expect(row.status).toBe('refused');
  });

  it('that a wire cannot carry are refused with what it is, and recorded', async () => {
    const word = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';
    const before = provider.requestCount;
    const answer = await gateway.execute('two', {
      variables: { photo, report: { mime_type: word, data: pdf } },
    });
    expect([answer.status, answer.body.error.code]).toEqual([422, 'provider_rejected']);
    expect(answer.body.error.message).toContain('anthropic wire cannot carry a file of the type');
    expect(provider.requestCount).toBe(before);
    const row = (await gateway.call('GET', `/v1/executions/${answer.body.error.execution_id}`)).body;
    expect(row).toMatchObject({ error: { code: 'provider_rejected' }, attempts: 0 });
  });
});
