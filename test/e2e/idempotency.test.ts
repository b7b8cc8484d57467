import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databases, type TestDatabase } from '../support/databases.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

describe.each(databases)('Idempotency-Key on $name', ({ create }) => {
  let database: TestDatabase;
  let gateway: TestGateway;
  let next = 0;

  beforeAll(async () => {
    database = await create();
    gateway = await startGateway(database, { environment: { PROMPTGATE_IDLE_TIMEOUT_MS: '400' } });
  });
  afterAll(async () => {
    await gateway.close();
    await database.drop();
  });

  const newKey = () => `key-${next++}`;
  const body = { variables: { name: 'Ada' } };
  const execute = (idempotencyKey: string, sent: object = body, key?: string) =>
    gateway.execute('greet', sent, {
      headers: { 'idempotency-key': idempotencyKey },
      ...(key ? { key } : {}),
    });
  const rowsOf = (key: string) =>
    gateway.query(`select * from ai_executions where idempotency_key = '${key}' order by id`);

  it('answers the stored result to the same request, without a second provider call or row', async () => {
    const key = newKey();
    const first = await execute(key);
    const before = await gateway.providerRequests();
    // The order of the members is no difference.
    const again = await execute(key, { metadata: undefined, variables: { name: 'Ada' } });
    expect([again.status, again.body]).toEqual([200, first.body]);
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await gateway.providerRequests()).toBe(before);
    expect(await rowsOf(key)).toHaveLength(1);
  });

  it.each<[string, object]>([
    ['other variables', { variables: { name: 'Bob' } }],
    ['another version', { ...body, version: 1 }],
    ['metadata', { ...body, metadata: { a: 1 } }],
  ])('refuses %s under the same key, with a row and without a call', async (_what, other) => {
    const key = newKey();
    await execute(key);
    const before = await gateway.providerRequests();
    const refused = await execute(key, other);
    expect([refused.status, refused.body.error.code]).toEqual([409, 'conflict']);
    expect(await gateway.providerRequests()).toBe(before);
    expect((await rowsOf(key)).map((row) => row.status)).toEqual(['succeeded', 'refused']);
  });

  it('makes one provider call of a hundred at once; the others are told to come back', async () => {
    const key = newKey();
    const before = await gateway.providerRequests();
    await gateway.fault({ kind: 'slow', delayMs: 300 });
    const answers = await Promise.all(Array.from({ length: 100 }, () => execute(key)));
    await gateway.fault(null);
    expect(await gateway.providerRequests()).toBe(before + 1);
    const ids = new Set(answers.filter(({ status }) => status === 200).map((one) => one.body.id));
    expect(ids.size).toBe(1);
    for (const answer of answers.filter(({ status }) => status !== 200)) {
      expect(answer.status).toBe(409);
      expect(answer.headers.get('retry-after')).toBe('1');
    }
    expect((await execute(key)).body.id).toBe([...ids][0]);
    expect(await gateway.query('select * from ai_execution_intents')).toEqual([]);
  });

  it('answers a stream with the stored result whole, and the other way round, with one provider call', async () => {
    const key = newKey();
    const before = await gateway.providerRequests();
    const stream = await execute(key, { ...body, stream: true });
    const [whole, again] = [await execute(key), await execute(key, { ...body, stream: true })];
    expect(await gateway.providerRequests()).toBe(before + 1);
    expect(await rowsOf(key)).toHaveLength(1);
    const done = (answer: typeof stream) =>
      JSON.parse(/event: done\ndata: (.*)\n/.exec(answer.body)?.[1] ?? '');
    expect(whole.body).toEqual(done(stream));
    expect(done(again)).toEqual(done(stream));
    const pieces = [...again.body.matchAll(/event: delta\ndata: (.*)\n/g)].map(([, data]) =>
      JSON.parse(data),
    );
    expect(pieces).toEqual([{ type: 'text', text: whole.body.output }]);
    for (const { status, headers } of [whole, again]) {
      expect([status, headers.get('idempotent-replayed')]).toEqual([200, 'true']);
      expect(headers.get('x-promptgate-execution-id')).toBe(whole.body.id);
    }
  });

  it('refuses a stream while the first one is open, and gives back the error that it ended with, as a response', async () => {
    const key = newKey();
    const before = await gateway.providerRequests();
    await gateway.fault({ kind: 'stream_stall', after: 4 });
    const first = execute(key, { ...body, stream: true });
    await expect.poll(() => gateway.providerRequests()).toBe(before + 1);
    const second = await execute(key, { ...body, stream: true });
    expect([second.status, second.headers.get('retry-after')]).toEqual([409, '1']);
    expect((await first).body).toContain('event: error');
    await gateway.fault(null);
    const again = await execute(key, { ...body, stream: true });
    expect([again.status, again.body.error.code]).toEqual([504, 'provider_timeout']);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await gateway.providerRequests()).toBe(before + 1);
  });

  it('belongs to the API key: another caller with the same text is executed', async () => {
    const key = newKey();
    const [mine, yours] = [await execute(key), await execute(key, body, gateway.keys.admin)];
    expect(yours.headers.get('idempotent-replayed')).toBeNull();
    expect(yours.body.id).not.toBe(mine.body.id);
  });

  it('gives back the error that the first request ended with', async () => {
    const key = newKey();
    await gateway.fault({ kind: 'rejected', times: 1 });
    const failed = await execute(key);
    await gateway.fault(null);
    expect(failed.status).toBeGreaterThanOrEqual(400);
    const again = await execute(key);
    expect([again.status, again.body.error.code, again.body.error.execution_id]).toEqual([
      failed.status,
      failed.body.error.code,
      failed.body.error.execution_id,
    ]);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
  });

  it('is not used up by a request that was refused before it was admitted', async () => {
    const key = newKey();
    expect((await execute(key, { variables: { nam: 'Ada' } })).status).toBe(422);
    expect((await execute(key)).status).toBe(200);
  });

  it('tells that the outcome is unknown, and does not execute again', async () => {
    const key = newKey();
    const { body: first } = await execute(newKey());
    const [row] = await gateway.query(`select * from idempotency_keys where execution_id = '${first.id}'`);
    await gateway.query(
      `insert into ai_executions select (json_populate_record(e, json_build_object('id', gen_random_uuid(), 'status', 'unknown', 'idempotency_key', '${key}'))).* from ai_executions e where id = '${first.id}'`,
    );
    await gateway.query(
      `insert into idempotency_keys select '${row.scope}', '${key}', '${row.fingerprint}', id from ai_executions where idempotency_key = '${key}'`,
    );
    const before = await gateway.providerRequests();
    const told = await execute(key);
    expect([told.status, told.body.error.message]).toEqual([409, expect.stringContaining('new key')]);
    expect(await gateway.providerRequests()).toBe(before);
  });

  it.each(['', 'a b', '\u00fc', 'x'.repeat(256)])(
    'is refused when it cannot be kept as it is: %j',
    async (key) => {
      expect((await execute(key)).status).toBe(400);
    },
  );
});
