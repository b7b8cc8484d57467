/**
 * Databases for tests: every guarantee is tested on a real PostgreSQL and on the embedded one, never on a mock.
 *
 * What a test costs, dearest first, and what to do instead:
 * - a first opening of an embedded directory, seconds of computing: copy `inject('pgliteTemplate')`, which is migrated;
 * - a process (`runCommand`, `startCommand`), from a quarter of a second: `runAgainst` runs a command in this one. Spawn
 *   where the process itself is the point: its signals, its lock, its exit code, its output;
 * - a gateway and a `create()`, a third of a second on PGlite: one in `beforeAll` with names of a test's own, not one in
 *   `beforeEach`, unless the test changes the schema or counts whole tables;
 * - doing on both databases what only speaks HTTP to routes that are tested on both.
 * Test files share their process (`isolate: false`): what a file does to it, a hook undoes, and it calls `drop()`.
 */
import { randomBytes } from 'node:crypto';
import { cp, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { inject } from 'vitest';
import { connect } from '../../src/store/connection.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase } from '../../src/store/embedded-database.ts';
import { migrate } from '../../src/store/migrator.ts';
import { loadQueries } from '../../src/store/query-catalog.ts';
import { type Pristine, readPristine, restorePristine } from './pristine.ts';

export interface TestDatabase {
  /** Connects as the owner of the tables; on PostgreSQL that is not a superuser. */
  readonly url: string;
  readonly kind: 'postgres' | 'embedded';
  drop(): Promise<void>;
}

export interface Databases {
  readonly name: 'PostgreSQL' | 'PGlite';
  /** A database with the whole schema, or without any. */
  create(options?: { migrated?: boolean }): Promise<TestDatabase>;
}

export const databases: readonly Databases[] = [
  { name: 'PostgreSQL', create: (options) => createOnPostgres(options?.migrated ?? true) },
  { name: 'PGlite', create: (options) => createOnPglite(options?.migrated ?? true) },
];

const owner = { name: 'promptgate_owner', password: 'owner' };
const template = 'promptgate_template';
/** Any number will do; it keeps test files that start at once from making the template twice. */
const templateLock = 74_120_001;

function urlOf(database: string): string {
  const url = new URL(inject('postgresUrl'));
  url.pathname = `/${database}`;
  url.username = owner.name;
  url.password = owner.password;
  return url.href;
}

async function asAdmin<T>(work: (admin: postgres.ReservedSql) => Promise<T>): Promise<T> {
  const pool = postgres(inject('postgresUrl'), { max: 1, onnotice: () => {} });
  const admin = await pool.reserve();
  try {
    return await work(admin);
  } finally {
    admin.release();
    await pool.end();
  }
}

async function migrateAt(url: string): Promise<void> {
  const sql = connect(url, { max: 1 });
  try {
    await migrate(sql, loadQueries());
  } finally {
    await sql.end();
  }
}

async function ensureTemplate(admin: postgres.ReservedSql): Promise<void> {
  await admin`select pg_advisory_lock(${templateLock})`;
  try {
    const [done] = await admin`select from pg_database where datname = ${template}`;
    if (done) return;
    // Connecting to a template keeps others from copying it: it gets its name when it is finished.
    const draft = `${template}_draft`;
    await admin.unsafe(`create role ${owner.name} login password '${owner.password}'`);
    await admin.unsafe(`create database ${draft} owner ${owner.name}`);
    await migrateAt(urlOf(draft));
    await admin.unsafe(`alter database ${draft} rename to ${template}`);
  } finally {
    await admin`select pg_advisory_unlock(${templateLock})`;
  }
}

async function createOnPostgres(migrated: boolean): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  await asAdmin(async (admin) => {
    await ensureTemplate(admin);
    // Copying files takes a third of what writing them through the log takes, and leaves less to a later checkpoint.
    await admin.unsafe(
      `create database ${name} owner ${owner.name} template ${migrated ? template : 'template0'} strategy file_copy`,
    );
  });
  return {
    url: urlOf(name),
    kind: 'postgres',
    drop: () => asAdmin(async (admin) => void (await admin.unsafe(`drop database ${name} with (force)`))),
  };
}

interface Embedded {
  readonly database: EmbeddedDatabase;
  /** What its migrated schema was; unknown of one that no one migrated. */
  pristine?: Pristine;
}

/**
 * Instances of PGlite that no test uses now. Starting one takes most of a second of computing, so they outlive their test
 * file; the vitest worker takes them with it, and the directories go with the run.
 */
const idle: Embedded[] = [];

async function startEmbedded(): Promise<Embedded> {
  const directory = await mkdtemp(join(tmpdir(), 'pglite-'));
  await cp(inject('pgliteTemplate'), directory, { recursive: true });
  const umask = process.umask();
  const database = await openEmbeddedDatabase({ directory });
  // Tightened for a process that is a gateway. This one also starts PostgreSQL, which is another user.
  process.umask(umask);
  // The template has the whole schema.
  return { database, pristine: await readPristine(database.url) };
}

/** Leaves nothing of the test before: its tables, and what it prepared and listened to in the one session there is. */
async function empty(url: string): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  await sql.unsafe('drop schema public cascade; create schema public; deallocate all; unlisten *');
  await sql.end();
}

/** One that has the schema where it is wanted, and where it is not, one that was going to lose it anyway. */
function takeIdle(migrated: boolean): Embedded | undefined {
  const fit = idle.findLastIndex(({ pristine }) => (pristine !== undefined) === migrated);
  return idle.splice(fit, 1)[0];
}

async function createOnPglite(migrated: boolean): Promise<TestDatabase> {
  const used = takeIdle(migrated);
  const embedded = used ?? (await startEmbedded());
  const { url } = embedded.database;
  if (!migrated) {
    await empty(url);
    delete embedded.pristine;
  } else if (used && !(used.pristine && (await restorePristine(url, used.pristine)))) {
    // Emptying takes a tenth of a second of computing, and migrating again three.
    await empty(url);
    await migrateAt(url);
    embedded.pristine = await readPristine(url);
  }
  return { url, kind: 'embedded', drop: async () => void idle.push(embedded) };
}
