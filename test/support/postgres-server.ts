/**
 * Starts one real PostgreSQL for the whole test run and provides its administrator URL, and makes one empty PGlite
 * directory to be copied: making it takes seconds, copying it takes none.
 * Durability is switched off: no test here survives a power loss, and every one is faster.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { openEmbeddedDatabase } from '../../src/store/embedded-database.ts';
import { startPostgres } from './postgres-process.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** URL of the superuser on the database `postgres`; every test makes databases of its own. */
    postgresUrl: string;
    /** An embedded database's directory as it is after the first opening; to be copied, never opened. */
    pgliteTemplate: string;
  }
}

async function makePgliteTemplate(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'promptgate-pglite-'));
  const database = await openEmbeddedDatabase({ directory });
  await database.close();
  return directory;
}

export default async function setUpDatabases(project: TestProject): Promise<() => Promise<void>> {
  // One after the other: the embedded database tightens the umask of the process, and initdb runs as another user.
  const server = await startPostgres(['fsync=off', 'full_page_writes=off', 'max_connections=300']);
  const pgliteTemplate = await makePgliteTemplate();
  project.provide('postgresUrl', server.url);
  project.provide('pgliteTemplate', pgliteTemplate);
  return async () => {
    await server.stop();
    await rm(pgliteTemplate, { recursive: true });
  };
}
