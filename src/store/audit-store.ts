/** The tables of the audit trail: intents, outcomes, claims and leases. Every write may be repeated without harm. */
import { z } from 'zod';
import type { AuditStore, ExecutionFilter } from '../application/audit-store.ts';
import type { ClaimHolder } from '../application/audit-trail.ts';
import { type Execution, executionStatuses, type Intent } from '../domain/execution.ts';
import { bindGuard, type Pool } from './connection.ts';
import { fromExecution, fromIntent, toIntent, toStoredExecution, toTrafficCount } from './execution-rows.ts';
import type { QueryCatalog, Row, Sql } from './query-catalog.ts';
import { inTransaction } from './transaction.ts';

export interface RecoveryScope {
  readonly gatewayId: string;
  /** Executions that this gateway gave up itself. */
  readonly abandoned: readonly string[];
  /** No other gateway can be alive: the directory lock proves it. */
  readonly alone: boolean;
}

export interface PostgresAuditStore extends AuditStore {
  /**
   * `writeIntents` for rows that are text already.
   * @returns ids of those that were not admitted: their idempotency claim is held, perhaps by themselves, or (from the
   * second attempt on) they have an outcome
   */
  writeIntentRows(rows: readonly string[]): Promise<ReadonlySet<string>>;
  /** `settle` for rows that are text already. */
  settleRows(rows: readonly string[]): Promise<void>;
  /** @returns the holder, and whether its claim may be taken over */
  findClaim(scope: string, key: string): Promise<(ClaimHolder & { readonly released: boolean }) | undefined>;
  releaseClaim(scope: string, key: string, executionId: string): Promise<void>;
  /**
   * Settles up to `limit` calls whose gateway is dead, as `toOutcome` says, in one transaction. Any number of processes
   * may do so at once. @returns the outcomes
   */
  recoverIntents(
    scope: RecoveryScope,
    toOutcome: (intent: Intent) => Execution,
    limit: number,
  ): Promise<Execution[]>;
  renewLease(gateway: { id: string; host: string; pid: number; leaseMs: number }): Promise<void>;
  endLease(gatewayId: string): Promise<void>;
  /** Deletes idempotency claims and gateways that have expired. */
  forgetExpired(): Promise<void>;
  /** Creates the partitions of this month and the next three; harmless to repeat. @returns how many it created */
  ensurePartitions(): Promise<number>;
}

export interface AuditStoreOptions {
  /** How long a read or write may take before it counts as failed, in milliseconds. */
  readonly deadlineMs?: number;
}

/** Id and start are made one after the other by one clock; the slack is for a clock that was corrected in between. */
export const clockSlackMs = 3_600_000;
const firstId = '00000000-0000-0000-0000-000000000000';
const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
const partitionsAhead = 3;
const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function createAuditStore(
  pool: Pool,
  queries: QueryCatalog,
  options: AuditStoreOptions = {},
): PostgresAuditStore {
  const run = bindQueries(queries);

  const guard = bindGuard(pool, options.deadlineMs);

  async function writeIntentRows(rows: readonly string[]): Promise<ReadonlySet<string>> {
    const group = toArray(rows);
    const kept = await guard('auditing', () => run.insertIntents(pool.sql, group), group.length);
    return new Set(kept.map((row) => String(row.id)));
  }

  async function settleRows(rows: readonly string[]): Promise<void> {
    const length = rows.reduce((sum, row) => sum + row.length, 0);
    await guard('auditing', () => settleIn(pool.sql, rows), length);
  }

  async function settleIn(on: Sql, rows: readonly string[]): Promise<void> {
    const there = await run.settleExecutions(on, toArray(rows));
    if (there.length === 0) return;
    const ids = new Set(there.map((row) => row.id));
    const late = rows.filter((row) => ids.has(JSON.parse(row).id));
    await run.keepLateOutcomes(on, toArray(late));
  }

  return {
    async writeIntents(intents) {
      if (intents.length === 0) return;
      await writeIntentRows(intents.map((intent) => fromIntent(intent, { gatewayId: null })));
    },
    async settle(executions) {
      if (executions.length === 0) return;
      await settleRows(executions.map((execution) => fromExecution(execution)));
    },
    writeIntentRows,
    settleRows,
    async findExecution(id) {
      if (!uuidPattern.test(id)) return undefined;
      return guard('reading', async () => (await run.findExecution(pool.sql, id)).map(toStoredExecution)[0]);
    },
    async listExecutions(filter, { limit, before }) {
      if (before !== undefined && !uuidPattern.test(before)) return [];
      const shape = shapeOf(filter);
      const list = run[shape];
      const args = [
        ...listArguments(filter, limit, before),
        ...(shape === 'ofRequest' ? requestIdsOf(filter) : []),
      ];
      return guard('reading', async () => (await list(pool.sql, ...args)).map(toStoredExecution));
    },
    countTraffic({ since, until, keyId }) {
      const from = firstIdAt(since.getTime() - clockSlackMs);
      const to = firstIdAt(until.getTime() + clockSlackMs);
      return guard('reading', async () =>
        (await run.countTraffic(pool.sql, from, to, since, until, keyId)).map(toTrafficCount),
      );
    },
    countCallsInFlight: (runId, keyId) =>
      guard('reading', async () => Number((await run.countCallsInFlight(pool.sql, runId, keyId))[0]?.calls)),
    async findRetention(id) {
      if (!uuidPattern.test(id)) return undefined;
      const [row] = await guard('reading', () => run.findRetention(pool.sql, monthOf(id)));
      return row && z.date().parse(row.created_at);
    },
    async findLateOutcome(id) {
      if (!uuidPattern.test(id)) return undefined;
      const [row] = await guard('reading', () => run.findLateOutcome(pool.sql, id));
      return row && toStoredExecution({ ...row, created_at: row.recorded_at });
    },
    findClaim: (scope, key) =>
      guard('auditing', async () => (await run.findClaim(pool.sql, scope, key)).map(toClaim)[0]),
    async releaseClaim(scope, key, executionId) {
      await guard('auditing', () => run.releaseClaim(pool.sql, scope, key, executionId));
    },
    recoverIntents: ({ gatewayId, abandoned, alone }, toOutcome, limit) =>
      guard('auditing', async () => {
        return inTransaction(pool.sql, async (tx) => {
          const ids = JSON.stringify(abandoned);
          const expired = await run.lockExpiredIntents(tx, gatewayId, ids, alone, limit);
          const outcomes = expired.map((row) => toOutcome(toIntent(row)));
          if (outcomes.length > 0)
            await settleIn(
              tx,
              outcomes.map((outcome) => fromExecution(outcome)),
            );
          return outcomes;
        });
      }),
    async renewLease({ id, host, pid, leaseMs }) {
      await guard('auditing', () => run.renewLease(pool.sql, id, host, pid, leaseMs / 1000));
    },
    async endLease(gatewayId) {
      await guard('auditing', () => run.endLease(pool.sql, gatewayId));
    },
    async forgetExpired() {
      await guard('auditing', () => run.forgetClaims(pool.sql));
      await guard('auditing', () => run.forgetGateways(pool.sql));
    },
    async ensurePartitions() {
      const [row] = await guard('auditing', () => run.ensurePartitions(pool.sql, partitionsAhead));
      return Number(row?.created ?? 0);
    },
  };
}

function bindQueries(queries: QueryCatalog) {
  return {
    insertIntents: queries.bind('insertIntents'),
    settleExecutions: queries.bind('settleExecutions'),
    findExecution: queries.bind('findExecution'),
    keepLateOutcomes: queries.bind('keepLateOutcomes'),
    findLateOutcome: queries.bind('findLateOutcome'),
    findRetention: queries.bind('findRetention'),
    findClaim: queries.bind('findIdempotencyKey'),
    releaseClaim: queries.bind('releaseIdempotencyKey'),
    forgetClaims: queries.bind('forgetIdempotencyKeys'),
    lockExpiredIntents: queries.bind('lockExpiredIntents'),
    renewLease: queries.bind('renewGatewayLease'),
    endLease: queries.bind('endGatewayLease'),
    forgetGateways: queries.bind('forgetGateways'),
    ensurePartitions: queries.bind('ensureExecutionPartitions'),
    countCallsInFlight: queries.bind('countCallsInFlight'),
    countTraffic: queries.bind('countTraffic'),
    recent: queries.bind('listExecutions'),
    ofPrompt: queries.bind('listExecutionsOfPrompt'),
    ofKey: queries.bind('listExecutionsOfKey'),
    ofStatus: queries.bind('listExecutionsOfStatus'),
    ofRequest: queries.bind('listExecutionsOfRequest', { prepare: false }),
    ofRun: queries.bind('listExecutionsOfRun'),
  };
}

function toArray(rows: readonly string[]): string {
  return `[${rows.join(',')}]`;
}

const claimSchema = z.object({
  execution_id: z.string(),
  fingerprint: z.string(),
  status: z.enum(executionStatuses).nullable(),
  released: z.boolean(),
});

function toClaim(row: Row): ClaimHolder & { readonly released: boolean } {
  const { execution_id, ...rest } = claimSchema.parse(row);
  return { executionId: execution_id, ...rest };
}

function requestIdsOf({ traceId, providerRequestId, requestId }: ExecutionFilter): (string | null)[] {
  return [traceId ?? null, providerRequestId ?? null, requestId ?? null];
}

/** The index to walk: the filter that usually leaves least. */
function shapeOf(
  filter: ExecutionFilter,
): 'ofRun' | 'ofPrompt' | 'ofKey' | 'ofStatus' | 'recent' | 'ofRequest' {
  if (requestIdsOf(filter).some((id) => id !== null)) return 'ofRequest';
  if (filter.runId !== undefined) return 'ofRun';
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
    filter.purpose ?? null,
    filter.runId ?? null,
    limit,
  ];
}

/** `2026_11`: the partition that a UUIDv7 belongs to. */
function monthOf(id: string): string {
  const epochMs = Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
  return new Date(epochMs).toISOString().slice(0, 7).replace('-', '_');
}

/** The smallest UUIDv7 of a millisecond. */
export function firstIdAt(epochMs: number): string {
  const hex = Math.min(Math.max(0, epochMs), 2 ** 48 - 1)
    .toString(16)
    .padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
