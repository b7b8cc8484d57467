import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { lockDirectory, readHolder } from '../../src/store/directory-lock.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase } from '../../src/store/embedded-database.ts';
import { openStore } from '../../src/store/store.ts';
import { execution } from '../support/records.ts';

let directory: string;
const newDirectory = async () => join(await mkdtemp(join(tmpdir(), 'promptgate-embedded-')), 'data');

/** As it is after the first opening, which takes seconds; one test below makes it from nothing. */
async function newDatabase(): Promise<string> {
  const copy = await newDirectory();
  await cp(inject('pgliteTemplate'), copy, { recursive: true });
  return copy;
}

describe('the lock of a data directory', () => {
  const holderFile = fileURLToPath(new URL('../support/lock-holder.ts', import.meta.url));
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    directory = await newDirectory();
  });

  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
    }
    await rm(directory, { recursive: true, force: true });
  });

  async function otherProcess(): Promise<{ child: ChildProcess; said: string }> {
    const child = spawn(process.execPath, [holderFile, directory], { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(child);
    const [data] = await once(child.stdout, 'data');
    return { child, said: String(data).trim() };
  }

  it('refuses a second process and names the first: pid, address, since when', async () => {
    const { child, said } = await otherProcess();
    expect(said).toBe('held');
    const since = readHolder(directory)?.since;
    expect(() => lockDirectory(directory)).toThrow(
      `in use by process ${child.pid} at http://127.0.0.1:4100, since ${since}.`,
    );
  });

  it('refuses another process while this one holds it, and the same process twice', async () => {
    const lock = lockDirectory(directory);
    expect((await otherProcess()).said).toContain(`in use by process ${process.pid}, since`);
    expect(() => lockDirectory(directory)).toThrow('is in use by process');
    lock.release();
    expect((await otherProcess()).said).toBe('held');
  });

  it('dies with its process, also under SIGKILL', async () => {
    const { child } = await otherProcess();
    child.kill('SIGKILL');
    await once(child, 'exit');
    lockDirectory(directory).release();
  });

  it('ends when it is released', async () => {
    const { child } = await otherProcess();
    child.stdin?.end();
    await once(child, 'exit');
    lockDirectory(directory).release();
  });

  it('lies in a directory that nobody else can enter', async () => {
    const lock = lockDirectory(directory);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect((await stat(join(directory, 'gateway.json'))).mode & 0o777).toBe(0o600);
    lock.release();
  });
});

describe('the embedded database', () => {
  let embedded: EmbeddedDatabase;

  beforeAll(async () => {
    directory = await newDatabase();
    embedded = await openEmbeddedDatabase({ directory });
  });

  afterAll(async () => {
    await embedded.close();
    await rm(directory, { recursive: true, force: true });
  });

  it('gives every connection its own answers, through errors and transactions of the others', async () => {
    const sql = postgres(embedded.url, { max: 8, onnotice: () => {} });
    const ask = (index: number, tx: postgres.Sql | postgres.TransactionSql) =>
      tx.unsafe('select $1::int as answer', [index], { prepare: index % 2 === 0 });
    const results = await Promise.all(
      Array.from({ length: 1500 }, async (_, index) => {
        if (index % 7 === 0) {
          const broken = sql.unsafe('select 1 / ($1::int - $1::int)', [index]);
          return broken.then(
            () => 'no error',
            (error) => (error.code === '22012' ? index : error.message),
          );
        }
        if (index % 5 > 0) return (await ask(index, sql))[0]?.answer;
        return sql.begin(async (tx) => {
          await tx`select 1`;
          return (await ask(index, tx))[0]?.answer;
        });
      }),
    );
    await sql.end();
    expect(results).toEqual(results.map((_, index) => index));
  });

  it('goes on when a client leaves in the middle of a transaction', async () => {
    const leaving = postgres(embedded.url, { max: 1, onnotice: () => {} });
    const reserved = await leaving.reserve();
    await reserved`begin`;
    await reserved`create table left_behind ()`;
    await leaving.end({ timeout: 0 });
    const sql = postgres(embedded.url, { max: 1 });
    expect(await sql`select to_regclass('left_behind') as place`).toMatchObject([{ place: null }]);
    await sql.end();
  });

  it('asks for its password', async () => {
    const url = new URL(embedded.url);
    url.password = 'guess';
    const sql = postgres(url.href, { max: 1 });
    await expect(sql`select 1`).rejects.toMatchObject({ code: '28P01' });
    await sql.end();
  });

  it('refuses a second opening of the directory', async () => {
    await expect(openEmbeddedDatabase({ directory })).rejects.toMatchObject({ code: 'conflict' });
  });
});

describe('an embedded store', () => {
  it('starts from nothing, and keeps what it was told when it is closed and opened again', async () => {
    const embeddedDir = await newDirectory();
    const written = execution();
    const first = await openStore({ embeddedDir });
    expect(await first.migrate()).not.toHaveLength(0);
    await first.audit.settle([written]);
    await first.close();
    const second = await openStore({ embeddedDir });
    expect(second.kind).toBe('embedded');
    expect(await second.migrate()).toEqual([]);
    expect((await second.audit.findExecution(written.id))?.rawOutput).toBe(written.rawOutput);
    await second.close();
    await rm(embeddedDir, { recursive: true });
  });

  it('that cannot start says so, and lets go of its directory', async () => {
    const embeddedDir = await newDirectory();
    await mkdir(join(embeddedDir, 'pglite'), { recursive: true });
    await writeFile(join(embeddedDir, 'pglite', 'PG_VERSION'), '7.0');
    await expect(openStore({ embeddedDir })).rejects.toMatchObject({ code: 'internal' });
    lockDirectory(embeddedDir).release();
    await rm(embeddedDir, { recursive: true });
  });

  it('hears of changes at once, though it is one session', async () => {
    const embeddedDir = await newDatabase();
    const store = await openStore({ embeddedDir });
    await store.migrate();
    const heard = vi.fn();
    await store.registry.onChange(heard);
    heard.mockClear();
    const key = {
      id: 'k',
      name: 'k',
      prefix: 'p',
      hash: 'h',
      scopes: ['execute'] as const,
      limits: { prompts: null, labels: null },
    };
    await store.registry.createKey({ ...key, createdAt: new Date(), createdBy: 'x', revokedAt: null });
    await vi.waitFor(() => expect(heard).toHaveBeenCalled());
    await store.close();
    await rm(embeddedDir, { recursive: true });
  });
});
