import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { StoredExecution } from '../domain/execution.ts';
import type { AuditStore, ExecutionFilter } from './audit-store.ts';

/** A key without `admin` sees its own calls only: the audit holds other callers' data. */
function isVisible(actor: Actor, execution: StoredExecution): boolean {
  return actor.scopes.includes('admin') || (actor.keyId !== null && execution.keyId === actor.keyId);
}

export interface ExecutionRecord {
  readonly execution: StoredExecution;
  /** What came home after recovery had made the outcome `unknown`. */
  readonly late: StoredExecution | undefined;
}

/** @throws PromptgateError not_found — also when it belongs to another key */
export async function getExecution(audit: AuditStore, actor: Actor, id: string): Promise<ExecutionRecord> {
  const execution = await audit.findExecution(id);
  if (!execution || !isVisible(actor, execution)) {
    throw new PromptgateError('not_found', 'There is no execution of that id, or this key may not see it.');
  }
  return { execution, late: execution.status === 'unknown' ? await audit.findLateOutcome(id) : undefined };
}

/** Newest first; `nextCursor` is null on the last page. */
export async function listExecutions(
  audit: AuditStore,
  actor: Actor,
  filter: ExecutionFilter,
  page: { limit: number; before?: string },
): Promise<{ executions: StoredExecution[]; nextCursor: string | null }> {
  const own = actor.scopes.includes('admin') ? filter : { ...filter, keyId: actor.keyId ?? '' };
  const rows = await audit.listExecutions(own, { ...page, limit: page.limit + 1 });
  const executions = rows.slice(0, page.limit);
  return { executions, nextCursor: rows.length > page.limit ? (executions.at(-1)?.id ?? null) : null };
}
