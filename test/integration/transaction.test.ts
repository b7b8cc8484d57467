import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/store/connection.ts';
import { inTransaction } from '../../src/store/transaction.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';

describe.each(databases)('a transaction on $name', ({ name, create }) => {
  let database: TestDatabase;
  let proxy: FaultProxy;
  let sql: postgres.Sql;

  beforeAll(async () => {
    database = await create();
    proxy = await startFaultProxy(Number(new URL(database.url).port));
    sql = postgres(database.url, { max: 1, onnotice: () => {} });
    await sql`create table written (what text)`;
  });
  afterAll(async () => {
    await sql?.end();
    await proxy?.close();
    await database?.drop();
  });

  const written = async () => (await sql`select what from written`).map(({ what }) => what);
  const write = (tx: postgres.TransactionSql, what: string) =>
    tx.unsafe('insert into written values ($1)', [what]);

  it('commits what was done, and gives what it gave', async () => {
    const given = await inTransaction(sql, async (tx) => {
      await write(tx, 'kept');
      return ['given'];
    });
    expect(given).toEqual(['given']);
    expect(await written()).toEqual(['kept']);
    await sql`delete from written`;
  });

  it('leaves nothing of what ended in an error, be it of a statement or not', async () => {
    const broken = inTransaction(sql, async (tx) => {
      await write(tx, 'undone');
      throw new Error('changed my mind');
    });
    await expect(broken).rejects.toThrow('changed my mind');
    const refused = inTransaction(sql, async (tx) => {
      await write(tx, 'undone');
      await tx.unsafe('select 1 / 0');
    });
    await expect(refused).rejects.toMatchObject({ code: '22012' });
    expect(await written()).toEqual([]);
  });

  it('is what its mode says', async () => {
    const reading = inTransaction(sql, (tx) => write(tx, 'undone'), 'read only');
    await expect(reading).rejects.toMatchObject({ code: '25006' });
  });

  // The embedded database has no connection that could be lost.
  describe.runIf(name === 'PostgreSQL')('whose connection is lost', () => {
    const ways: Record<string, (pid: number) => Promise<unknown>> = {
      'by the server': (pid) => sql`select pg_terminate_backend(${pid}, 5000)`,
      'on the way': async () => proxy.reset(),
    };

    it.each(Object.entries(ways))('%s in a statement rejects; the next one is a new one', async (_, lose) => {
      const mine = connect(proxy.through(database.url), { max: 1 });
      const [{ pid }] = (await mine`select pg_backend_pid() as pid`) as unknown as [{ pid: number }];
      const transaction = inTransaction(mine, async (tx) => {
        await write(tx, 'undone');
        await tx.unsafe('select pg_sleep(60)');
      });
      const isAsleep = async () =>
        (await sql`select from pg_stat_activity where pid = ${pid} and wait_event = 'PgSleep'`).length;
      await expect.poll(isAsleep, { timeout: 20_000 }).toBe(1);
      const lost = expect(transaction).rejects.toBeInstanceOf(Error);
      await lose(pid);
      await lost;
      // The client tells a statement of the new connection, once, how the old one ended.
      const next = () => inTransaction(mine, (tx) => write(tx, 'kept')).then(() => 'done', String);
      await expect.poll(next).toBe('done');
      expect(await written()).toEqual(['kept']);
      await sql`delete from written`;
      await mine.end();
    });

    const outcomes: Record<string, (writing: Promise<unknown>) => Promise<unknown>> = {
      'be it heard': (writing) => writing,
      'be it not': (writing) => writing.catch(() => 'never mind'),
    };
    const lost = Object.entries(ways).flatMap(([way, lose]) =>
      Object.entries(outcomes).map(([heard, hear]) => ({ way, lose, heard, hear })),
    );

    it.each(lost)('$way between two statements sends none any more, $heard', async ({ lose, hear }) => {
      const mine = connect(proxy.through(database.url), { max: 1 });
      const reconnected = Promise.withResolvers<void>();
      const last = Promise.withResolvers<unknown>();
      const transaction = inTransaction(mine, async (tx) => {
        await write(tx, 'undone');
        const [row] = await tx.unsafe('select pg_backend_pid() as pid');
        await lose(row?.pid);
        await reconnected.promise;
        const writing = (async () => write(tx, 'outside'))();
        writing.then(last.resolve, last.resolve);
        await hear(writing);
      });
      await expect(transaction).rejects.toBeInstanceOf(Error);
      // The very connection that the transaction had, opened again; what is sent now is somebody else's transaction.
      await mine`begin`;
      reconnected.resolve();
      expect(await last.promise).toBeInstanceOf(Error);
      expect(await mine`select now() = statement_timestamp() as is_first`).toEqual([{ is_first: false }]);
      await mine`rollback`;
      expect(await written()).toEqual([]);
      await mine.end();
    });
  });
});
