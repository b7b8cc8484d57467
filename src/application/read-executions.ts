import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { StoredExecution } from '../domain/execution.ts';
import type { AuditStore, ExecutionFilter } from './audit-store.ts';
import type { BackfilledCost, CostStore } from './cost-store.ts';

/** A key without `admin` sees its own calls only: the audit holds other callers' data. */
function isVisible(actor: Actor, execution: StoredExecution): boolean {
  return actor.scopes.includes('admin') || (actor.keyId !== null && execution.keyId === actor.keyId);
}

export interface ExecutionRecord {
  readonly execution: StoredExecution;
  /** What came home after recovery had made the outcome `unknown`. */
  readonly late: StoredExecution | undefined;
  /** What it cost, where that was worked out after it had settled. */
  readonly backfilled: BackfilledCost | undefined;
}

/** @throws PromptgateError not_found — also when it belongs to another key, or its month is not kept any more */
export async function getExecution(
  { audit, costs }: { readonly audit: AuditStore; readonly costs: Pick<CostStore, 'findBackfilled'> },
  actor: Actor,
  id: string,
): Promise<ExecutionRecord> {
  const execution = await audit.findExecution(id);
  const dropped = execution ? undefined : await audit.findRetention(id);
  if (dropped) {
    throw new PromptgateError(
      'not_found',
      `Retention let the executions of that month go on ${dropped.toISOString().slice(0, 10)}: input and answer of this one are not kept, so it can be neither shown nor replayed.`,
    );
  }
  if (!execution || !isVisible(actor, execution)) {
    throw new PromptgateError('not_found', 'There is no execution of that id, or this key may not see it.');
  }
  const late = execution.status === 'unknown' ? await audit.findLateOutcome(id) : undefined;
  const { billed } = (late ?? execution).price;
  return { execution, late, backfilled: billed === null ? undefined : await costs.findBackfilled(id) };
}

/** A row may hold megabytes of variables and output: so many are read at once, and a page of so many characters ends. */
const rowsAtOnce = 25;
const pageSizeMax = 8 * 1_048_576;

/** Newest first; `nextCursor` is null on the last page. A page of large executions is shorter than its limit. */
export async function listExecutions(
  audit: AuditStore,
  actor: Actor,
  filter: ExecutionFilter,
  page: { limit: number; before?: string },
): Promise<{ executions: StoredExecution[]; nextCursor: string | null }> {
  const own = actor.scopes.includes('admin') ? filter : { ...filter, keyId: actor.keyId ?? '' };
  const executions: StoredExecution[] = [];
  let before = page.before;
  let size = 0;
  for (;;) {
    const limit = Math.min(rowsAtOnce, page.limit - executions.length);
    const rows = await audit.listExecutions(own, { limit: limit + 1, ...(before ? { before } : {}) });
    const read = rows.slice(0, limit);
    executions.push(...read);
    if (rows.length <= limit) return { executions, nextCursor: null };
    before = read.at(-1)!.id;
    for (const row of read) size += sizeOf(row);
    if (executions.length >= page.limit || size > pageSizeMax) return { executions, nextCursor: before };
  }
}

function sizeOf({ inputPayload, rawOutput, reasoning }: StoredExecution): number {
  return JSON.stringify([inputPayload, reasoning]).length + (rawOutput?.length ?? 0);
}
