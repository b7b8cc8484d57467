/**
 * The way of every call into the audit trail: room is reserved, then rows are committed in groups.
 *
 * Whoever is admitted has a place for its outcome, so the only thing that is ever refused is an admission, before a
 * provider is called. Intents and outcomes go in two lanes: a large outcome does not hold up a call that wants to begin.
 */
import type { AuditTrail, ClaimHolder, IdempotencyClaim } from '../application/audit-trail.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { PostgresAuditStore } from './audit-store.ts';
import { transferMs, withDeadline } from './connection.ts';
import { fromAdmission, fromExecution, fromIntent } from './execution-rows.ts';
import type { GatewayLease } from './gateway-lease.ts';
import { createWriteCombiner } from './write-combiner.ts';

export interface AuditTrailOptions {
  /** How long a caller may wait for its intent, and for its outcome, in milliseconds. */
  readonly timeoutMs: number;
  /** How long an outcome is tried to be written before it is left to recovery, in milliseconds. */
  readonly settleTimeoutMs: number;
  /** Executions that may be admitted and not settled at one time, and the memory that their records may take. */
  readonly maxOpen: number;
  readonly maxOpenBytes: number;
  /** Hears of every commit. */
  readonly onFlush?: (lane: Lane, rows: number, ms: number) => void;
}

export type Lane = 'intents' | 'outcomes';

export interface AuditTrailHealth {
  /** Rows that wait for a commit. */
  readonly queued: number;
  /** Executions that are admitted and not settled, and the bytes reserved for their records. */
  readonly open: number;
  readonly openBytes: number;
  /** Rows that left the queue without being written and without anyone being told. There is no way for one to. */
  readonly dropped: 0;
}

export interface WritableAuditTrail extends AuditTrail {
  health(): AuditTrailHealth;
  /** Executions that were admitted, whose outcome could not be written; told once. */
  takeAbandoned(): string[];
  /** Puts back what was taken and could not be recovered. */
  abandon(ids: readonly string[]): void;
  /** Resolves when everything is written, or after `timeoutMs`. @returns outcomes that are not durable */
  drain(timeoutMs: number): Promise<number>;
  /** Tries nothing again. What is not durable is left to recovery. */
  close(): Promise<void>;
}

/** Where rows become durable. The rows are those of `fromIntent` and `fromExecution`. */
export interface AuditSink {
  /** @returns for each row what became of it */
  writeIntentRows(rows: readonly string[]): Promise<readonly IntentResult[]>;
  settleRows(rows: readonly string[]): Promise<void>;
}

/**
 * `held`: another execution, or a repetition of this one, holds the claim. `unclaimable`: no claims can be made now.
 * `full`: there is no room for this row and its outcome. `ended`: a further attempt of an execution that recovery has
 * made `unknown` meanwhile.
 */
export type IntentResult = 'written' | 'held' | 'unclaimable' | 'full' | 'ended';

/** An execution that is admitted and not settled. */
interface Open {
  /** What is reserved for its records. */
  bytes: number;
  /** As `fromAdmission`, of those that have an intent: what it says, its outcome says again. */
  admission?: string | undefined;
}

/** What an outcome is expected to need beyond its intent: the answer. */
const outcomeAllowance = 32_768;
const shedRetryAfterMs = 1_000;
/** The second look finds a claim that was released after the first; more would be somebody's race with itself. */
const claimTries = 3;

export function createAuditTrail(
  store: Pick<PostgresAuditStore, 'findClaim' | 'releaseClaim'>,
  sink: AuditSink,
  lease: Pick<GatewayLease, 'gatewayId'>,
  options: AuditTrailOptions,
): WritableAuditTrail {
  const { timeoutMs, settleTimeoutMs } = options;
  const open = new Map<string, Open>();
  let openBytes = 0;
  const settling = new Set<string>();
  let abandoned: string[] = [];
  const shared = {
    isTransient: isUnavailable,
    onTimeout: tooSlow,
  };
  const intents = createWriteCombiner<IntentResult>({
    ...shared,
    timeoutMs,
    flush: (rows) => sink.writeIntentRows(rows),
    onFlush: (rows, ms) => options.onFlush?.('intents', rows, ms),
  });
  const outcomes = createWriteCombiner<undefined>({
    ...shared,
    timeoutMs: settleTimeoutMs,
    flush: async (rows) => {
      await sink.settleRows(rows);
      return rows.map(() => undefined);
    },
    onFlush: (rows, ms) => options.onFlush?.('outcomes', rows, ms),
  });

  function reserve(id: string, bytes: number, admission?: string): void {
    if (open.size >= options.maxOpen || openBytes + bytes > options.maxOpenBytes) {
      throw new PromptgateError(
        'audit_unavailable',
        'Too many calls wait for their audit records. No provider was called; try again shortly.',
        { retryAfterMs: shedRetryAfterMs },
      );
    }
    open.set(id, admission === undefined ? { bytes } : { bytes, admission });
    openBytes += bytes;
  }

  /** An answer longer than was thought: it is written all the same, and what wants to begin has less room. */
  function grow(reserved: Open, bytes: number): void {
    const more = Math.max(0, bytes - reserved.bytes);
    reserved.bytes += more;
    openBytes += more;
  }

  function release(id: string): void {
    const one = open.get(id);
    if (one) {
      openBytes -= one.bytes;
      // An outgrown table of the map may hold it until the next full collection.
      one.admission = undefined;
      open.delete(id);
    }
    settling.delete(id);
  }

  async function write(row: string): Promise<IntentResult> {
    const result = await bounded(intents.write(row), row);
    if (result === 'unclaimable') {
      throw unavailable('Requests with an Idempotency-Key have to wait for it. No provider was called.');
    }
    if (result === 'ended') throw unavailable('This call was given up. No provider was called again.');
    if (result === 'full') throw unavailable('The spool is full. No provider was called.');
    return result;
  }

  const bounded = <T>(work: Promise<T>, row: string): Promise<T> =>
    withDeadline(work, timeoutMs + transferMs(row.length)).catch((error) => {
      throw error instanceof PromptgateError ? error : tooSlow();
    });

  /** Undefined: the claim, and so the intent, is ours. */
  async function holderOf(
    id: string,
    claim: IdempotencyClaim,
  ): Promise<ClaimHolder | 'released' | undefined> {
    const holder = await store.findClaim(claim.scope, claim.key);
    if (!holder) return 'released';
    if (holder.executionId === id) return undefined;
    if (!holder.released) return holder;
    await store.releaseClaim(claim.scope, claim.key, holder.executionId);
    return 'released';
  }

  async function writeClaiming(id: string, row: string, claim: IdempotencyClaim) {
    for (let tries = 0; tries < claimTries; tries++) {
      if ((await write(row)) === 'written') return undefined;
      const holder = await holderOf(id, claim);
      if (holder !== 'released') return holder;
    }
    throw unavailable('The Idempotency-Key is contended. No provider was called.');
  }

  return {
    async writeIntent(intent, claim) {
      const known = open.get(intent.id);
      const admission = known?.admission ?? fromAdmission(intent);
      const { gatewayId } = lease;
      const row = fromIntent(intent, claim ? { gatewayId, claim } : { gatewayId }, admission);
      if (!known) reserve(intent.id, 2 * Buffer.byteLength(row) + outcomeAllowance, admission);
      if (!claim) return void (await write(row));
      const holder = await writeClaiming(intent.id, row, claim);
      // Another execution answers for this request; this one never was.
      if (holder) release(intent.id);
      return holder;
    },
    async findHolder({ scope, key }) {
      const holder = await store.findClaim(scope, key);
      return holder?.released ? undefined : holder;
    },
    async settle(execution) {
      const { id } = execution;
      // A call that was refused has no intent, and so no room yet.
      const admitted = open.get(id);
      const row = fromExecution(execution, admitted?.admission);
      if (admitted) grow(admitted, Buffer.byteLength(row));
      else reserve(id, Buffer.byteLength(row));
      settling.add(id);
      const written = outcomes.write(row);
      written.then(
        () => release(id),
        () => {
          if (admitted) abandoned.push(id);
          release(id);
        },
      );
      await bounded(written, row);
    },
    leave(id) {
      if (!open.has(id) || settling.has(id)) return;
      release(id);
      abandoned.push(id);
    },
    health: () => ({ queued: intents.depth() + outcomes.depth(), open: open.size, openBytes, dropped: 0 }),
    takeAbandoned() {
      const taken = abandoned;
      abandoned = [];
      return taken;
    },
    abandon(ids) {
      abandoned.push(...ids);
    },
    async drain(boundMs) {
      const idle = Promise.all([intents.idle(), outcomes.idle()]);
      await withDeadline(idle, boundMs).catch(() => {});
      return outcomes.depth() + abandoned.length;
    },
    async close() {
      await Promise.all([intents.close(), outcomes.close()]);
    },
  };
}

/** The sink of the mode `strict`: the database or nothing. */
export function databaseSink(store: PostgresAuditStore, lease: GatewayLease): AuditSink {
  return {
    async writeIntentRows(rows) {
      await lease.ensure();
      const refused = await store.writeIntentRows(rows);
      if (refused.size === 0) return rows.map(() => 'written');
      return rows.map((row) => {
        const { id, attempt } = JSON.parse(row);
        if (!refused.has(id)) return 'written';
        return attempt === 1 ? 'held' : 'ended';
      });
    },
    settleRows: (rows) => store.settleRows(rows),
  };
}

/** True when the same write may succeed later. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof PromptgateError && error.code === 'audit_unavailable';
}

function tooSlow(): PromptgateError {
  return unavailable('It did not answer in time.');
}

function unavailable(detail: string): PromptgateError {
  return new PromptgateError('audit_unavailable', `The audit database is not available. ${detail}`, {
    retryAfterMs: shedRetryAfterMs,
  });
}
