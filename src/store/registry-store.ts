/** The registry over `prompts`, `prompt_versions`, `prompt_labels`, `prompt_deployments` and `api_keys`. */
import { isDeepStrictEqual } from 'node:util';
import type { LabelPolicyChange, RegistryStore } from '../application/registry-store.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { ArchiveFact, Deployment, NewPromptVersion, PromptVersion } from '../domain/prompt-version.ts';
import { defaultStatementTimeoutMs, type Pool, sqlStateOf } from './connection.ts';
import { applyPolicyChange, fromLabelPolicy, toLabelPolicy } from './gate-rows.ts';
import { bindLabelMoves } from './label-moves.ts';
import type { QueryCatalog, Sql } from './query-catalog.ts';
import {
  fromApiKey,
  fromPromptVersion,
  toApiKey,
  toArchiveFact,
  toDeployment,
  toHeldLabel,
  toLabel,
  toPromptVersion,
} from './registry-rows.ts';
import { bindRegistryTransactions } from './registry-transactions.ts';
import { inTransaction, snapshot } from './transaction.ts';

/** Who hears of label moves, whichever verb asked for them. */
export interface MoveObserver {
  /** A label moved, and the move is committed. */
  readonly onMove?: (move: Deployment) => void;
  /** A move was tried, and a gate refused it for want of evidence. */
  readonly onGateRefusal?: (label: string) => void;
}

export interface RegistryStoreOptions extends MoveObserver {
  /** Subscribes to changes that other processes announce; left out where nobody can be heard. */
  readonly listen?: (listener: () => void) => Promise<void>;
  /** Connections for nothing but the snapshot's looks, so that nobody else's wait makes the snapshot old. */
  readonly looks?: Pool;
  /** How long one verb may take before it counts as failed, in milliseconds. */
  readonly deadlineMs?: number;
}

/** One row that is always in memory: what takes longer will not come. */
const revisionDeadlineMs = 2_000;

type Queries = ReturnType<typeof bindQueries>;

export function createRegistryStore(
  pool: Pool,
  queries: QueryCatalog,
  options: RegistryStoreOptions = {},
): RegistryStore {
  // A verb is a handful of statements behind one lock; past this nobody answers any more.
  const deadlineMs = options.deadlineMs ?? 2 * defaultStatementTimeoutMs;
  const run = bindQueries(queries);
  const labels = bindLabelMoves(queries, options.onGateRefusal);
  const tell = <Move extends Deployment | null>(move: Move): Move => {
    if (move) options.onMove?.(move);
    return move;
  };

  const looks: Pool = options.looks ?? pool;
  const { read, write } = bindRegistryTransactions(pool, queries, deadlineMs);

  return {
    revision: () =>
      read(async (sql) => Number((await run.revision(sql))[0]?.revision), looks, revisionDeadlineMs),
    loadChanges: (sinceRevision) =>
      // One snapshot, so that labels never point at versions that the same answer lacks.
      read(
        (sql) =>
          inTransaction(
            sql,
            async (tx) => ({
              revision: Number((await run.revision(tx))[0]?.revision),
              versions: (await run.listVersionsSince(tx, sinceRevision)).map(toPromptVersion),
              labels: (await run.listLabels(tx)).map(toLabel),
              archives: (await run.listArchives(tx)).map(toArchiveFact),
              keys: (await run.listKeys(tx)).map(toApiKey),
            }),
            snapshot,
          ),
        looks,
      ),
    onChange: async (listener) => options.listen?.(listener),
    async addVersion(version, actor, options = {}) {
      // A sync at every start-up finds nearly everything in place: look before taking the lock.
      const find = (sql: Sql) => run.findVersion(sql, version.name, version.version);
      const [there] = await read(async (sql) => (await find(sql)).map(toPromptVersion));
      if (there) return existing(version, there);
      return write((tx) => addVersion(run, tx, version, actor, options.allowBackfill ?? false));
    },
    moveLabel: async (move) => tell(await write((tx) => labels.move(tx, move))),
    rollBack: async (rollback) => tell(await write((tx) => labels.rollBack(tx, rollback))),
    labelsAt: (at) => read(async (sql) => (await run.listLabelsAt(sql, at)).map(toHeldLabel)),
    archive: (fact) => write((tx) => archive(run, tx, fact)),
    setLabelPolicy: (policy) => write((tx) => setLabelPolicy(run, tx, policy)),
    explainRefusal: (move) =>
      read(async (sql) => (await labels.explain(sql, { ...move, kind: 'sync' }))?.message ?? null),
    listLabelPolicies: (label) =>
      read(async (sql) => (await run.listLabelPolicies(sql, label)).map(toLabelPolicy)),
    createKey: (key) =>
      write(async (tx) => {
        try {
          await run.insertKey(tx, ...fromApiKey(key));
        } catch (error) {
          if (sqlStateOf(error) !== '23505') throw error;
          throw new PromptgateError(
            'conflict',
            `There is a key named "${key.name}" already. Revoke it first, or choose another name.`,
          );
        }
      }),
    revokeKey: (idOrName) =>
      write(async (tx) => {
        const [found] = await run.findKey(tx, idOrName);
        if (!found) return undefined;
        const key = toApiKey(found);
        const [revoked] = await run.revokeKey(tx, key.id);
        return revoked ? toApiKey(revoked) : key;
      }),
    listDeployments: (promptName, { label, limit, before }) =>
      read(async (sql) =>
        (await run.listDeployments(sql, promptName, label ?? null, before ?? null, limit)).map(toDeployment),
      ),
  };
}

function bindQueries(queries: QueryCatalog) {
  return {
    revision: queries.bind('readRevision'),
    listVersionsSince: queries.bind('listVersionsSince'),
    listLabels: queries.bind('listLabels'),
    listKeys: queries.bind('listKeys'),
    findVersion: queries.bind('findVersion'),
    findPrompt: queries.bind('findPrompt'),
    newestVersion: queries.bind('newestVersion'),
    insertPrompt: queries.bind('insertPrompt'),
    insertVersion: queries.bind('insertVersion'),
    listDeployments: queries.bind('listDeployments'),
    listLabelsAt: queries.bind('listLabelsAt'),
    listArchives: queries.bind('listArchives'),
    findArchive: queries.bind('findArchive'),
    insertArchive: queries.bind('insertArchive'),
    listLabelPolicies: queries.bind('listLabelPolicies'),
    findLabelPolicy: queries.bind('findLabelPolicy'),
    insertLabelPolicy: queries.bind('insertLabelPolicy'),
    insertKey: queries.bind('insertKey'),
    findKey: queries.bind('findKey'),
    revokeKey: queries.bind('revokeKey'),
  };
}

function existing(
  wanted: NewPromptVersion,
  found: PromptVersion,
): { created: false; version: PromptVersion } {
  if (found.checksum === wanted.checksum) return { created: false, version: found };
  throw new PromptgateError(
    'conflict',
    `Version ${wanted.version} of "${wanted.name}" exists with other content, and a version never changes. Raise the version number.`,
  );
}

async function addVersion(
  run: Queries,
  tx: Sql,
  version: NewPromptVersion,
  actor: string,
  allowBackfill: boolean,
) {
  const [found] = await run.findVersion(tx, version.name, version.version);
  if (found) return existing(version, toPromptVersion(found));
  const newest = Number((await run.newestVersion(tx, version.name))[0]?.newest ?? 0);
  if (version.version < newest && !allowBackfill) {
    throw new PromptgateError(
      'conflict',
      `Version ${version.version} of "${version.name}" is older than the newest, ${newest}. Raise the version number, or allow a backfill.`,
    );
  }
  await run.insertPrompt(tx, version.name, actor);
  const [row] = await run.insertVersion(tx, ...fromPromptVersion(version, actor));
  return { created: true, version: toPromptVersion(row ?? {}) };
}

async function archive(run: Queries, tx: Sql, fact: Omit<ArchiveFact, 'createdAt'>) {
  const { promptName, version, archived } = fact;
  const [subject] =
    version === null ? await run.findPrompt(tx, promptName) : await run.findVersion(tx, promptName, version);
  if (!subject) {
    const what =
      version === null ? `There is no prompt "${promptName}".` : `"${promptName}" has no version ${version}.`;
    throw new PromptgateError('not_found', what);
  }
  const [latest] = await run.findArchive(tx, promptName, version);
  if ((latest ? toArchiveFact(latest).archived : false) === archived) return null;
  const [row] = await run.insertArchive(tx, promptName, version, archived, fact.actor, fact.reason);
  return toArchiveFact(row ?? {});
}

async function setLabelPolicy(run: Queries, tx: Sql, change: LabelPolicyChange) {
  const { label, promptName = null, actor, reason } = change;
  if (promptName !== null && !(await run.findPrompt(tx, promptName))[0]) {
    throw new PromptgateError('not_found', `There is no prompt "${promptName}".`);
  }
  const [latest] = await run.findLabelPolicy(tx, label, promptName);
  const before = applyPolicyChange(latest && toLabelPolicy(latest), { label, promptName, actor, reason });
  const after = applyPolicyChange(before, change);
  if (isDeepStrictEqual(before, after)) return null;
  const [row] = await run.insertLabelPolicy(
    tx,
    ...fromLabelPolicy({ label, promptName, actor, reason, ...after }),
  );
  return toLabelPolicy(row ?? {});
}
