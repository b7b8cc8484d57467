/**
 * Starts one real PostgreSQL for the whole test run and provides its administrator URL, and makes one PGlite directory
 * with the whole schema, to be copied: making it takes seconds, copying it takes none.
 * Durability is switched off: no test here survives a power loss, and every one is faster.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { openStore } from '../../src/store/store.ts';
import { startPostgres } from './postgres-process.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** URL of the superuser on the database `postgres`; every test makes databases of its own. */
    postgresUrl: string;
    /** An embedded database's directory with the whole schema and no row; to be copied, never opened. */
    pgliteTemplate: string;
  }
}

async function makePgliteTemplate(directory: string): Promise<string> {
  const store = await openStore({ embeddedDir: directory });
  await store.migrate();
  await store.close();
  return directory;
}

export default async function setUpDatabases(project: TestProject): Promise<() => Promise<void>> {
  // One after the other: the embedded database tightens the umask of the process, and initdb runs as another user.
  const server = await startPostgres(['fsync=off', 'full_page_writes=off', 'max_connections=300']);
  const pgliteTemplate = await makePgliteTemplate(await mkdtemp(join(tmpdir(), 'pglite-template-')));
  project.provide('postgresUrl', server.url);
  project.provide('pgliteTemplate', pgliteTemplate);
  return () => server.stop();
}
