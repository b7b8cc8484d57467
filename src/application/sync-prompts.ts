/**
 * Definition files → immutable versions: carries out what `planSync` finds, each file in a transaction of its own, so
 * that one that is broken never stops or half-applies the rest. Doing it twice, or in two processes at once, ends in
 * the same state.
 */
import type { Actor } from '../domain/api-key.ts';
import type { Definition, DefinitionIssue } from '../domain/definition.ts';
import type { DefinitionDiff } from '../domain/definition-diff.ts';
import { type ErrorCode, PromptgateError, toPromptgateError } from '../domain/errors.ts';
import type { Deployment, NewPromptVersion, PromptVersion } from '../domain/prompt-version.ts';
import { authorizeLabel } from './authorize.ts';
import type { DefinitionFile, FileCommit } from './definition-set.ts';
import {
  type PlanDependencies,
  type PlannedFile,
  type PlannedMove,
  planMoves,
  planSync,
} from './plan-sync.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';
import type { LabelMove } from './registry-store.ts';
import { passedVersions, refuseUndeclaredBreak } from './review-move.ts';
import { retireProbes, type SuiteFile, type SyncedSuite, syncSuites } from './sync-suites.ts';

export interface SyncRequest {
  readonly files: readonly DefinitionFile[];
  /** All suites of the files; left out: nothing is said of them, and no probe is ended. */
  readonly suites?: readonly SuiteFile[];
  readonly actor: Actor;
  /** Commit that the whole tree is at: it goes into the ledger of what this sync moves. */
  readonly gitCommit?: string | null;
  readonly allowBackfill?: boolean;
  /** Moves a label to what the files say: the highest version of each prompt in them. */
  readonly deploy?: { readonly label: string; readonly reason: string | null };
  /** Label that follows the newest version in the files, e.g. `development`. */
  readonly follow?: string;
  /** Label that is pointed at the newest version where a prompt does not have it yet, e.g. `production`. */
  readonly seed?: string;
}

export interface SyncedFile {
  readonly path: string;
  readonly name: string | null;
  readonly version: number | null;
  /** `skipped`: a number older than the newest, which was not allowed. */
  readonly outcome: 'synced' | 'unchanged' | 'skipped' | 'failed';
  readonly errorCode: ErrorCode | null;
  readonly message: string | null;
  /** What is wrong in a file that cannot be used, with positions. */
  readonly issues: readonly DefinitionIssue[];
  readonly warnings: readonly DefinitionIssue[];
  /** From the registered version to the file, where the number is taken by other content. */
  readonly difference: DefinitionDiff | null;
}

/** A label that the request asked to move and that stayed where it was. */
export interface RefusedMove extends PlannedMove {
  readonly message: string;
}

export interface SyncReport {
  readonly files: readonly SyncedFile[];
  readonly suites: readonly SyncedSuite[];
  /** Probes that were ended, because their suite is gone. */
  readonly retiredProbes: readonly string[];
  readonly deployments: readonly Deployment[];
  readonly refusals: readonly RefusedMove[];
}

/** @throws PromptgateError forbidden — the label; audit_unavailable or internal — when the database itself fails */
export async function syncPrompts(deps: PlanDependencies, request: SyncRequest): Promise<SyncReport> {
  if (request.deploy) authorizeLabel(request.actor, request.deploy.label);
  const { files: definitionFiles, allowBackfill = false } = request;
  const plan = await planSync(deps, { actor: request.actor, files: definitionFiles, allowBackfill });
  const waiting = plan.files.filter((file) => request.follow && awaitsEdit(deps.snapshot, file));
  const planned = plan.files.filter((file) => !waiting.includes(file));
  const files: SyncedFile[] = [];
  for (const file of planned) files.push(await syncFile(deps, file, request));
  if (files.some(({ outcome }) => outcome === 'synced')) await deps.snapshot.refresh();
  // Before the labels: what a gate asks is what this sync says.
  const suites = await syncSuites(deps, request.actor, request.suites ?? []);
  const retired = await retireGone(deps, request, files);
  const { deployments, refusals } = await moveLabels(deps, request, planned, files);
  if (deployments.length > 0) await deps.snapshot.refresh();
  return {
    files: [...files, ...waiting.map(toWaiting)],
    suites,
    retiredProbes: retired,
    deployments,
    refusals,
  };
}

async function retireGone(
  deps: PlanDependencies,
  { actor, suites }: SyncRequest,
  files: readonly SyncedFile[],
): Promise<string[]> {
  if (suites === undefined) return [];
  return retireProbes(deps, actor, new Set(files.flatMap(({ name }) => name ?? [])), suites);
}

/**
 * A new number on the content of the newest version. Where files are followed it is not registered before the edit that
 * it was made for: registered at once, it would have the edit refused.
 */
function awaitsEdit(snapshot: RegistrySnapshot, { state, entry }: PlannedFile): boolean {
  const prompt = entry.identity && snapshot.find(entry.identity.name);
  const newest = prompt?.versions.get(prompt.latestVersion);
  return state === 'new' && newest !== undefined && newest.checksum === entry.identity?.checksum;
}

function toWaiting(planned: PlannedFile): SyncedFile {
  const { file, identity } = planned.entry;
  const message = `version ${identity?.version} says what the one before says; the first edit registers it`;
  const warning = { path: 'version', file: file.path, line: 1, column: 1, message };
  return { ...toResult(planned), warnings: [...planned.warnings, warning] };
}

async function syncFile(
  deps: PlanDependencies,
  planned: PlannedFile,
  request: SyncRequest,
): Promise<SyncedFile> {
  const result = toResult(planned);
  const { definition, file } = planned.entry;
  if (planned.state !== 'new' || !definition) return result;
  try {
    const { created } = await deps.registry.addVersion(
      toNewVersion(definition, file.path, file.git ?? null),
      request.actor.name,
      { allowBackfill: request.allowBackfill ?? false },
    );
    return { ...result, outcome: created ? 'synced' : 'unchanged' };
  } catch (error) {
    // Another process took the number between the plan and the write.
    const { code, message } = toPromptgateError(error);
    if (code !== 'conflict') throw error;
    return { ...result, outcome: 'failed', errorCode: code, message };
  }
}

const outcomes = {
  new: 'unchanged',
  unchanged: 'unchanged',
  backfill: 'skipped',
  modified: 'failed',
  invalid: 'failed',
  duplicate: 'failed',
  forbidden: 'failed',
} as const satisfies Record<PlannedFile['state'], SyncedFile['outcome']>;

const errorCodes: Partial<Record<PlannedFile['state'], ErrorCode>> = {
  modified: 'conflict',
  invalid: 'invalid_request',
  duplicate: 'invalid_request',
  forbidden: 'forbidden',
};

function toResult({ entry, state, message, issues, warnings, difference }: PlannedFile): SyncedFile {
  return {
    path: entry.file.path,
    name: entry.identity?.name ?? null,
    version: entry.identity?.version ?? null,
    outcome: outcomes[state],
    errorCode: errorCodes[state] ?? null,
    message,
    issues,
    warnings,
    difference,
  };
}

/** What a version says for itself stands; git fills in who and why. */
function toNewVersion(definition: Definition, path: string, git: FileCommit | null): NewPromptVersion {
  return {
    name: definition.name,
    version: definition.version,
    model: definition.model,
    parameters: definition.parameters,
    messages: definition.messages,
    inputSchema: definition.inputSchema,
    outputFormat: definition.outputFormat,
    outputSchema: definition.outputSchema,
    checksum: definition.checksum,
    description: definition.description,
    author: definition.author ?? git?.author ?? null,
    source: definition.source,
    partials: definition.partials,
    path,
    gitCommit: git?.commit ?? null,
    gitMessage: git?.message ?? null,
    metadata: definition.metadata,
    tools: definition.tools,
  };
}

async function moveLabels(
  deps: PlanDependencies,
  request: SyncRequest,
  planned: readonly PlannedFile[],
  files: readonly SyncedFile[],
): Promise<Pick<SyncReport, 'deployments' | 'refusals'>> {
  const deployments: Deployment[] = [];
  const refusals: RefusedMove[] = [];
  // What lost a race for its number is not in the registry, whatever was planned.
  const done = planned.filter((file, index) => file.state !== 'new' || files[index]?.outcome !== 'failed');
  const move = async (
    wanted: PlannedMove,
    more: Pick<LabelMove, 'reason' | 'expectedVersion' | 'review'>,
  ) => {
    const { promptName, label, toVersion } = wanted;
    const { actor, gitCommit = null } = request;
    const by = { kind: 'sync', actor: actor.name, gitCommit } as const;
    const deployment = await deps.registry.moveLabel({ promptName, label, toVersion, ...by, ...more });
    if (deployment) deployments.push(deployment);
  };
  if (request.deploy) {
    const { label, reason } = request.deploy;
    const review = reviewMove(deps.snapshot, label);
    for (const wanted of planMoves(deps.snapshot, done, label)) {
      await move(wanted, { reason, review }).catch((error) => {
        const { code, message } = toPromptgateError(error);
        if (code !== 'conflict' && code !== 'forbidden') throw error;
        refusals.push({ ...wanted, message });
      });
    }
  }
  for (const [label, reason] of followed(request)) {
    for (const wanted of planMoves(deps.snapshot, done, label)) {
      if (label === request.seed && wanted.fromVersion !== null) continue;
      // Another process that moved the label between our look and our move has the last word.
      await move(wanted, { reason, expectedVersion: wanted.fromVersion }).catch(ignoreRefusal);
    }
  }
  return { deployments, refusals };
}

function followed({ follow, seed }: SyncRequest): [string, string][] {
  return [
    ...(follow ? [[follow, 'follows the definition files'] as [string, string]] : []),
    ...(seed ? [[seed, 'first sight of the prompt'] as [string, string]] : []),
  ];
}

function reviewMove({ find, compile }: RegistrySnapshot, label: string) {
  return (held: PromptVersion | null, target: PromptVersion): void => {
    const versions = find(target.name)?.versions.values() ?? [];
    const passed = passedVersions(versions, held?.version ?? null, target.version);
    refuseUndeclaredBreak(label, held && compile(held), compile(target), passed.map(compile));
  };
}

/** Whoever moved it first, or may move it alone, has the last word. */
function ignoreRefusal(error: unknown): void {
  if (!(error instanceof PromptgateError) || !['conflict', 'forbidden'].includes(error.code)) throw error;
}
