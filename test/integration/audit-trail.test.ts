import { randomUUID } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { v7 } from 'uuid';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { toUnknownExecution } from '../../src/application/recover-intents.ts';
import type { Execution } from '../../src/domain/execution.ts';
import { fromExecution } from '../../src/store/execution-rows.ts';
import type { OpenAuditTrail, OpenAuditTrailOptions } from '../../src/store/open-audit-trail.ts';
import { findOrphanedSpools, spoolDirectoryOf } from '../../src/store/spool-directory.ts';
import { openSpoolJournal } from '../../src/store/spool-journal.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { execution, intent } from '../support/records.ts';

describe.each(databases)('the audit trail of a gateway on $name', ({ create }) => {
  let database: TestDatabase;
  let store: Store;
  let sql: postgres.Sql;
  const trails: OpenAuditTrail[] = [];

  beforeAll(async () => {
    database = await create();
    store = await openStore({ databaseUrl: database.url });
    sql = postgres(database.url, { max: 1 });
  });
  afterEach(async () => {
    await Promise.all(trails.splice(0).map((trail) => trail.close()));
    await sql`delete from ai_execution_intents`;
  });
  afterAll(async () => {
    await sql.end();
    await store.close();
    await database.drop();
  });

  async function open(changes: Partial<OpenAuditTrailOptions> = {}): Promise<OpenAuditTrail> {
    const trail = await store.openAuditTrail({
      timeoutMs: 2_000,
      settleTimeoutMs: 4_000,
      maxOpen: 1_000,
      maxOpenBytes: 64_000_000,
      toUnknown: toUnknownExecution,
      onRecovered() {},
      ...changes,
    });
    trails.push(trail);
    return trail;
  }
  const first = () => intent({ attempt: 1, earlierAttempts: [], idempotencyKey: null });
  /** Its process is gone: the lease ran out. */
  const expire = (trail: OpenAuditTrail) =>
    sql`update gateway_instances set lease_expires_at = clock_timestamp() - interval '1 second' where id = ${trail.gatewayId}`;
  const open_ = async () => (await sql`select id from ai_execution_intents`).map((row) => row.id);

  it('commits the intents and outcomes of many calls in few groups, each of them', async () => {
    const groups: number[] = [];
    const trail = await open({ onFlush: (_lane, rows) => void groups.push(rows) });
    const intents = Array.from({ length: 200 }, first);
    await Promise.all(intents.map((one) => trail.writeIntent(one)));
    expect(new Set(await open_())).toEqual(new Set(intents.map(({ id }) => id)));
    expect(trail.health()).toMatchObject({ open: 200, queued: 0, dropped: 0 });
    await Promise.all(intents.map(({ id }) => trail.settle(execution({ id }))));
    expect(await open_()).toEqual([]);
    expect(trail.health()).toMatchObject({ open: 0, queued: 0, dropped: 0 });
    expect(groups.reduce((sum, rows) => sum + rows)).toBe(400);
    expect(groups.length).toBeLessThan(40);
  });

  it('of a worker takes over what its predecessor left, on lease, and the journals of places that are no more', async () => {
    const data = await mkdtemp(join(tmpdir(), 'promptgate-places-'));
    const journal = await openSpoolJournal({ directory: spoolDirectoryOf(data, 3) });
    const spooled = execution({ idempotencyKey: null });
    await journal.append([`o${fromExecution(spooled)}`]);
    await journal.close();
    const dead = await open();
    const left = first();
    await dead.writeIntent(left);
    expect(findOrphanedSpools(data, 3)).toEqual([]);
    const spool = { maxBytes: 1_000_000, maxAgeMs: 60_000, onChange() {} };
    const trail = await open({
      predecessor: dead.gatewayId,
      spool: { ...spool, directory: spoolDirectoryOf(data, 1), orphans: findOrphanedSpools(data, 2) },
    });
    trail.start();
    const statusOf = async (id: string) => {
      await trail.keep();
      return (await sql`select status from ai_executions where id = ${id}`)[0]?.status;
    };
    await expect.poll(() => statusOf(spooled.id)).toBe('succeeded');
    await expect.poll(() => statusOf(left.id)).toBe('unknown');
  });

  it('writes the neighbours of a row that cannot be written, and makes that one unknown', async () => {
    const trail = await open();
    const intents = Array.from({ length: 20 }, first);
    await Promise.all(intents.map((one) => trail.writeIntent(one)));
    const outcomes = intents.map(({ id }, index) =>
      execution({ id, rawOutput: index === 7 ? 'a\0b' : `answer ${index}` }),
    );
    const settled = await Promise.allSettled(outcomes.map((one) => trail.settle(one)));
    expect(settled.map(({ status }) => status === 'rejected')).toEqual(outcomes.map((_, i) => i === 7));
    await trail.keep();
    expect((await store.audit.findExecution(outcomes[7]!.id))?.status).toBe('unknown');
    expect((await store.audit.findExecution(outcomes[8]!.id))?.rawOutput).toBe('answer 8');
    expect(await open_()).toEqual([]);
  });

  it('sheds an admission when its room is full, and settles whoever was admitted', async () => {
    const trail = await open({ maxOpen: 2 });
    const [a, b, c] = [first(), first(), first()];
    await trail.writeIntent(a);
    await trail.writeIntent(b);
    await expect(trail.writeIntent(c)).rejects.toMatchObject({
      code: 'audit_unavailable',
      retryAfterMs: expect.any(Number),
    });
    await expect(trail.settle(execution())).rejects.toMatchObject({ code: 'audit_unavailable' });
    // A retry of an admitted call has its place already.
    await trail.writeIntent({ ...a, attempt: 2 });
    await Promise.all([a, b].map(({ id }) => trail.settle(execution({ id }))));
    await trail.writeIntent(c);
    await trail.settle(execution({ id: c.id }));
    expect(await open_()).toEqual([]);
  });

  it('sheds admissions while longer answers than were reserved for wait for their commit', async () => {
    const trail = await open({ maxOpenBytes: 1_000_000 });
    const call = first();
    await trail.writeIntent(call);
    const settling = trail.settle(execution({ id: call.id, rawOutput: 'x'.repeat(1_000_000) }));
    await expect(trail.writeIntent(first())).rejects.toMatchObject({ code: 'audit_unavailable' });
    await settling;
    expect(trail.health()).toMatchObject({ open: 0, openBytes: 0 });
  });

  describe('recovery', () => {
    it('leaves the calls of a living gateway alone, and makes those of a dead one unknown, with their attempts', async () => {
      const [dead, alive, other] = await Promise.all([open(), open(), open()]);
      const lost = first();
      const retried = { ...lost, attempt: 2, earlierAttempts: intent().earlierAttempts };
      const living = first();
      await dead.writeIntent(lost);
      await dead.writeIntent(retried);
      await alive.writeIntent(living);
      await other.keep();
      expect(await open_()).toHaveLength(3);
      await expire(dead);
      await other.keep();
      expect(await open_()).toEqual([living.id]);
      const found = await store.audit.findExecution(lost.id);
      expect(found).toMatchObject({ status: 'unknown', price: { cost: null }, promptTokens: null });
      expect(found?.attempts.map(({ number }) => number)).toEqual([1, 2]);
      expect(other.health().recovered).toBe(1);
    });

    it('of more than can be written in one deadline gets to its end all the same', async () => {
      const dead = await open({ maxOpenBytes: 1e9, timeoutMs: 20_000 });
      const other = await open({ timeoutMs: 600 });
      const large = 'x'.repeat(2_000_000);
      const intents = Array.from({ length: 16 }, () => ({
        ...first(),
        inputPayload: { variables: { large } },
      }));
      for (const intent of intents) await dead.writeIntent(intent);
      await expire(dead);
      await expect.poll(() => other.keep().then(open_, () => 'not yet'), { timeout: 30_000 }).toEqual([]);
      // Not its own count: a commit that outlived its deadline is done, and nobody was told.
      const ids = intents.map(({ id }) => id);
      const rows = await sql`select status from ai_executions where id in ${sql(ids)}`;
      expect(rows.map(({ status }) => status)).toEqual(intents.map(() => 'unknown'));
    }, 60_000);

    it('refuses a further attempt of a call that it has given up', async () => {
      const [slow, other] = [await open(), await open()];
      const call = first();
      await slow.writeIntent(call);
      await expire(slow);
      await other.keep();
      await expect(slow.writeIntent({ ...call, attempt: 2 })).rejects.toMatchObject({
        code: 'audit_unavailable',
      });
      expect(await open_()).toEqual([]);
      await slow.settle(execution({ id: call.id, status: 'failed' }));
      expect((await store.audit.findExecution(call.id))?.status).toBe('unknown');
      expect((await store.audit.findLateOutcome(call.id))?.status).toBe('failed');
    });

    it('gives each intent exactly one outcome when five processes recover at once', async () => {
      const dead = await open();
      const intents = Array.from({ length: 150 }, first);
      await Promise.all(intents.map((one) => dead.writeIntent(one)));
      await expire(dead);
      const others = await Promise.all([open(), open(), open(), open(), open()]);
      await Promise.all(others.map((trail) => trail.keep()));
      expect(await open_()).toEqual([]);
      const ids = intents.map(({ id }) => id);
      const rows = await sql`select id, status from ai_executions where id in ${sql(ids)}`;
      expect(rows).toHaveLength(150);
      expect(new Set(rows.map((row) => row.status))).toEqual(new Set(['unknown']));
      expect(others.reduce((sum, trail) => sum + trail.health().recovered, 0)).toBe(150);
    });

    it('keeps a late outcome beside the unknown one, once, and never over it', async () => {
      const [dead, other] = [await open(), await open()];
      const call = first();
      await dead.writeIntent(call);
      await expire(dead);
      await other.keep();
      const { attempt: _attempt, earlierAttempts: _earlier, ...admission } = call;
      const late = execution({ ...admission, rawOutput: 'late' });
      await dead.settle(late);
      await store.audit.settle([late]);
      expect((await store.audit.findExecution(call.id))?.status).toBe('unknown');
      expect(await store.audit.findLateOutcome(call.id)).toEqual({ ...late, createdAt: expect.any(Date) });
      await expect(sql`delete from ai_execution_late_outcomes`).rejects.toThrow();
    });

    it('clears an intent that a connection given up committed after the outcome', async () => {
      const trail = await open();
      const call = first();
      await trail.writeIntent(call);
      await trail.settle(execution({ id: call.id }));
      await store.audit.writeIntents([call]);
      await trail.keep();
      expect(await open_()).toEqual([]);
      expect((await store.audit.findExecution(call.id))?.status).toBe('succeeded');
    });

    it('takes a gateway that stopped cleanly as ended at once', async () => {
      const gone = await open();
      await gone.writeIntent(first());
      await gone.close();
      await (await open()).keep();
      expect(await open_()).toEqual([]);
    });
  });

  describe('an idempotency claim', () => {
    const claim = (key: string = randomUUID()) => ({ scope: 'key:a', key, fingerprint: 'f' });
    const claiming = (key: string) => ({ ...first(), idempotencyKey: key });

    it('is given to one of a hundred, whichever gateway they came to', async () => {
      const [a, b] = [await open(), await open()];
      const wanted = claim();
      const calls = Array.from({ length: 100 }, () => claiming(wanted.key));
      const holders = await Promise.all(
        calls.map((call, index) => (index % 2 ? a : b).writeIntent(call, wanted)),
      );
      const admitted = calls.filter((_, index) => holders[index] === undefined);
      expect(admitted).toHaveLength(1);
      expect(await open_()).toEqual([admitted[0]!.id]);
      for (const holder of holders.filter((one) => one !== undefined)) {
        expect(holder).toMatchObject({ executionId: admitted[0]!.id, fingerprint: 'f', status: null });
      }
      expect(a.health().open + b.health().open).toBe(1);
      await sql`delete from ai_execution_intents`;
    });

    it('tells what became of its holder', async () => {
      const trail = await open();
      const wanted = claim();
      const holder = claiming(wanted.key);
      await trail.writeIntent(holder, wanted);
      await trail.settle(execution({ id: holder.id }));
      expect(await trail.writeIntent(claiming(wanted.key), wanted)).toMatchObject({
        executionId: holder.id,
        status: 'succeeded',
      });
    });

    it('survives a repeated COMMIT in doubt: its own execution is admitted', async () => {
      const trail = await open();
      const wanted = claim();
      const call = claiming(wanted.key);
      expect(await trail.writeIntent(call, wanted)).toBeUndefined();
      expect(await trail.writeIntent(call, wanted)).toBeUndefined();
      expect(await open_()).toEqual([call.id]);
    });

    it.each<[string, (id: string, key: string) => Promise<unknown>]>([
      ['whose execution ended before any request', (id) => store.audit.settle([failedBefore(id)])],
      [
        'that is a day old',
        (id, key) =>
          store.audit
            .settle([execution({ id })])
            .then(
              () =>
                sql`update idempotency_keys set created_at = now() - interval '25 hours' where key = ${key}`,
            ),
      ],
    ])('%s is free again', async (_name, end) => {
      const trail = await open();
      const wanted = claim();
      const holder = claiming(wanted.key);
      await trail.writeIntent(holder, wanted);
      await end(holder.id, wanted.key);
      const next = claiming(wanted.key);
      expect(await trail.writeIntent(next, wanted)).toBeUndefined();
      expect(await open_()).toEqual([next.id]);
    });
  });

  it('answers within its deadline when the database holds it up, and writes when it lets go', async () => {
    const trail = await open({ timeoutMs: 400 });
    await trail.writeIntent({ ...first(), id: v7() });
    const release = Promise.withResolvers<void>();
    const locked = Promise.withResolvers<void>();
    const lock = sql.begin(async (tx) => {
      await tx`lock table ai_executions in access exclusive mode`;
      locked.resolve();
      await release.promise;
    });
    await locked.promise;
    const call = execution();
    const from = performance.now();
    await expect(trail.settle(call)).rejects.toMatchObject({ code: 'audit_unavailable' });
    expect(performance.now() - from).toBeLessThan(2_000);
    release.resolve();
    await lock;
    await expect.poll(() => store.audit.findExecution(call.id)).toMatchObject({ id: call.id });
    expect(await trail.drain(2_000)).toBe(0);
  });

  function failedBefore(id: string): Execution {
    return execution({ id, status: 'failed', errorCode: 'audit_unavailable', attempts: [] });
  }
});
