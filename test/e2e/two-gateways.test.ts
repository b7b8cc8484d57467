import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databases, type TestDatabase } from '../support/databases.ts';
import { definition, startGateway, type TestGateway } from '../support/gateway.ts';

const files = {
  'greet/1.prompt': definition('greet', 1, 'gpt-4o-mini', 'Greet {{name}}.'),
  'greet/2.prompt': definition('greet', 2, 'gpt-4o-mini', 'Greet {{name}} warmly.'),
};

describe.each(databases)('two gateways on one database, on $name', ({ create }) => {
  let database: TestDatabase;
  let first: TestGateway;
  let second: TestGateway;

  beforeAll(async () => {
    database = await create();
    first = await startGateway(database, { files });
    second = await startGateway(database, { files: {} });
  });
  afterAll(async () => {
    await first?.close();
    await second?.close();
    await database?.drop();
  });

  const versionAt = async (gateway: TestGateway) =>
    (await gateway.execute('greet', { variables: { name: 'Ada' } }, { key: gateway.keys.admin })).body
      .version;

  it('obeys a label moved through the other within a second', async () => {
    expect(await versionAt(second)).toBe(2);
    for (const version of [1, 2, 1, 2]) {
      const moved = await first.call('PUT', '/v1/prompts/greet/labels/production', {
        key: first.keys.admin,
        body: { version, reason: 'test' },
      });
      expect(moved.body).toMatchObject({ moved: true, deployment: { to_version: version, kind: 'deploy' } });
      expect(await versionAt(first)).toBe(version);
      await expect.poll(() => versionAt(second), { timeout: 1_000, interval: 20 }).toBe(version);
    }
  });

  it('refuses a move from a version that the label no longer holds', async () => {
    const held = await versionAt(first);
    const answer = await second.call('PUT', '/v1/prompts/greet/labels/production', {
      key: second.keys.admin,
      body: { version: held, expected_version: held === 1 ? 2 : 1 },
    });
    expect([answer.status, answer.body.error.code]).toEqual([409, 'conflict']);
    expect(await versionAt(first)).toBe(held);
  });

  it('stops a key revoked through the other within a second', async () => {
    const status = async () =>
      (await second.execute('greet', { variables: { name: 'x' } }, { key: first.keys.execute })).status;
    await expect.poll(status).toBe(200);
    const { body } = await first.call('GET', '/v1/keys', { key: first.keys.admin });
    const id = body.data.find((key: { prefix: string }) => first.keys.execute.startsWith(key.prefix)).id;
    await first.call('DELETE', `/v1/keys/${id}`, { key: first.keys.admin });
    await expect.poll(status, { timeout: 1_000, interval: 20 }).toBe(401);
  });
});
