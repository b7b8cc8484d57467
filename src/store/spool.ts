/**
 * The mode `spool`: while the database is away, rows go to a local journal, and into the database when it is back. Rows
 * may be replayed twice (a crash between the commit and the removal of the file); their statements make that once.
 *
 * What it cannot do while the database is away is decide who is first: an Idempotency-Key is refused.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type AuditSink, type IntentResult, isUnavailable } from './audit-trail.ts';
import type { SpoolJournal } from './spool-journal.ts';

export interface SpoolOptions {
  readonly maxBytes: number;
  /** Older than this, records say that nobody looks after the database: nothing more is admitted. */
  readonly maxAgeMs: number;
  /** Bytes that the outcomes of admitted calls may yet take. */
  readonly reservedBytes: () => number;
  /** Resolves when the database answers. */
  readonly probe: () => Promise<void>;
  readonly onChange: (event: SpoolEvent) => void;
}

export type SpoolEvent = 'spooling' | 'replayed' | 'rows refused' | 'journal failed';

export interface Spool extends AuditSink {
  health(): { readonly spooling: boolean; readonly spoolBytes: number; readonly spoolFull: boolean };
  /** Writes what an earlier process left, and whatever is spooled from now on. */
  start(): void;
  close(): Promise<void>;
}

/** Noticed soon, asked seldom enough. */
const probeIntervalMs = 500;
const replayBatch = 200;
const kinds = { intent: 'i', outcome: 'o' } as const;

export function createSpool(database: AuditSink, journal: SpoolJournal, options: SpoolOptions): Spool {
  // What an earlier process left goes first.
  let spooling = !journal.isEmpty();
  let replaying: Promise<void> | undefined;
  const closing = new AbortController();

  function isFull(more = 0): boolean {
    const oldest = journal.oldestAt();
    return (
      journal.bytes() + options.reservedBytes() + more > options.maxBytes ||
      (oldest !== undefined && Date.now() - oldest > options.maxAgeMs)
    );
  }

  /** To the database, or to the journal while that is away. A journal that failed is out of the game. */
  async function route<T>(direct: () => Promise<T>, spooled: () => Promise<T>): Promise<T> {
    if (!spooling || journal.failed()) {
      try {
        return await direct();
      } catch (error) {
        if (!isUnavailable(error) || journal.failed()) throw error;
        if (!spooling) options.onChange('spooling');
        spooling = true;
      }
    }
    start();
    const sound = !journal.failed();
    try {
      return await spooled();
    } catch (error) {
      if (sound && journal.failed()) options.onChange('journal failed');
      throw error;
    }
  }

  async function spoolIntents(rows: readonly string[]): Promise<IntentResult[]> {
    const results = rows.map((row): IntentResult => {
      if (JSON.parse(row).claim_scope !== null) return 'unclaimable';
      return isFull() ? 'full' : 'written';
    });
    const admitted = rows.filter((_, index) => results[index] === 'written');
    if (admitted.length > 0) await journal.append(admitted.map((row) => kinds.intent + row));
    return results;
  }

  /** An intent whose outcome is known is not written: the outcome clears what there is. */
  async function replaySegment(segment: string): Promise<void> {
    const records = await journal.read(segment);
    const rowsOf = (kind: string) => records.filter((one) => one[0] === kind).map((one) => one.slice(1));
    const outcomes = rowsOf(kinds.outcome);
    const settled = new Set(outcomes.map((row) => JSON.parse(row).id));
    const open = rowsOf(kinds.intent).filter((row) => !settled.has(JSON.parse(row).id));
    const intentsRefused = await replayRows(open, (rows) => database.writeIntentRows(rows));
    const outcomesRefused = await replayRows(outcomes, (rows) => database.settleRows(rows));
    if (intentsRefused + outcomesRefused === 0) return journal.remove(segment);
    options.onChange('rows refused');
    await journal.setAside(segment);
  }

  async function replay(): Promise<void> {
    while (spooling && !closing.signal.aborted) {
      try {
        await options.probe();
        await journal.seal();
        for (const segment of journal.sealed()) await replaySegment(segment);
        if (journal.isEmpty()) {
          spooling = false;
          options.onChange('replayed');
        }
      } catch {
        // The file stays as it is; the next round begins it again.
        await delay(probeIntervalMs, undefined, { signal: closing.signal, ref: false }).catch(() => {});
      }
    }
  }

  function start(): void {
    if (!spooling || closing.signal.aborted) return;
    replaying ??= replay().finally(() => {
      replaying = undefined;
      start();
    });
  }

  return {
    writeIntentRows: (rows) =>
      route(
        () => database.writeIntentRows(rows),
        () => spoolIntents(rows),
      ),
    settleRows: (rows) =>
      route(
        () => database.settleRows(rows),
        () => journal.append(rows.map((row) => kinds.outcome + row)),
      ),
    health: () => ({ spooling, spoolBytes: journal.bytes(), spoolFull: isFull() }),
    start,
    async close() {
      closing.abort();
      await replaying;
      await journal.close();
    },
  };
}

/** @returns how many rows the database refused; throws when it is away */
async function replayRows(
  rows: readonly string[],
  write: (rows: readonly string[]) => Promise<unknown>,
): Promise<number> {
  let refused = 0;
  for (let from = 0; from < rows.length; from += replayBatch) {
    const batch = rows.slice(from, from + replayBatch);
    try {
      await write(batch);
    } catch (error) {
      if (isUnavailable(error)) throw error;
      for (const row of batch) refused += await writeAlone(row, write);
    }
  }
  return refused;
}

async function writeAlone(row: string, write: (rows: readonly string[]) => Promise<unknown>): Promise<0 | 1> {
  try {
    await write([row]);
    return 0;
  } catch (error) {
    if (isUnavailable(error)) throw error;
    return 1;
  }
}
