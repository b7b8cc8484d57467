/** Which trials of a suite an earlier part of its run has made. */
import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { StoredExecution } from '../domain/execution.ts';
import type { AuditStore } from './audit-store.ts';
import { keepCalled, readRunRows } from './earlier-calls.ts';

/** Which call of a run an execution is: in its metadata, so that the row says so by itself. */
export interface CallPlace {
  readonly case: string;
  readonly repeat: number;
  /** Of a judge: which assertion it was asked for. */
  readonly judge?: string;
}

export interface EarlierCalls {
  /** Calls made for a place, oldest first; those that were refused before anything was called are left out. */
  at(place: CallPlace): readonly StoredExecution[];
  readonly all: readonly StoredExecution[];
}

export const noEarlierCalls: EarlierCalls = { at: () => [], all: [] };

/**
 * @throws PromptgateError not_found — no such run, or another key's; conflict — it ran another suite or version
 */
export async function readEarlierCalls(
  audit: Pick<AuditStore, 'listExecutions'>,
  actor: Actor,
  runId: string,
  expected: { readonly suiteChecksum: string; readonly subject: string },
): Promise<EarlierCalls> {
  const rows = await readRunRows(audit, runId);
  const mine = actor.scopes.includes('admin') || rows.every(({ keyId }) => keyId === actor.keyId);
  if (rows.length === 0 || !mine) {
    throw new PromptgateError('not_found', 'There is no run of that id, or this key may not see it.');
  }
  const other = rows.find(
    ({ metadata }) =>
      metadata.suite_checksum !== expected.suiteChecksum || metadata.subject !== expected.subject,
  );
  if (other) {
    const what = other.metadata.subject === expected.subject ? 'suite' : 'version';
    throw new PromptgateError(
      'conflict',
      `That run is of another ${what}: what changed has to be run from the beginning.`,
    );
  }
  return indexCalls(rows);
}

function indexCalls(rows: readonly StoredExecution[]): EarlierCalls {
  const called = keepCalled(rows);
  const byPlace = new Map<string, StoredExecution[]>();
  for (const row of called) {
    const { case: id, repeat, judge } = row.metadata;
    const key = keyOf({
      case: String(id),
      repeat: Number(repeat),
      ...(judge === undefined ? {} : { judge: String(judge) }),
    });
    byPlace.set(key, [...(byPlace.get(key) ?? []), row]);
  }
  return { at: (place) => byPlace.get(keyOf(place)) ?? [], all: called };
}

function keyOf({ case: id, repeat, judge = '' }: CallPlace): string {
  return JSON.stringify([id, repeat, judge]);
}
