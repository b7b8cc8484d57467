/**
 * The registry over `prompts`, `prompt_versions`, `prompt_labels`, `prompt_deployments` and `api_keys`.
 *
 * Every writing transaction takes the row lock of `registry_state` first. That puts registry writes of all processes in
 * line: what a transaction reads after it is current, commit order is revision order, and no two can deadlock.
 */
import type postgres from 'postgres';
import type { LabelMove, RegistryStore } from '../application/registry-store.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { Deployment, NewPromptVersion, PromptVersion } from '../domain/prompt-version.ts';
import { defaultStatementTimeoutMs, sqlStateOf, toStoreError, withDeadline } from './connection.ts';
import type { QueryCatalog, Sql } from './query-catalog.ts';
import {
  fromApiKey,
  fromPromptVersion,
  toApiKey,
  toDeployment,
  toLabel,
  toPromptVersion,
} from './registry-rows.ts';

export interface PostgresRegistryStore extends RegistryStore {
  /** The ledger of a prompt, or of one of its labels: newest first. */
  listDeployments(promptName: string, page: { label?: string; limit: number }): Promise<Deployment[]>;
}

export interface RegistryStoreOptions {
  /** Subscribes to changes that other processes announce; left out where nobody can be heard. */
  readonly listen?: (listener: () => void) => Promise<void>;
  /** How long one verb may take before it counts as failed, in milliseconds. */
  readonly deadlineMs?: number;
}

type Queries = ReturnType<typeof bindQueries>;

export function createRegistryStore(
  sql: postgres.Sql,
  queries: QueryCatalog,
  options: RegistryStoreOptions = {},
): PostgresRegistryStore {
  // A verb is a handful of statements behind one lock; past this nobody answers any more.
  const deadlineMs = options.deadlineMs ?? 2 * defaultStatementTimeoutMs;
  const run = bindQueries(queries);

  async function read<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await withDeadline(work(), deadlineMs);
    } catch (error) {
      throw toStoreError(error, 'reading');
    }
  }

  async function write<T>(work: (tx: Sql) => Promise<T>): Promise<T> {
    const transaction = sql.begin(async (tx) => {
      await run.lock(tx);
      return { result: await work(tx) };
    });
    try {
      return (await withDeadline(transaction, deadlineMs)).result;
    } catch (error) {
      throw toStoreError(error, 'registering');
    }
  }

  return {
    revision: () => read(async () => Number((await run.revision(sql))[0]?.revision)),
    loadChanges: (sinceRevision) =>
      // One snapshot, so that labels never point at versions that the same answer lacks.
      read(() =>
        sql.begin('isolation level repeatable read read only', async (tx) => ({
          revision: Number((await run.revision(tx))[0]?.revision),
          versions: (await run.listVersionsSince(tx, sinceRevision)).map(toPromptVersion),
          labels: (await run.listLabels(tx)).map(toLabel),
          keys: (await run.listKeys(tx)).map(toApiKey),
        })),
      ),
    onChange: async (listener) => options.listen?.(listener),
    async addVersion(version, actor) {
      // A sync at every start-up finds nearly everything in place: look before taking the lock.
      const find = () => run.findVersion(sql, version.name, version.version);
      const [there] = await read(async () => (await find()).map(toPromptVersion));
      if (there) return existing(version, there);
      return write((tx) => addVersion(run, tx, version, actor));
    },
    moveLabel: (move) => write((tx) => moveLabel(run, tx, move)),
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
    listDeployments: (promptName, { label, limit }) =>
      read(async () => (await run.listDeployments(sql, promptName, label ?? null, limit)).map(toDeployment)),
  };
}

function bindQueries(queries: QueryCatalog) {
  return {
    lock: queries.bind('lockRegistry'),
    revision: queries.bind('readRevision'),
    listVersionsSince: queries.bind('listVersionsSince'),
    listLabels: queries.bind('listLabels'),
    listKeys: queries.bind('listKeys'),
    findVersion: queries.bind('findVersion'),
    insertPrompt: queries.bind('insertPrompt'),
    insertVersion: queries.bind('insertVersion'),
    findLabel: queries.bind('findLabel'),
    insertDeployment: queries.bind('insertDeployment'),
    pointLabel: queries.bind('pointLabel'),
    listDeployments: queries.bind('listDeployments'),
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

async function addVersion(run: Queries, tx: Sql, version: NewPromptVersion, actor: string) {
  const [found] = await run.findVersion(tx, version.name, version.version);
  if (found) return existing(version, toPromptVersion(found));
  await run.insertPrompt(tx, version.name, actor);
  const [row] = await run.insertVersion(tx, ...fromPromptVersion(version, actor));
  return { created: true, version: toPromptVersion(row ?? {}) };
}

async function moveLabel(run: Queries, tx: Sql, move: LabelMove): Promise<Deployment | null> {
  const { promptName, label, toVersion, expectedVersion } = move;
  const [target] = await run.findVersion(tx, promptName, toVersion);
  if (!target) throw new PromptgateError('not_found', `"${promptName}" has no version ${toVersion}.`);
  const [row] = await run.findLabel(tx, promptName, label);
  const held = row ? toLabel(row).version : null;
  if (expectedVersion !== undefined && expectedVersion !== held) {
    throw new PromptgateError(
      'conflict',
      `Label "${label}" of "${promptName}" ${held === null ? 'points at nothing' : `points at version ${held}`}, not ${expectedVersion === null ? 'at nothing' : `at version ${expectedVersion}`} as expected.`,
    );
  }
  if (held === toVersion) return null;
  const [ledger] = await run.insertDeployment(
    tx,
    ...[promptName, label, move.kind, held, toVersion, move.actor, move.reason, move.gitCommit],
  );
  const deployment = toDeployment(ledger ?? {});
  await run.pointLabel(tx, promptName, label, toVersion, deployment.id);
  return deployment;
}
