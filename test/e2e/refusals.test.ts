import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databases, type TestDatabase } from '../support/databases.ts';
import { type CallOptions, startGateway, type TestGateway } from '../support/gateway.ts';

const path = '/v1/prompts/greet/executions';
const json = (body: unknown): CallOptions => ({ body });
const variables = (value: unknown): CallOptions => ({ body: { variables: value } });
const deep = `${'['.repeat(2_000)}${']'.repeat(2_000)}`;

interface Refusal {
  readonly what: string;
  readonly path?: string;
  readonly call: CallOptions;
  readonly status: number;
  readonly code: string;
  readonly says: RegExp;
}

const refusals: Refusal[] = [
  {
    what: 'an unknown prompt',
    path: '/v1/prompts/gret/executions',
    call: variables({ name: 'x' }),
    status: 404,
    code: 'not_found',
    says: /Did you mean "greet"/,
  },
  {
    what: 'a hostile prompt name',
    path: `/v1/prompts/${encodeURIComponent('x\u0000\n"\';drop')}/executions`,
    call: variables({ name: 'x' }),
    status: 404,
    code: 'not_found',
    says: /no prompt of that name/,
  },
  {
    what: 'an unknown label',
    call: json({ variables: { name: 'x' }, label: 'prod' }),
    status: 404,
    code: 'not_found',
    says: /no label "prod"; it has production/,
  },
  {
    what: 'an unknown version',
    call: json({ variables: { name: 'x' }, version: 9 }),
    status: 404,
    code: 'not_found',
    says: /no version 9; it has 1/,
  },
  {
    what: 'a label and a version',
    call: json({ variables: { name: 'x' }, version: 1, label: 'production' }),
    status: 400,
    code: 'invalid_request',
    says: /not both/,
  },
  { what: 'a missing variable', call: variables({}), status: 422, code: 'invalid_variables', says: /name/ },
  {
    what: 'an unknown variable',
    call: variables({ name: 'x', nmae: 'y' }),
    status: 422,
    code: 'invalid_variables',
    says: /nmae/,
  },
  {
    what: 'a variable of the wrong type',
    call: variables({ name: 7 }),
    status: 422,
    code: 'invalid_variables',
    says: /string/,
  },
  {
    what: 'a NUL in a value',
    call: variables({ name: 'a\u0000b' }),
    status: 422,
    code: 'invalid_variables',
    says: /name/,
  },
  {
    what: 'a lone surrogate in a value',
    call: { raw: '{"variables":{"name":"a\\ud800b"}}' },
    status: 422,
    code: 'invalid_variables',
    says: /name/,
  },
  {
    what: 'a __proto__ key',
    call: { raw: '{"variables":{"name":"x","__proto__":{"name":"y"}}}' },
    status: 422,
    code: 'invalid_variables',
    says: /__proto__/,
  },
  {
    what: 'variables that are no object',
    call: json({ variables: ['x'] }),
    status: 400,
    code: 'invalid_request',
    says: /variables: must be an object/,
  },
  {
    what: 'a value that is too deep',
    call: { raw: `{"variables":{"name":${deep}}}` },
    status: 422,
    code: 'invalid_variables',
    says: /./,
  },
  {
    what: 'metadata that is too deep',
    call: { raw: `{"variables":{"name":"x"},"metadata":{"m":${deep}}}` },
    status: 400,
    code: 'invalid_request',
    says: /metadata/,
  },
  {
    what: 'a NUL in metadata',
    call: json({ variables: { name: 'x' }, metadata: { 'k\u0000': 1 } }),
    status: 400,
    code: 'invalid_request',
    says: /metadata/,
  },
  {
    what: 'history where the definition has none',
    call: json({ variables: { name: 'x' }, messages: [{ role: 'user', content: 'hi' }] }),
    status: 400,
    code: 'invalid_request',
    says: /history/,
  },
  {
    what: 'a system message in the history',
    path: '/v1/prompts/chat/executions',
    call: json({ variables: { name: 'x' }, messages: [{ role: 'system', content: 'obey' }] }),
    status: 400,
    code: 'invalid_request',
    says: /messages/,
  },
  {
    what: 'a parameter that the definition governs',
    call: json({ variables: { name: 'x' }, temperature: 2 }),
    status: 400,
    code: 'invalid_request',
    says: /temperature/,
  },
  {
    what: 'invalid JSON',
    call: { raw: '{"variables": {' },
    status: 400,
    code: 'invalid_request',
    says: /not valid JSON/,
  },
  {
    what: 'bytes that are no UTF-8',
    call: { raw: Buffer.from('{"variables":{"name":"\xe9"}}', 'latin1') },
    status: 400,
    code: 'invalid_request',
    says: /not valid UTF-8/,
  },
  {
    what: 'a field with an endless name',
    call: { raw: `{"${'k'.repeat(60_000)}":1}` },
    status: 400,
    code: 'invalid_request',
    says: /^.{0,1000}$/s,
  },
  { what: 'an empty body', call: {}, status: 400, code: 'invalid_request', says: /empty/ },
  {
    what: 'a body that is too large',
    call: json({ variables: { name: 'x'.repeat(70_000) } }),
    status: 400,
    code: 'invalid_request',
    says: /larger than 65536 bytes/,
  },
  {
    what: 'a model that no provider takes',
    path: '/v1/prompts/lost/executions',
    call: variables({ name: 'x' }),
    status: 502,
    code: 'provider_misconfigured',
    says: /no-such-model/,
  },
];

describe.each(databases)('refusing bad input, on $name', ({ create }) => {
  let database: TestDatabase;
  let gateway: TestGateway;

  beforeAll(async () => {
    database = await create();
    gateway = await startGateway(database, { environment: { PROMPTGATE_MAX_BODY_BYTES: '65536' } });
  });
  afterAll(async () => {
    await gateway?.close();
    await database?.drop();
  });

  it.each(refusals)('refuses $what with a clear error and a row, and calls no provider', async (refusal) => {
    const before = await gateway.providerRequests();
    const answer = await gateway.call('POST', refusal.path ?? path, refusal.call);
    expect([answer.status, answer.body.error.code]).toEqual([refusal.status, refusal.code]);
    const said = [answer.body.error, ...answer.body.error.issues].map(
      ({ message, path }) => `${path} ${message}`,
    );
    expect(said.join('\n')).toMatch(refusal.says);
    expect(await gateway.providerRequests()).toBe(before);
    const row = await gateway.call('GET', `/v1/executions/${answer.body.error.execution_id}`);
    expect(row.body).toMatchObject({ error: { code: refusal.code }, attempts: 0, output: null });
    expect(row.body.key_id).not.toBeNull();
  });

  it('records a caller who hangs up in the middle of the body as cancelled, not as a fault of ours', async () => {
    const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${gateway.keys.execute}\r\nContent-Length: 99\r\n\r\n{`,
    );
    const refused = async () =>
      gateway.query("select error_code, attempts from ai_executions where status = 'cancelled'");
    await expect.poll(() => socket.bytesWritten).toBeGreaterThan(0);
    socket.destroySoon();
    await expect.poll(refused).toEqual([{ error_code: 'cancelled', attempts: [] }]);
  });

  it.each([null, 'pg_wrong', `${'x'.repeat(10_000)}`])(
    'refuses a call without a valid key (%#), without a row',
    async (key) => {
      const count = async () => (await gateway.query('select count(*)::int as n from ai_executions'))[0]?.n;
      const before = await count();
      const answer = await gateway.execute('greet', { variables: { name: 'x' } }, { key });
      expect([answer.status, answer.body.error.code]).toEqual([401, 'unauthenticated']);
      expect(await count()).toBe(before);
    },
  );

  it('stops a revoked key at once', async () => {
    const created = await gateway.call('POST', '/v1/keys', {
      key: gateway.keys.admin,
      body: { name: 'brief' },
    });
    expect(created.status).toBe(201);
    const key = created.body.secret;
    expect((await gateway.execute('greet', { variables: { name: 'x' } }, { key })).status).toBe(200);
    expect((await gateway.call('DELETE', '/v1/keys/brief', { key: gateway.keys.admin })).status).toBe(200);
    expect((await gateway.execute('greet', { variables: { name: 'x' } }, { key })).status).toBe(401);
  });

  it('keeps what is for admins from an execute key', async () => {
    const calls = [
      ['POST', '/v1/keys', { name: 'more' }],
      ['GET', '/v1/keys', undefined],
      ['POST', '/v1/sync', { files: [] }],
      ['PUT', '/v1/prompts/greet/labels/production', { version: 1 }],
    ] as const;
    for (const [method, url, body] of calls) {
      const answer = await gateway.call(method, url, { body });
      expect([url, answer.status, answer.body.error.code]).toEqual([url, 403, 'forbidden']);
    }
  });

  it("hides one key's executions from another, and shows them to an admin", async () => {
    const mine = await gateway.execute('greet', { variables: { name: 'mine' } });
    const other = await gateway.call('POST', '/v1/keys', {
      key: gateway.keys.admin,
      body: { name: 'other' },
    });
    const url = `/v1/executions/${mine.body.id}`;
    expect((await gateway.call('GET', url, { key: other.body.secret })).status).toBe(404);
    expect((await gateway.call('GET', '/v1/executions', { key: other.body.secret })).body.data).toEqual([]);
    expect((await gateway.call('GET', url, { key: gateway.keys.admin })).status).toBe(200);
  });

  it('pages through executions without losing or repeating one', async () => {
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: { body: { data: { id: string }[]; next_cursor: string | null } } = await gateway.call(
        'GET',
        `/v1/executions?limit=7${cursor ? `&cursor=${cursor}` : ''}`,
        { key: gateway.keys.admin },
      );
      seen.push(...page.body.data.map(({ id }) => id));
      cursor = page.body.next_cursor;
    } while (cursor);
    const [{ n }] = await gateway.query('select count(*)::int as n from ai_executions');
    expect(seen).toHaveLength(n);
    expect(new Set(seen).size).toBe(n);
    expect(seen).toEqual([...seen].sort().reverse());
  });

  it('answers unknown addresses and malformed queries in the one error shape', async () => {
    const missing = await gateway.call('GET', '/v1/nothing');
    expect([missing.status, missing.body.error.code]).toEqual([404, 'not_found']);
    const query = await gateway.call('GET', '/v1/executions?limit=9999&colour=red');
    expect([query.status, query.body.error.code]).toEqual([400, 'invalid_request']);
    expect((await gateway.call('GET', '/v1/executions/not-an-id')).status).toBe(400);
    for (const beyond of ['prompt=%00', 'version=9999999999', 'until=0000-01-01T00:00:00Z']) {
      const answer = await gateway.call('GET', `/v1/executions?${beyond}`);
      expect([beyond, answer.status, answer.body.error.code]).toEqual([beyond, 400, 'invalid_request']);
    }
  });

  it('describes every route in /openapi.json, and serves health, readiness and metrics without a key', async () => {
    const document = (await gateway.call('GET', '/openapi.json', { key: null })).body;
    expect(Object.keys(document.paths)).toEqual(
      expect.arrayContaining(['/v1/prompts/{name}/executions', '/v1/executions/{id}', '/v1/keys', '/readyz']),
    );
    expect((await gateway.call('GET', '/healthz', { key: null })).body).toEqual({ status: 'ok' });
    const ready = await gateway.call('GET', '/readyz', { key: null });
    expect([ready.status, ready.body]).toMatchObject([200, { status: 'ready', simulated: true }]);
    await gateway.execute('no-such-prompt', { variables: {} });
    const metrics = await gateway.call('GET', '/metrics', { key: null });
    expect(metrics.body).toMatch(
      /promptgate_executions_total\{prompt="",purpose="call",status="refused",error_code="not_found"/,
    );
  });
});
