import { createServer, type Server } from 'node:net';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PromptgateError } from '../../src/domain/errors.ts';
import { createAuditStore } from '../../src/store/audit-store.ts';
import { connect } from '../../src/store/connection.ts';
import { loadQueries } from '../../src/store/query-catalog.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { execution, intent, promptVersion } from '../support/records.ts';

async function errorOf(work: Promise<unknown>): Promise<PromptgateError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(PromptgateError);
  return error as PromptgateError;
}

/** All that a log or a client could print of an error. */
function printed(error: PromptgateError): string {
  const cause = error.cause instanceof Error ? `${error.cause.stack} ${JSON.stringify(error.cause)}` : '';
  return `${error.message} ${JSON.stringify(error.issues)} ${cause}`;
}

describe.each(databases)('what goes wrong on $name', ({ name, create }) => {
  let database: TestDatabase;
  let store: Store;

  beforeAll(async () => {
    database = await create();
    store = await openStore({ databaseUrl: database.url }, { statementTimeoutMs: 300 });
  });

  afterAll(async () => {
    await store.close();
    await database.drop();
  });

  it.each(['hushhush\0', 'hushhush\ud800'])(
    'a value that cannot be stored is named to nobody',
    async (value) => {
      const attempts = [
        [() => store.audit.settle([execution({ rawOutput: value })]), 'internal'],
        [() => store.audit.writeIntents([intent({ actor: value })]), 'internal'],
        // Outside the audit trail it is the caller who sent it.
        [
          () => store.registry.addVersion(promptVersion({ source: 'hushhush\0' }), 'cli:ada'),
          'invalid_request',
        ],
      ] as const;
      for (const [attempt, code] of attempts) {
        const error = await errorOf(attempt());
        expect(error.code).toBe(code);
        expect(printed(error)).not.toMatch(/hushhush|insert|select|json_to_recordset/i);
      }
    },
  );

  it('a group with one record that cannot be stored stores none of it, and the rest can be sent again', async () => {
    const good = execution();
    await errorOf(store.audit.settle([good, execution({ rawOutput: '\0' })]));
    expect(await store.audit.findExecution(good.id)).toBeUndefined();
    await store.audit.settle([good]);
    expect((await store.audit.findExecution(good.id))?.id).toBe(good.id);
  });

  it('every named query is understood by the server', async () => {
    const queries = loadQueries();
    const sql = postgres(database.url, { max: 1, onnotice: () => {} });
    for (const query of queries.names) {
      const text = queries.get(query);
      // PREPARE takes select, insert, update and delete only.
      if (!/^(select|insert|update|delete|with)/.test(text)) continue;
      await sql.unsafe(`prepare check_${query.toLowerCase()} as ${text}`);
    }
    await sql.unsafe('deallocate all');
    await sql.end();
  });

  it.runIf(name === 'PostgreSQL')(
    'a write behind a lock ends at the statement timeout as audit_unavailable',
    async () => {
      const blocker = postgres(database.url, { max: 1 });
      const held = Promise.withResolvers<void>();
      const locked = Promise.withResolvers<void>();
      const blocking = blocker.begin(async (tx) => {
        await tx`lock table ai_execution_intents in access exclusive mode`;
        locked.resolve();
        await held.promise;
      });
      await locked.promise;
      const admitted = intent();
      expect((await errorOf(store.audit.writeIntents([admitted]))).code).toBe('audit_unavailable');
      held.resolve();
      await blocking;
      await blocker.end();
      await store.audit.writeIntents([admitted]);
      await store.audit.settle([execution({ id: admitted.id })]);
    },
  );

  it('the driver of a commit in this program waits for the disk', async () => {
    const sql = connect(database.url, { max: 1 });
    expect(await sql`show synchronous_commit`).toMatchObject([{ synchronous_commit: 'on' }]);
    await sql.end();
  });

  it('the audit trail waits for the disk also where a pooler keeps the session from being set', async () => {
    const sql = postgres(database.url, { max: 1 });
    await sql.unsafe(`
      create function refuse_lazy_commit() returns trigger language plpgsql as $$
      begin
        if current_setting('synchronous_commit') <> 'on' then raise 'not awaited'; end if;
        return new;
      end $$`);
    for (const table of ['ai_execution_intents', 'ai_executions', 'ai_execution_late_outcomes']) {
      await sql.unsafe(
        `create trigger refuse_lazy_commit before insert on ${table} for each row execute function refuse_lazy_commit()`,
      );
    }
    await sql.unsafe(
      `alter database ${new URL(database.url).pathname.slice(1)} set synchronous_commit = off`,
    );
    await sql.end();
    const pooled = await openStore({ databaseUrl: `${database.url}?pgbouncer=true` });
    const admitted = intent();
    await pooled.audit.writeIntents([admitted]);
    await pooled.audit.settle([execution({ id: admitted.id, status: 'unknown' })]);
    await pooled.audit.settle([execution({ id: admitted.id })]);
    expect((await pooled.audit.findLateOutcome(admitted.id))?.status).toBe('succeeded');
    await pooled.close();
  });
});

describe('a database that is not there', () => {
  let silent: Server;
  let port: number;

  beforeAll(async () => {
    // Accepts and never answers: what a frozen server looks like.
    silent = createServer(() => {});
    port = await new Promise((resolve) => {
      silent.listen(0, '127.0.0.1', () => {
        const address = silent.address();
        resolve(typeof address === 'object' && address ? address.port : 0);
      });
    });
  });

  afterAll(() => void silent.close());

  it('and says nothing fails at the deadline', async () => {
    const sql = connect(`postgres://me:hushhush@127.0.0.1:${port}/x`, { max: 1 });
    const audit = createAuditStore({ sql }, loadQueries(), { deadlineMs: 50 });
    const error = await errorOf(audit.writeIntents([intent()]));
    expect(error.code).toBe('audit_unavailable');
    expect(printed(error)).not.toMatch(/hushhush|insert/);
    await sql.end({ timeout: 0 });
  });

  it('and refuses the connection is audit_unavailable for a write, and the listener does not hold up the start', async () => {
    const store = await openStore({ databaseUrl: 'postgres://me:hushhush@127.0.0.1:1/x' });
    await store.registry.onChange(() => {});
    const error = await errorOf(store.audit.settle([execution()]));
    expect(error.code).toBe('audit_unavailable');
    expect(printed(error)).not.toContain('hushhush');
    expect((await errorOf(store.ping())).code).toBe('internal');
    expect(store.describe).toBe('PostgreSQL 127.0.0.1:1/x');
    await store.close();
  });

  it('because the URL is nonsense says so without repeating it', async () => {
    const error = await errorOf(openStore({ databaseUrl: 'postgres://me:hushhush@[broken' }));
    expect(error.code).toBe('invalid_request');
    expect(printed(error)).not.toContain('hushhush');
  });
});
