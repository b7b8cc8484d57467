/** What becomes of statements whose connection is lost. On PostgreSQL: the embedded database has none that could be. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { setImmediate as endOfTurn } from 'node:timers/promises';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPool } from '../../src/store/connection.ts';
import { createDialer } from '../../src/store/database-socket.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';

describe('a pool whose connections are lost', () => {
  let database: TestDatabase;
  let proxy: FaultProxy;
  let admin: postgres.Sql;

  beforeAll(async () => {
    database = await databases[0]!.create();
    proxy = await startFaultProxy(Number(new URL(database.url).port));
    admin = postgres(database.url, { max: 1, onnotice: () => {} });
  });
  afterAll(async () => {
    await admin?.end();
    await proxy?.close();
    await database?.drop();
  });

  const connections = 10;
  const openAll = async (pool: ReturnType<typeof createPool>) => {
    const asleep = Array.from({ length: connections }, () => pool.sql.unsafe('select pg_sleep(0.05)'));
    await Promise.all(asleep);
  };

  it('answers or refuses each statement, whenever in those moments it comes', async () => {
    const pool = createPool(proxy.through(database.url), { max: connections });
    for (let round = 0; round < 5; round++) {
      await openAll(pool);
      proxy.reset();
      const fates: Promise<string>[] = [];
      for (let count = 0; count < 200; count++) {
        const asked = pool.sql.unsafe('select $1::int', [count], { prepare: true });
        fates.push(
          asked.then(
            () => 'answered',
            () => 'refused',
          ),
        );
        await endOfTurn();
      }
      const ended = await Promise.all(fates);
      expect(ended.filter((fate) => fate === 'answered').length).toBeGreaterThan(0);
    }
    await pool.end();
  });

  it('tells the next statements nothing of how the last ones ended', async () => {
    const pool = createPool(proxy.through(database.url), { max: 1 });
    const [row] = await pool.sql.unsafe('select pg_backend_pid() as pid');
    const asked = pool.sql.unsafe('select pg_sleep(60)').catch(() => 'refused');
    const isAsleep = async () =>
      (await admin`select from pg_stat_activity where pid = ${row?.pid} and wait_event = 'PgSleep'`).length;
    await expect.poll(isAsleep, { timeout: 20_000 }).toBe(1);
    await admin`select pg_terminate_backend(${row?.pid}, 5000)`;
    expect(await asked).toBe('refused');
    expect(await pool.sql.unsafe('select 1 as one')).toMatchObject([{ one: 1 }]);
    await pool.end();
  });

  it('lets statements on other connections end', async () => {
    const pool = createPool(proxy.through(database.url), { max: 2 });
    const slow = pool.sql.unsafe(`select pg_sleep(1), 'ended' as how`).execute();
    const [row] = await pool.sql.unsafe('select pg_backend_pid() as pid');
    await admin`select pg_terminate_backend(${row?.pid}, 5000)`;
    expect(await slow).toMatchObject([{ how: 'ended' }]);
    await pool.end();
  });
});

describe('a connection to a database', () => {
  let server: Server;
  beforeAll(async () => {
    server = createServer((socket) => socket.resetAndDestroy()).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => void server.close());

  it('ends once: nothing runs between its error and its end', async () => {
    const { port } = server.address() as AddressInfo;
    const socket = createDialer()({ host: ['127.0.0.1'], port: [port] });
    let between = 0;
    socket.on('error', () => queueMicrotask(() => between++));
    const [hadError, ranBetween] = await new Promise<[boolean, number]>((resolve) =>
      socket.once('close', (error) => resolve([error, between])),
    );
    expect({ hadError, ranBetween }).toEqual({ hadError: true, ranBetween: 0 });
    expect(between).toBe(1);
  });

  it('is tried at each of several hosts in turn', () => {
    const dial = createDialer();
    const addresses = { host: ['127.0.0.1', '127.0.0.2'], port: [1, 2] };
    const dialled = [1, 2, 3].map(() => dial(addresses) as ReturnType<typeof dial> & { host: string });
    for (const socket of dialled) socket.on('error', () => {});
    expect(dialled.map(({ host }) => host)).toEqual(['127.0.0.1', '127.0.0.2', '127.0.0.1']);
  });
});
