/** What an earlier part of a run has left: its rows are all there is to go on from, and all that is needed. */
import type { StoredExecution } from '../domain/execution.ts';
import type { AuditStore } from './audit-store.ts';

const rowsAtOnce = 200;

/** Every execution of a run, newest first. */
export async function readRunRows(
  audit: Pick<AuditStore, 'listExecutions'>,
  runId: string,
): Promise<StoredExecution[]> {
  const rows: StoredExecution[] = [];
  for (let before: string | undefined; ; ) {
    const page = await audit.listExecutions({ runId }, { limit: rowsAtOnce, ...(before ? { before } : {}) });
    rows.push(...page);
    if (page.length < rowsAtOnce) return rows;
    before = page.at(-1)!.id;
  }
}

/** Those that were made, and may have been paid for, oldest first: what was refused before any call may be tried again. */
export function keepCalled(rows: readonly StoredExecution[]): StoredExecution[] {
  return rows.filter(({ attempts, status }) => attempts.length > 0 || status === 'unknown').reverse();
}
