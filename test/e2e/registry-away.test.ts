/** A gateway between which and its PostgreSQL the line is cut, or swallows everything; others go on writing meanwhile. */
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { databases, type TestDatabase } from '../support/databases.ts';
import { definition, startGateway, type TestGateway } from '../support/gateway.ts';

interface Line {
  readonly url: string;
  /** `cut` resets and refuses; `swallow` takes everything and never answers, also on connections opened before. */
  break(how: 'cut' | 'swallow'): void;
  /** New connections work; those that were swallowed stay silent, as after a lost route. */
  mend(): void;
  close(): void;
}

async function startLine(databaseUrl: string): Promise<Line> {
  const url = new URL(databaseUrl);
  const target = { host: url.hostname, port: Number(url.port) };
  const sockets = new Set<Socket>();
  let broken: 'cut' | 'swallow' | undefined;
  const server = createServer((client) => {
    sockets.add(client.on('error', () => {}).on('close', () => sockets.delete(client)));
    if (broken === 'cut') return void client.resetAndDestroy();
    if (broken === 'swallow') return void client.resume();
    const upstream = connect(target);
    sockets.add(upstream.on('error', () => {}).on('close', () => client.destroy()));
    client
      .on('close', () => upstream.destroy())
      .pipe(upstream)
      .pipe(client);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    break(how) {
      broken = how;
      for (const socket of sockets) {
        if (how === 'cut') socket.resetAndDestroy();
        else socket.unpipe().resume();
      }
    },
    mend() {
      broken = undefined;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

const files = {
  'greet/1.prompt': definition('greet', 1, 'gpt-4o-mini', 'Greet {{name}}.'),
  'greet/2.prompt': definition('greet', 2, 'gpt-4o-mini', 'Greet {{name}} warmly.'),
};

describe.each(['cut', 'swallow'] as const)('a gateway whose line to the database is %s', (how) => {
  let database: TestDatabase;
  let line: Line;
  let gateway: TestGateway;
  let elsewhere: TestGateway;

  beforeEach(async () => {
    database = await databases[0]!.create();
    line = await startLine(database.url);
    elsewhere = await startGateway(database, { files });
    gateway = await startGateway(
      { ...database, url: line.url },
      {
        files: {},
        environment: {
          ...{ PROMPTGATE_AUDIT_MODE: 'spool', PROMPTGATE_AUDIT_TIMEOUT_MS: '500' },
          PROMPTGATE_DATA_DIR: await mkdtemp(join(tmpdir(), 'promptgate-data-')),
        },
      },
    );
  });
  afterEach(async () => {
    line.mend();
    await gateway.close();
    await elsewhere.close();
    line.close();
    await database.drop();
  });

  const readiness = async () => (await gateway.call('GET', '/readyz')).body;
  const snapshotAge = async () => {
    const { body } = await gateway.call('GET', '/metrics');
    return Number(/^promptgate_registry_snapshot_age_seconds (\S+)$/m.exec(body)?.[1]);
  };
  const versionHere = async () => {
    const { status, body } = await gateway.execute('greet', { variables: { name: 'Ada' } });
    expect(status).toBe(200);
    return body.version;
  };

  it('goes on resolving from its last snapshot, says so, and is current again when the line is back', async () => {
    expect(await versionHere()).toBe(2);
    expect(await readiness()).toMatchObject({ status: 'ready', registry: { stale: false } });
    line.break(how);
    const moved = await elsewhere.call('PUT', '/v1/prompts/greet/labels/production', {
      key: elsewhere.keys.admin,
      body: { version: 1 },
    });
    expect(moved.body.moved).toBe(true);
    await expect
      .poll(readiness, { timeout: 10_000 })
      .toMatchObject({ database: { reachable: false }, registry: { stale: true } });
    await expect.poll(snapshotAge, { timeout: 5_000 }).toBeGreaterThan(1);
    expect(await versionHere()).toBe(2);
    expect((await readiness()).registry.age_ms).toBeGreaterThan(1_000);
    line.mend();
    await expect.poll(versionHere, { timeout: 10_000 }).toBe(1);
    await expect
      .poll(readiness, { timeout: 10_000 })
      .toMatchObject({ status: 'ready', registry: { stale: false } });
    expect(await snapshotAge()).toBeLessThan(1);
  });
});
