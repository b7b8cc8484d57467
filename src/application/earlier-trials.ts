/** Which trials of a suite an earlier part of its run has made. */
import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { StoredExecution } from '../domain/execution.ts';
import {
  awaitCallsInFlight,
  type EarlierCall,
  type EarlierCallsDependencies,
  keepCalled,
  type Patience,
  readRunRows,
  toEarlierCall,
} from './earlier-calls.ts';

/** Which call of a run an execution is: in its metadata, so that the row says so by itself. */
export interface CallPlace {
  readonly case: string;
  readonly repeat: number;
  /** Of a judge: which assertion it was asked for. */
  readonly judge?: string;
}

export interface EarlierCalls {
  /** Calls made for a place, oldest first; those that were refused before anything was called are left out. */
  at(place: CallPlace): readonly EarlierCall[];
  readonly all: readonly EarlierCall[];
}

export const noEarlierCalls: EarlierCalls = { at: () => [], all: [] };

/** A call of a suite, and what its row says that it was made for. */
interface EarlierTrial extends EarlierCall {
  readonly keyId: string | null;
  readonly suiteChecksum: unknown;
  readonly subject: unknown;
  readonly place: CallPlace;
}

/**
 * Waits for what is in flight, so that every call of the run is among them.
 * @throws PromptgateError not_found — no such run, or another key's; conflict — it ran another suite or version
 */
export async function readEarlierCalls(
  deps: EarlierCallsDependencies,
  actor: Actor,
  runId: string,
  expected: {
    readonly suiteChecksum: string;
    readonly subject: string;
    /** What a call of the run costs at most; null: nobody knows. */
    readonly most: (row: StoredExecution) => bigint | null;
  },
  patience: Patience,
): Promise<EarlierCalls> {
  await awaitCallsInFlight(
    deps,
    runId,
    actor.scopes.includes('admin') ? null : (actor.keyId ?? ''),
    patience,
  );
  const rows = await readRunRows(deps.audit, runId, (row) => toEarlierTrial(row, expected.most));
  const mine = actor.scopes.includes('admin') || rows.every(({ keyId }) => keyId === actor.keyId);
  if (rows.length === 0 || !mine) {
    throw new PromptgateError('not_found', 'There is no run of that id, or this key may not see it.');
  }
  const other = rows.find(
    ({ suiteChecksum, subject }) => suiteChecksum !== expected.suiteChecksum || subject !== expected.subject,
  );
  if (other) {
    const what = other.subject === expected.subject ? 'suite' : 'version';
    throw new PromptgateError(
      'conflict',
      `That run is of another ${what}: what changed has to be run from the beginning.`,
    );
  }
  return indexCalls(rows);
}

function toEarlierTrial(row: StoredExecution, most: (row: StoredExecution) => bigint | null): EarlierTrial {
  const { case: id, repeat, judge, suite_checksum: suiteChecksum, subject } = row.metadata;
  const place = {
    case: String(id),
    repeat: Number(repeat),
    ...(judge === undefined ? {} : { judge: String(judge) }),
  };
  return { ...toEarlierCall(row, most), keyId: row.keyId, suiteChecksum, subject, place };
}

function indexCalls(rows: readonly EarlierTrial[]): EarlierCalls {
  const called = keepCalled(rows);
  const byPlace = Map.groupBy(called, ({ place }) => keyOf(place));
  return { at: (place) => byPlace.get(keyOf(place)) ?? [], all: called };
}

function keyOf({ case: id, repeat, judge = '' }: CallPlace): string {
  return JSON.stringify([id, repeat, judge]);
}
