import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/domain/canonical-json.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { definition, startGateway, type TestGateway } from '../support/gateway.ts';

/** The simulated provider fills strings with "simulated". */
const files = {
  'fits.prompt': definition('fits', 1, 'gpt-4o-mini', '{{name}}', 'output: { schema: { mood: string } }\n'),
  'misfits.prompt': definition(
    'misfits',
    1,
    'claude-haiku-4-5',
    '{{name}}',
    'output:\n  schema:\n    type: object\n    properties: { mood: { type: string, pattern: "^good" } }\n    required: [mood]\n    additionalProperties: false\n',
  ),
  'cut.prompt': definition(
    'cut',
    1,
    'gpt-4o-mini',
    '{{name}}',
    'config: { maxOutputTokens: 2 }\noutput: { schema: { mood: string } }\n',
  ),
};

describe.each(databases)('an output with a schema, on $name', ({ create }) => {
  let database: TestDatabase;
  let gateway: TestGateway;

  beforeAll(async () => {
    database = await create();
    gateway = await startGateway(database, { files });
  });
  afterAll(async () => {
    await gateway?.close();
    await database?.drop();
  });

  const call = (name: string, stream = false) =>
    gateway.execute(name, { variables: { name: 'Ada' }, stream });

  it('that fits is the answer', async () => {
    const answer = await call('fits');
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body.output)).toEqual({ mood: 'simulated' });
  });

  it.each([
    ['misfits', 'stop', /output\.mood/],
    ['cut', 'length', /limit of output tokens/],
  ])('that does not fit (%s) is a failure whose row keeps what was bought', async (name, finish, message) => {
    const before = await gateway.providerRequests();
    const answer = await call(name);
    expect([answer.status, answer.body.error.code]).toEqual([502, 'invalid_output']);
    expect(answer.body.error.message).toMatch(message);
    expect(answer.body.error.issues[0].path).toMatch(/^output/);
    expect(answer.headers.get('x-should-retry')).toBe('false');
    expect(await gateway.providerRequests()).toBe(before + 1);
    const row = (await gateway.call('GET', `/v1/executions/${answer.body.error.execution_id}`)).body;
    expect(row).toMatchObject({
      status: 'failed',
      error: { code: 'invalid_output' },
      finish_reason: finish,
      response_hash: sha256(row.output),
      attempts: 1,
    });
    expect(row.usage.completion_tokens).toBeGreaterThan(0);
  });

  it('that did not fit is told again with all that was wrong, to a repeated Idempotency-Key', async () => {
    const again = () =>
      gateway.execute('misfits', { variables: { name: 'Ada' } }, { headers: { 'idempotency-key': 'once' } });
    const [first, second] = [await again(), await again()];
    expect(second.headers.get('idempotent-replayed')).toBe('true');
    expect(second.body.error).toEqual({ ...first.body.error, request_id: expect.any(String) });
    expect(second.body.error.issues).toHaveLength(1);
  });

  it('that does not fit ends a stream with an error, after its pieces', async () => {
    const answer = await call('misfits', true);
    expect(answer.status).toBe(200);
    const events = (answer.body as string).match(/^event: \w+/gm) ?? [];
    expect([events[0], events[1], events.at(-1)]).toEqual([
      'event: execution',
      'event: delta',
      'event: error',
    ]);
    expect(answer.body).toContain('"code":"invalid_output"');
    expect(answer.body).not.toContain('event: done');
  });
});
