/** The audit trail over `ai_execution_intents` and `ai_executions`. Every write may be repeated without harm. */
import type postgres from 'postgres';
import type { AuditStore, ExecutionFilter } from '../application/audit-store.ts';
import type { Intent } from '../domain/execution.ts';
import { defaultStatementTimeoutMs, toStoreError, withDeadline } from './connection.ts';
import { fromExecutions, fromIntents, toIntent, toStoredExecution } from './execution-rows.ts';
import type { QueryCatalog } from './query-catalog.ts';

export interface PostgresAuditStore extends AuditStore {
  /** Calls admitted before `admittedBefore` that never ended, the last attempt of each: what recovery has to settle. */
  listStaleIntents(admittedBefore: Date, limit: number): Promise<Intent[]>;
  /** Creates the partitions of this month and the next three; harmless to repeat. @returns how many it created */
  ensurePartitions(): Promise<number>;
}

export interface AuditStoreOptions {
  /** How long a read or write may take before it counts as failed, in milliseconds. */
  readonly deadlineMs?: number;
}

/** Id and start are made one after the other by one clock; the slack is for a clock that was corrected in between. */
const clockSlackMs = 3_600_000;
const firstId = '00000000-0000-0000-0000-000000000000';
const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
const partitionsAhead = 3;
const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function createAuditStore(
  sql: postgres.Sql,
  queries: QueryCatalog,
  options: AuditStoreOptions = {},
): PostgresAuditStore {
  // Past the server's own timeout, which says more; this is for a server that says nothing.
  const deadlineMs = options.deadlineMs ?? defaultStatementTimeoutMs + 2_000;
  const run = bindQueries(queries);

  async function guard<T>(doing: 'auditing' | 'reading', work: () => Promise<T>): Promise<T> {
    try {
      return await withDeadline(work(), deadlineMs);
    } catch (error) {
      throw toStoreError(error, doing);
    }
  }

  return {
    async writeIntents(intents) {
      if (intents.length === 0) return;
      await guard('auditing', () => run.insertIntents(sql, fromIntents(intents)));
    },
    async settle(executions) {
      if (executions.length === 0) return;
      await guard('auditing', () => run.settleExecutions(sql, fromExecutions(executions)));
    },
    async findExecution(id) {
      if (!uuidPattern.test(id)) return undefined;
      return guard('reading', async () => (await run.findExecution(sql, id)).map(toStoredExecution)[0]);
    },
    async listExecutions(filter, { limit, before }) {
      if (before !== undefined && !uuidPattern.test(before)) return [];
      const list = run[shapeOf(filter)];
      const args = listArguments(filter, limit, before);
      return guard('reading', async () => (await list(sql, ...args)).map(toStoredExecution));
    },
    async listStaleIntents(admittedBefore, limit) {
      const stale = () => run.listStaleIntents(sql, admittedBefore, limit);
      return guard('reading', async () => (await stale()).map(toIntent));
    },
    async ensurePartitions() {
      const [row] = await guard('auditing', () => run.ensurePartitions(sql, partitionsAhead));
      return Number(row?.created ?? 0);
    },
  };
}

function bindQueries(queries: QueryCatalog) {
  return {
    insertIntents: queries.bind('insertIntents'),
    settleExecutions: queries.bind('settleExecutions'),
    findExecution: queries.bind('findExecution'),
    listStaleIntents: queries.bind('listStaleIntents'),
    ensurePartitions: queries.bind('ensureExecutionPartitions'),
    recent: queries.bind('listExecutions'),
    ofPrompt: queries.bind('listExecutionsOfPrompt'),
    ofKey: queries.bind('listExecutionsOfKey'),
    ofStatus: queries.bind('listExecutionsOfStatus'),
  };
}

/** The index to walk: the filter that usually leaves least. */
function shapeOf(filter: ExecutionFilter): 'ofPrompt' | 'ofKey' | 'ofStatus' | 'recent' {
  if (filter.promptName !== undefined) return 'ofPrompt';
  if (filter.keyId !== undefined) return 'ofKey';
  return filter.status === undefined ? 'recent' : 'ofStatus';
}

function listArguments(filter: ExecutionFilter, limit: number, before: string | undefined) {
  const until = filter.until && firstIdAt(filter.until.getTime() + clockSlackMs);
  const upper = [before?.toLowerCase(), until, lastId].filter((id) => id !== undefined).sort()[0] ?? lastId;
  const lower = filter.since ? firstIdAt(filter.since.getTime() - clockSlackMs) : firstId;
  return [
    upper,
    lower,
    filter.since ?? null,
    filter.until ?? null,
    filter.promptName ?? null,
    filter.promptVersion ?? null,
    filter.label ?? null,
    filter.status ?? null,
    filter.keyId ?? null,
    limit,
  ];
}

/** The smallest UUIDv7 of a millisecond. */
function firstIdAt(epochMs: number): string {
  const hex = Math.min(Math.max(0, epochMs), 2 ** 48 - 1)
    .toString(16)
    .padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
