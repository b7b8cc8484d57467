/** What becomes of statements whose connection is lost. On PostgreSQL: the embedded database has none that could be. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { setImmediate as endOfTurn } from 'node:timers/promises';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPool, withDeadline } from '../../src/store/connection.ts';
import { createDialer } from '../../src/store/database-socket.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';

describe('a pool of connections', () => {
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

  const others = async () => {
    const rows = await admin`select pid from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() order by pid`;
    return rows.map(({ pid }): number => pid);
  };

  const isAsleep = async (pid: number) =>
    (await admin`select from pg_stat_activity where pid = ${pid} and wait_event = 'PgSleep'`).length;
  /** Ends the backend of a pool's statement while that runs. */
  const loseAsleep = async (pool: ReturnType<typeof createPool>, meanwhile = () => {}) => {
    const [row] = await pool.sql.unsafe('select pg_backend_pid() as pid');
    const asleep = fateOf(pool.sql.unsafe('select pg_sleep(60)'));
    await expect.poll(() => isAsleep(row?.pid), { timeout: 20_000 }).toBe(1);
    meanwhile();
    await admin`select pg_terminate_backend(${row?.pid}, 5000)`;
    expect(await asleep).not.toBe('answered');
  };

  it('answers or refuses each statement, whenever in those moments it comes', async () => {
    const pool = createPool(proxy.through(database.url), { max: connections });
    for (let round = 0; round < 5; round++) {
      await openAll(pool);
      proxy.reset();
      const fates: Promise<string>[] = [];
      for (let count = 0; count < 200; count++) {
        fates.push(fateOf(pool.sql.unsafe('select $1::int', [count], { prepare: true })));
        await endOfTurn();
      }
      const ended = await withDeadline(Promise.all(fates), 5_000);
      expect(ended.filter((fate) => fate === 'answered').length).toBeGreaterThan(0);
    }
    await pool.end();
  });

  it('tells the next statements nothing of how the last ones ended', async () => {
    const pool = createPool(proxy.through(database.url), { max: 1 });
    await loseAsleep(pool);
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

  it('keeps the connections that it has when one more is refused', async () => {
    const pool = createPool(database.url, { max: 3 });
    const ask = (many: number) =>
      Promise.all(Array.from({ length: many }, () => fateOf(pool.sql.unsafe('select pg_sleep(0.05)'))));
    const limit = (connections: number) =>
      admin.unsafe(
        `alter database ${new URL(database.url).pathname.slice(1)} connection limit ${connections}`,
      );
    expect(await ask(2)).toEqual(['answered', 'answered']);
    const had = await others();
    await limit(0);
    const answers = await ask(3);
    await limit(-1);
    expect(answers).toEqual(['answered', 'answered', '53300']);
    const [row] = await pool.sql.unsafe('select pg_backend_pid() as pid');
    expect(had).toContain(row?.pid);
    await pool.end();
  });

  it('whose connection was lost serves what had waited for it, and leaves none open', async () => {
    const pool = createPool(database.url, { max: 1 });
    let waiting: Promise<string>[] = [];
    await loseAsleep(pool, () => {
      waiting = [1, 2, 3, 4].map((one) => fateOf(pool.sql.unsafe('select $1::int', [one])));
    });
    await withDeadline(Promise.all(waiting), 10_000);
    await pool.sql.unsafe('select 1');
    await pool.end();
    await expect.poll(others, { timeout: 20_000 }).toEqual([]);
  });

  it('that was ended opens no connection any more', async () => {
    const pool = createPool(database.url, { max: 1 });
    await pool.sql.unsafe('select 1');
    await pool.end();
    pool.renew?.();
    await expect(pool.sql.unsafe('select 1').execute()).rejects.toMatchObject({ code: 'CONNECTION_ENDED' });
    await expect.poll(others, { timeout: 20_000 }).toEqual([]);
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

/** What becomes of a statement: `answered`, or the code of its error. */
function fateOf(statement: Promise<unknown>): Promise<string> {
  return statement.then(
    () => 'answered',
    ({ code }) => String(code),
  );
}
