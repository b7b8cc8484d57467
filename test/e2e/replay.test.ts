import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databases, type TestDatabase } from '../support/databases.ts';
import { type Answer, definition, definitions, startGateway, type TestGateway } from '../support/gateway.ts';

const greet = (version: number, body: string) => definition('greet', version, 'gpt-4o-mini', body);

describe.each(databases)('replaying an execution, on $name', ({ create }) => {
  let database: TestDatabase;
  let gateway: TestGateway;
  let original: string;

  const idOf = ({ headers }: Answer) => headers.get('x-promptgate-execution-id') ?? '';
  const replay = (id: string, body: object = {}, key = gateway.keys.admin) =>
    gateway.call('POST', `/v1/executions/${id}/replays`, { body, key });
  const countRows = async () => Number((await gateway.query('select count(*) as n from ai_executions'))[0].n);

  beforeAll(async () => {
    database = await create();
    const second = greet(2, 'Say hello to {{name}} in French.');
    gateway = await startGateway(database, { files: { ...definitions, 'greet/2.prompt': second } });
    const body = { variables: { name: 'Ada' }, version: 1, metadata: { tenant: 'acme' } };
    original = idOf(await gateway.execute('greet', body, { key: gateway.keys.admin }));
  });

  afterAll(async () => {
    await gateway.close();
    await database.drop();
  });

  it('runs the same again as an execution of its own, which points at the original', async () => {
    const { status, body } = await replay(original);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      departures: [],
      reproduced: true,
      comparison: { equal: true, segments: null },
    });
    const { body: row } = await gateway.call('GET', `/v1/executions/${body.execution.id}`, {
      key: gateway.keys.admin,
    });
    expect(row).toMatchObject({
      replay_of: original,
      purpose: 'replay',
      version: 1,
      input: { variables: { name: 'Ada' } },
      metadata: { tenant: 'acme' },
      rendered_hash: body.rendered_hash,
    });
  });

  it('proves in a dry run that the row makes the messages that were sent, and calls nobody', async () => {
    const before = { rows: await countRows(), requests: await gateway.providerRequests() };
    const { body } = await replay(original, { dry_run: true });
    expect(body).toMatchObject({ reproduced: true, execution: null, comparison: null });
    expect(body.messages.at(-1).content).toContain('Ada');
    expect({ rows: await countRows(), requests: await gateway.providerRequests() }).toEqual(before);
  });

  it('shows another version, model and parameter against the original, and says what departs', async () => {
    const { body } = await replay(original, { version: 2, model: 'gpt-4o', parameters: { temperature: 0 } });
    expect(body.departures.map(({ part }: { part: string }) => part)).toEqual([
      'prompt',
      'messages',
      'model',
      'parameters',
    ]);
    expect(body.execution).toMatchObject({ version: 2, model: 'gpt-4o', purpose: 'replay' });
    expect(body.comparison.equal).toBe(false);
    const texts = body.comparison.segments as { kind: string; text: string }[];
    const side = (kind: string) => texts.filter((one) => one.kind === 'same' || one.kind === kind);
    expect(
      side('added')
        .map(({ text }) => text)
        .join(''),
    ).toBe(body.execution.output);
    expect(
      side('removed')
        .map(({ text }) => text)
        .join(''),
    ).toBe(body.original.output);
    expect(body.comparison.changes).toContainEqual({ name: 'model', before: 'gpt-4o-mini', after: 'gpt-4o' });
  });

  it('runs a definition that is no version, and that replay can be replayed from its own row', async () => {
    const source = greet(9, 'Only greet {{name}}.');
    const { body } = await replay(original, { definition: { source } });
    expect(body.execution).toMatchObject({ version: null, status: 'succeeded' });
    const again = await replay(body.execution.id, { dry_run: true });
    expect(again.body).toMatchObject({ reproduced: true, departures: [] });
  });

  it('makes a failure of the call part of the answer', async () => {
    await gateway.fault({ kind: 'rejected' });
    const { status, body } = await replay(original);
    await gateway.fault(null);
    expect(status).toBe(200);
    expect(body.execution).toMatchObject({ status: 'failed', error: { code: 'provider_rejected' } });
    expect(body.comparison).toMatchObject({ equal: null, segments: null });
  });

  it.each([
    ['an unknown id', '01890000-0000-7000-8000-000000000000', {}, 404, 'not_found'],
    ['two targets', null, { version: 1, label: 'production' }, 400, 'invalid_request'],
    ['a version that there is not', null, { version: 77 }, 404, 'not_found'],
    ['a definition with errors', null, { definition: { source: 'nonsense' } }, 400, 'invalid_request'],
    [
      'a definition of another prompt',
      null,
      { definition: { source: definitions['lost.prompt'] } },
      400,
      'invalid_request',
    ],
    ['a parameter that there is not', null, { parameters: { temperature: 9 } }, 400, 'invalid_request'],
  ])('refuses %s', async (_what, id, body, status, code) => {
    const answer = await replay(id ?? original, body);
    expect(answer).toMatchObject({ status, body: { error: { code } } });
  });

  it('needs the scope `publish`', async () => {
    expect((await replay(original, {}, gateway.keys.execute)).body.error.code).toBe('forbidden');
  });

  it('says of a call that was refused before it was rendered that nothing was sent then', async () => {
    const refused = idOf(await gateway.execute('greet', { variables: {} }, { key: gateway.keys.admin }));
    const answer = await replay(refused, { version: 1 });
    expect(answer.body.error.code).toBe('invalid_variables');
  });
});
