/** Opens the one database of a gateway, embedded or not, and hands out what the application needs of it. */

import type { AuditKeeping } from '../application/audit-verification.ts';
import type { BudgetStore } from '../application/budget-store.ts';
import type { CostStore } from '../application/cost-store.ts';
import type { DriftStore } from '../application/drift-store.ts';
import type { EvaluationStore } from '../application/evaluation-store.ts';
import type { JobQueue } from '../application/job-queue.ts';
import type { ProbeStore } from '../application/probe-store.ts';
import type { RegistryStore } from '../application/registry-store.ts';
import type { ReplayStore } from '../application/replay-store.ts';
import type { SummaryStore } from '../application/summary-store.ts';
import type { WebhookStore } from '../application/webhook-post.ts';
import { createAuditKeeping } from './audit-keeping.ts';
import { createAuditStore, type PostgresAuditStore } from './audit-store.ts';
import { createBudgetStore } from './budget-store.ts';
import {
  connect,
  createPool,
  defaultStatementTimeoutMs,
  poolerOf,
  toStoreError,
  withDeadline,
} from './connection.ts';
import { createCostStore } from './cost-store.ts';
import { createDriftStore } from './drift-store.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase } from './embedded-database.ts';
import { createEvaluationStore } from './evaluation-store.ts';
import { openJobQueue } from './job-queue.ts';
import { type Migration, type MigrationStatus, migrate, migrationStatus } from './migrator.ts';
import { type OpenAuditTrail, type OpenAuditTrailOptions, openAuditTrail } from './open-audit-trail.ts';
import { createProbeStore } from './probe-store.ts';
import { loadQueries } from './query-catalog.ts';
import { createRegistryListener } from './registry-listener.ts';
import { createRegistryStore, type MoveObserver } from './registry-store.ts';
import { createReplayStore } from './replay-store.ts';
import { createSummaryStore } from './summary-store.ts';
import { createWebhookStore } from './webhook-store.ts';

export interface OpenStoreOptions extends MoveObserver {
  /** The server stops a statement that takes longer, in milliseconds. PGlite has no such clock. */
  readonly statementTimeoutMs?: number;
  /** Whole months of executions to keep before the current one; absent: all. Older ones are dropped daily. */
  readonly retentionMonths?: number;
  /** The embedded database died: everything that follows fails. */
  readonly onCrash?: (error: unknown) => void;
}

export interface Store {
  readonly kind: 'postgres' | 'embedded';
  /** For a person: which database this is. Holds no password. */
  readonly describe: string;
  readonly registry: RegistryStore;
  readonly evaluations: EvaluationStore;
  readonly audit: PostgresAuditStore;
  readonly keeping: AuditKeeping;
  readonly costs: CostStore;
  readonly drift: DriftStore;
  readonly budgets: BudgetStore;
  readonly summaries: SummaryStore;
  readonly probes: ProbeStore;
  readonly webhooks: WebhookStore;
  readonly replays: ReplayStore;
  /** The way of calls into the audit trail, on connections of its own; close it before the store. */
  openAuditTrail(options: OpenAuditTrailOptions): Promise<OpenAuditTrail>;
  /** The job library, on connections of its own; stop it before the store. @throws PromptgateError internal — it cannot work here */
  openJobQueue(onError: (error: unknown) => void): Promise<JobQueue>;
  /** Brings the schema up to date and makes sure that the months ahead have partitions. @returns what was applied */
  migrate(): Promise<Migration[]>;
  migrationStatus(): Promise<MigrationStatus[]>;
  /** @throws PromptgateError — the database does not answer */
  ping(): Promise<void>;
  /** Embedded only: tells a second process where to find this gateway. */
  publishAddress(address: string): void;
  close(): Promise<void>;
}

const dayMs = 86_400_000;
const pingDeadlineMs = 2_000;
/** PGlite has one session; a few connections let a transaction and a read wait in its line and not in ours. */
const embeddedConnections = 4;

/** @throws PromptgateError — the URL cannot be read, or the data directory is in use */
export async function openStore(
  target: { readonly databaseUrl: string } | { readonly embeddedDir: string },
  options: OpenStoreOptions = {},
): Promise<Store> {
  const embedded = 'embeddedDir' in target ? await openEmbedded(target.embeddedDir, options) : undefined;
  const url = 'embeddedDir' in target ? (embedded?.url ?? '') : target.databaseUrl;
  try {
    return storeAt(url, embedded, describe(target), options);
  } catch (error) {
    await embedded?.close();
    throw error;
  }
}

function openEmbedded(directory: string, { onCrash }: OpenStoreOptions): Promise<EmbeddedDatabase> {
  return openEmbeddedDatabase({ directory, ...(onCrash ? { onCrash } : {}) });
}

function storeAt(
  url: string,
  embedded: EmbeddedDatabase | undefined,
  describe: string,
  options: OpenStoreOptions,
): Store {
  const statementTimeoutMs = options.statementTimeoutMs ?? defaultStatementTimeoutMs;
  const queries = loadQueries();
  const connections = { statementTimeoutMs, ...(embedded ? { max: embeddedConnections } : {}) };
  const pool = createPool(url, connections);
  // Behind a transaction pooler a LISTEN would reach nobody: the poll is there for that.
  const listener = poolerOf(url) === undefined ? createRegistryListener(url, queries) : undefined;
  const deadlineMs = statementTimeoutMs + 2_000;
  const audit = createAuditStore(pool, queries, { deadlineMs });
  const looks = createPool(url, { statementTimeoutMs, max: 2 });
  const registry = createRegistryStore(pool, queries, {
    looks,
    ...(listener ? { listen: listener.listen } : {}),
    deadlineMs: 2 * statementTimeoutMs,
    ...(options.onMove ? { onMove: options.onMove } : {}),
    ...(options.onGateRefusal ? { onGateRefusal: options.onGateRefusal } : {}),
  });
  const open = () => connect(url, { ...connections, max: 1 });
  const keeping = createAuditKeeping(open, queries);
  let daily: NodeJS.Timeout | undefined;

  async function keepMonths(): Promise<void> {
    // Months are made ahead and the default partition catches the rest: a failure may wait for tomorrow.
    await audit.ensurePartitions().catch(() => {});
    await audit.forgetExpired().catch(() => {});
    if (options.retentionMonths !== undefined) {
      await keeping.retain(options.retentionMonths, 'system').catch(() => {});
    }
  }

  return {
    kind: embedded ? 'embedded' : 'postgres',
    describe,
    registry,
    evaluations: createEvaluationStore(pool, queries, { deadlineMs: 2 * statementTimeoutMs }),
    audit,
    keeping,
    replays: createReplayStore(pool, queries, { deadlineMs: 2 * statementTimeoutMs }),
    costs: createCostStore(pool, open, queries),
    drift: createDriftStore(pool, queries),
    budgets: createBudgetStore(pool, queries),
    summaries: createSummaryStore(pool, queries),
    probes: createProbeStore(pool, queries),
    webhooks: createWebhookStore(pool, queries),
    openAuditTrail: (options) => openAuditTrail({ url, queries, alone: embedded !== undefined }, options),
    openJobQueue: (onError) => openJobQueue({ url, embedded: embedded !== undefined, onError }),
    async migrate() {
      const applied = await migrate(pool.sql, queries);
      await keepMonths();
      daily ??= setInterval(() => void keepMonths(), dayMs).unref();
      return applied;
    },
    migrationStatus: () => migrationStatus(pool.sql, queries),
    async ping() {
      try {
        await withDeadline(registry.revision(), pingDeadlineMs);
      } catch (error) {
        throw toStoreError(error, 'reading');
      }
    },
    publishAddress: (address) => embedded?.publishAddress(address),
    async close() {
      clearInterval(daily);
      await listener?.close();
      await looks.end();
      await pool.end();
      await embedded?.close();
    },
  };
}

function describe(target: { databaseUrl: string } | { embeddedDir: string }): string {
  if ('embeddedDir' in target) return `embedded database in ${target.embeddedDir}`;
  const url = URL.canParse(target.databaseUrl) ? new URL(target.databaseUrl) : undefined;
  return url ? `PostgreSQL ${url.host}${url.pathname}` : 'PostgreSQL';
}
