import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PromptgateError } from '../../src/domain/errors.ts';
import type { AuditSink } from '../../src/store/audit-trail.ts';
import { createSpool, type Spool, type SpoolEvent, type SpoolOptions } from '../../src/store/spool.ts';
import { openSpoolJournal } from '../../src/store/spool-journal.ts';

const row = (id: number, more: object = {}) => JSON.stringify({ id: `id-${id}`, claim_scope: null, ...more });

/** Stands for the database: what it holds, and whether it is there. */
function fakeDatabase() {
  const state = { away: false, intents: [] as string[], outcomes: [] as string[] };
  const guard = () => {
    if (state.away) throw new PromptgateError('audit_unavailable', 'away');
  };
  const sink: AuditSink = {
    async writeIntentRows(rows) {
      guard();
      if (rows.some((one) => one.includes('poison'))) throw new PromptgateError('internal', 'refused');
      state.intents.push(...rows);
      return rows.map(() => 'written');
    },
    async settleRows(rows) {
      guard();
      if (rows.some((one) => one.includes('poison'))) throw new PromptgateError('internal', 'refused');
      state.outcomes.push(...rows);
    },
  };
  return { state, sink, probe: async () => guard() };
}

describe('the spool', () => {
  let directory: string;
  const spools: Spool[] = [];
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'promptgate-spool-'));
  });
  afterEach(async () => {
    await Promise.all(spools.splice(0).map((spool) => spool.close()));
    await rm(directory, { recursive: true });
  });

  async function open(database: ReturnType<typeof fakeDatabase>, changes: Partial<SpoolOptions> = {}) {
    const events: SpoolEvent[] = [];
    const spool = createSpool(database.sink, await openSpoolJournal({ directory }), {
      maxBytes: 1_000_000,
      maxAgeMs: 60_000,
      reservedBytes: () => 0,
      probe: database.probe,
      onChange: (event) => void events.push(event),
      ...changes,
    });
    spools.push(spool);
    return { spool, events };
  }

  it('takes rows while the database is away, replays each once when it is back, and goes direct again', async () => {
    const database = fakeDatabase();
    const { spool, events } = await open(database);
    await spool.writeIntentRows([row(1)]);
    database.state.away = true;
    await spool.writeIntentRows([row(2), row(3)]);
    await spool.settleRows([row(1), row(3)]);
    expect(spool.health()).toMatchObject({ spooling: true, spoolFull: false });
    expect(spool.health().spoolBytes).toBeGreaterThan(0);
    database.state.away = false;
    await vi.waitFor(() => expect(spool.health()).toMatchObject({ spooling: false, spoolBytes: 0 }), 5_000);
    // The intent of 3 had its outcome already: nothing would have cleared it.
    expect(database.state.intents).toEqual([row(1), row(2)]);
    expect(database.state.outcomes).toEqual([row(1), row(3)]);
    await spool.settleRows([row(2)]);
    expect(database.state.outcomes.at(-1)).toBe(row(2));
    expect(events).toEqual(['spooling', 'replayed']);
  });

  it('replays what an earlier process left', async () => {
    const database = fakeDatabase();
    database.state.away = true;
    const { spool } = await open(database);
    await spool.writeIntentRows([row(1)]);
    await spool.close();
    database.state.away = false;
    const { spool: next } = await open(database);
    next.start();
    await vi.waitFor(() => expect(next.health().spooling).toBe(false), 5_000);
    expect(database.state.intents).toEqual([row(1)]);
  });

  it.each<[string, Partial<SpoolOptions>]>([
    ['its bytes', { maxBytes: 10 }],
    ['the bytes that outcomes have reserved', { reservedBytes: () => 1_000_001 }],
    ['its age', { maxAgeMs: -1 }],
  ])('admits nothing beyond %s, and takes every outcome all the same', async (_bound, changes) => {
    const database = fakeDatabase();
    database.state.away = true;
    const { spool } = await open(database, changes);
    await spool.settleRows([row(1)]);
    expect(await spool.writeIntentRows([row(2)])).toEqual(['full']);
    await spool.settleRows([row(3)]);
    database.state.away = false;
    await vi.waitFor(() => expect(database.state.outcomes).toEqual([row(1), row(3)]), 5_000);
  });

  it('makes no idempotency claims, which it could not keep', async () => {
    const database = fakeDatabase();
    database.state.away = true;
    const { spool } = await open(database);
    const claiming = row(1, { claim_scope: 'key:a' });
    expect(await spool.writeIntentRows([claiming, row(2)])).toEqual(['unclaimable', 'written']);
  });

  it('keeps a file of which the database refuses a row, and writes the others', async () => {
    const database = fakeDatabase();
    database.state.away = true;
    const { spool, events } = await open(database);
    await spool.settleRows([row(1), row(2, { poison: true }), row(3)]);
    database.state.away = false;
    await vi.waitFor(() => expect(spool.health().spooling).toBe(false), 5_000);
    expect(database.state.outcomes).toEqual([row(1), row(3)]);
    expect(events).toContain('rows refused');
  });
});
