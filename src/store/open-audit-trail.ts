/** Composes the audit trail of one gateway and keeps it: the lease, the recovery of what dead gateways left. */
import type { Execution, Intent } from '../domain/execution.ts';
import { createAuditStore } from './audit-store.ts';
import {
  type AuditSink,
  type AuditTrailHealth,
  type AuditTrailOptions,
  createAuditTrail,
  databaseSink,
  type WritableAuditTrail,
} from './audit-trail.ts';
import { createPool } from './connection.ts';
import { lockDirectory } from './directory-lock.ts';
import { createGatewayLease } from './gateway-lease.ts';
import type { QueryCatalog } from './query-catalog.ts';
import { createSpool, type Spool, type SpoolEvent } from './spool.ts';
import { openSpoolJournal, type SpoolJournalOptions } from './spool-journal.ts';

export interface OpenAuditTrailOptions extends AuditTrailOptions {
  /** What becomes of a call whose gateway died. */
  readonly toUnknown: (intent: Intent) => Execution;
  readonly onRecovered: (executions: readonly Execution[]) => void;
  /** A gateway that is known to be dead: what it left is recovered at once. */
  readonly predecessor?: string | null;
  /** Present: the mode `spool`. The directories belong to this process alone. */
  readonly spool?: {
    readonly directory: string;
    /** Of workers that there are no more: what is in them is replayed, nothing is added. */
    readonly orphans?: readonly string[];
    readonly maxBytes: number;
    readonly maxAgeMs: number;
    readonly onChange: (event: SpoolEvent) => void;
    readonly openFile?: SpoolJournalOptions['openFile'];
  };
}

export interface OpenAuditTrailHealth extends AuditTrailHealth {
  readonly mode: 'strict' | 'spool';
  readonly recovered: number;
  /** Rows go to the journal now. */
  readonly spooling: boolean;
  readonly spoolBytes: number;
  /** Nothing more is admitted while spooling. */
  readonly spoolFull: boolean;
}

export interface OpenAuditTrail
  extends Pick<WritableAuditTrail, 'writeIntent' | 'findHolder' | 'settle' | 'leave' | 'drain'> {
  readonly gatewayId: string;
  health(): OpenAuditTrailHealth;
  /** Renews the lease and settles what dead gateways left. @throws PromptgateError audit_unavailable */
  keep(): Promise<void>;
  /** Does so from now on, every few seconds, and at once. */
  start(): void;
  close(): Promise<void>;
}

/** A few renewals fit into a lease, and what a dead gateway left is known soon after it expired. */
const keepIntervalMs = 5_000;
const recoveryBatchMax = 100;
/** One for each lane, one for the lease and recovery, so that neither waits for a commit of another. */
const connections = 3;

/**
 * @param database.alone no other process can use this database: the directory lock proves it
 * @throws PromptgateError conflict — another process uses the spool directory
 */
export async function openAuditTrail(
  database: { readonly url: string; readonly queries: QueryCatalog; readonly alone: boolean },
  options: OpenAuditTrailOptions,
): Promise<OpenAuditTrail> {
  // A try that hangs must leave time for another one on new connections.
  const tryTimeoutMs = Math.ceil(options.timeoutMs / 2);
  const pool = createPool(database.url, {
    max: connections,
    connectTimeoutMs: tryTimeoutMs,
    // Intents are few after a vacuum, and many pages of dead rows before the next one. A plan made in between would read them
    // all, and a server that compares what it planned then and now goes over to planning each group anew: twice the CPU of a commit.
    planOnce: true,
  });
  const store = createAuditStore(pool, database.queries, { deadlineMs: tryTimeoutMs });
  const lease = createGatewayLease(store);
  const direct = databaseSink(store, lease);
  // What is replayed is admitted on this lease; one that is only renewed says nothing as long as there is none.
  const spool =
    options.spool && (await openSpool(direct, lease.take, options.spool, () => trail.health().openBytes));
  const orphans: Awaited<ReturnType<typeof openSpool>>[] = [];
  if (options.spool) {
    for (const directory of options.spool.orphans ?? []) {
      orphans.push(await openSpool(direct, lease.take, { ...options.spool, directory }, () => 0));
    }
  }
  let predecessor = options.predecessor;
  const trail: WritableAuditTrail = createAuditTrail(store, spool?.sink ?? direct, lease, options);
  let recovered = 0;
  let recoveryBatch = recoveryBatchMax;
  let timer: NodeJS.Timeout | undefined;
  let keeping: Promise<void> | undefined;

  async function recover(): Promise<void> {
    await lease.renew();
    // Outcomes that an earlier process spooled come first: their intents are not unknown.
    if ([spool, ...orphans].some((one) => one?.sink.health().spooling)) return;
    if (predecessor) await store.endLease(predecessor);
    predecessor = null;
    const abandoned = trail.takeAbandoned();
    const scope = { gatewayId: lease.gatewayId, abandoned, alone: database.alone };
    try {
      for (let more = true; more; ) {
        const executions = await store.recoverIntents(scope, options.toUnknown, recoveryBatch);
        more = executions.length === recoveryBatch;
        if (more) recoveryBatch = Math.min(recoveryBatchMax, 2 * recoveryBatch);
        recovered += executions.length;
        if (executions.length > 0) options.onRecovered(executions);
        // However much there is to recover, this gateway is not given up meanwhile.
        if (more) await lease.renew();
      }
    } catch (error) {
      // Perhaps they are large: a few of them may make it in time where all do not.
      recoveryBatch = Math.ceil(recoveryBatch / 10);
      trail.abandon(abandoned);
      throw error;
    }
  }

  function keep(): Promise<void> {
    keeping ??= recover().finally(() => {
      keeping = undefined;
    });
    return keeping;
  }

  return {
    gatewayId: lease.gatewayId,
    writeIntent: trail.writeIntent,
    findHolder: trail.findHolder,
    settle: trail.settle,
    leave: trail.leave,
    drain: trail.drain,
    health: () => ({
      ...trail.health(),
      recovered,
      mode: spool ? 'spool' : 'strict',
      ...(spool?.sink.health() ?? { spooling: false, spoolBytes: 0, spoolFull: false }),
    }),
    keep,
    start() {
      // A failure is the next tick's: the lanes notice an outage themselves, and sooner.
      const tick = () => void keep().catch(() => {});
      timer ??= setInterval(tick, keepIntervalMs).unref();
      tick();
      for (const { sink } of spool ? [spool, ...orphans] : orphans) sink.start();
    },
    async close() {
      clearInterval(timer);
      await trail.close();
      for (const one of spool ? [spool, ...orphans] : orphans) await one.close();
      await keeping?.catch(() => {});
      await lease.end().catch(() => {});
      await pool.end();
    },
  };
}

async function openSpool(
  direct: AuditSink,
  probe: () => Promise<void>,
  options: NonNullable<OpenAuditTrailOptions['spool']>,
  reservedBytes: () => number,
): Promise<{ sink: Spool; close(): Promise<void> }> {
  const lock = lockDirectory(options.directory);
  try {
    const journal = await openSpoolJournal(options);
    const sink = createSpool(direct, journal, { ...options, probe, reservedBytes });
    return { sink, close: () => sink.close().finally(() => lock.release()) };
  } catch (error) {
    lock.release();
    throw error;
  }
}
