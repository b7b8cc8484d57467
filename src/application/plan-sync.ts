/**
 * Definition files against the registry: what a sync would do, and where the two differ. It only reads, from memory, so
 * it is what `plan` and `status` answer, and what `sync` carries out.
 */
import type { Actor } from '../domain/api-key.ts';
import { type Definition, type DefinitionIssue, normaliseSource } from '../domain/definition.ts';
import { type DefinitionDiff, diffDefinitions } from '../domain/definition-diff.ts';
import { toPromptgateError } from '../domain/errors.ts';
import { mayUsePrompt } from '../domain/key-limits.ts';
import type { PromptVersion } from '../domain/prompt-version.ts';
import {
  type DefinitionFile,
  type DefinitionSet,
  type KnownVersion,
  readDefinitionSet,
  type SetEntry,
} from './definition-set.ts';
import type { Providers } from './provider.ts';
import type { PromptEntry, RegistrySnapshot } from './registry-snapshot.ts';
import type { RegistryStore } from './registry-store.ts';
import { passedVersions, refuseUndeclaredBreak } from './review-move.ts';
import { type PlannedSuite, planSuites, type SuiteDependencies, type SuiteFile } from './sync-suites.ts';

export interface PlanRequest {
  readonly actor: Actor;
  readonly files: readonly DefinitionFile[];
  readonly suites?: readonly SuiteFile[];
  /** Takes new versions with an older number than the newest. */
  readonly allowBackfill?: boolean;
  /** Label that would be moved to what the files say. */
  readonly deploy?: string;
}

/**
 * `new`: would be registered. `unchanged`: is. `modified`: the number is taken by other content. `backfill`: a new
 * number older than the newest, which needs to be allowed. `invalid`, `duplicate`: cannot be used, see the
 * issues. `forbidden`: the key may not touch that prompt.
 */
export type FileState = 'new' | 'unchanged' | 'modified' | 'backfill' | 'invalid' | 'duplicate' | 'forbidden';

export interface PlannedFile {
  readonly entry: SetEntry;
  readonly state: FileState;
  readonly message: string | null;
  readonly issues: readonly DefinitionIssue[];
  readonly warnings: readonly DefinitionIssue[];
  /** From the registered version to the file, where its state is `modified`. */
  readonly difference: DefinitionDiff | null;
}

export interface PromptState {
  readonly name: string;
  /** Null where no usable file defines the prompt. */
  readonly newestInFiles: number | null;
  readonly newestRegistered: number | null;
  /** Numbers below the newest that neither the files nor the registry have. */
  readonly gaps: readonly number[];
}

export interface PlannedMove {
  readonly promptName: string;
  readonly label: string;
  readonly fromVersion: number | null;
  readonly toVersion: number;
}

/** A label that would be moved, or stay where it is because of what `message` says. */
export interface ForeseenMove extends PlannedMove {
  readonly message: string | null;
}

export interface SyncPlan {
  readonly files: readonly PlannedFile[];
  readonly prompts: readonly PromptState[];
  readonly moves: readonly ForeseenMove[];
  readonly suites: readonly PlannedSuite[];
}

export interface PlanDependencies extends SuiteDependencies {
  readonly registry: RegistryStore;
  readonly snapshot: RegistrySnapshot;
  readonly providers: Pick<Providers, 'problemsOf'>;
}

/** Looks at the registry as it is now. */
export async function planSync(deps: PlanDependencies, request: PlanRequest): Promise<SyncPlan> {
  await deps.snapshot.refresh();
  const set = await readDefinitionSet(request.files, recogniseRegistered(deps.snapshot));
  const newest = newestBefore(deps.snapshot);
  const files = set.entries
    .filter((entry) => entry.kind === 'definition' || entry.issues.length > 0)
    .map((entry) => planFile(deps, entry, newest, request));
  return {
    files,
    prompts: comparePrompts(deps.snapshot, set).filter(({ name }) => mayUsePrompt(request.actor, name)),
    suites: await planSuites(deps, request.actor, request.suites ?? []),
    moves: request.deploy === undefined ? [] : await foreseeMoves(deps, files, request.deploy, request.actor),
  };
}

/** Asks what a sync asks before each move: the contract, then the database. */
async function foreseeMoves(
  { registry, snapshot }: PlanDependencies,
  files: readonly PlannedFile[],
  label: string,
  actor: Actor,
): Promise<ForeseenMove[]> {
  const foreseen: ForeseenMove[] = [];
  const added = files.flatMap(({ state, entry }) => (state === 'new' && entry.definition) || []);
  for (const move of planMoves(snapshot, files, label)) {
    const { promptName, fromVersion: from, toVersion: to } = move;
    const registered = snapshot.find(promptName)?.versions;
    const held = registered?.get(from ?? 0);
    const passed = [
      ...passedVersions(registered?.values() ?? [], from, to).map(snapshot.compile),
      ...passedVersions(added, from, to).filter(({ name }) => name === promptName),
    ];
    const target = passed.find(({ version }) => version === to);
    try {
      if (target) refuseUndeclaredBreak(label, held ? snapshot.compile(held) : null, target, passed);
      foreseen.push({ ...move, message: await registry.explainRefusal({ ...move, actor: actor.name }) });
    } catch (error) {
      const { code, message } = toPromptgateError(error);
      if (code !== 'conflict') throw error;
      foreseen.push({ ...move, message });
    }
  }
  return foreseen;
}

/** A file with the text and the partials of a registered version is that version: most of a sync needs no parsing. */
function recogniseRegistered(snapshot: RegistrySnapshot) {
  const bySource = new Map<string, PromptVersion>();
  for (const { versions } of snapshot.list()) {
    for (const version of versions.values()) bySource.set(version.source, version);
  }
  return (file: DefinitionFile, partials: ReadonlyMap<string, string>): KnownVersion | undefined => {
    const found = bySource.get(normaliseSource(file.source));
    if (!found) return undefined;
    const same = Object.entries(found.partials).every(([name, text]) => {
      const now = partials.get(name);
      return now !== undefined && normaliseSource(now) === text;
    });
    return same ? found : undefined;
  };
}

/** Newest number per prompt, in the registry and then also among the files planned so far. */
function newestBefore(snapshot: RegistrySnapshot) {
  const seen = new Map<string, number>();
  return {
    of: (name: string) => seen.get(name) ?? snapshot.find(name)?.latestVersion ?? 0,
    add: (name: string, version: number) => void seen.set(name, version),
  };
}

function planFile(
  deps: PlanDependencies,
  entry: SetEntry,
  newest: ReturnType<typeof newestBefore>,
  { actor, allowBackfill = false }: PlanRequest,
): PlannedFile {
  const planned = { entry, message: null, issues: entry.issues, warnings: [], difference: null };
  if (entry.duplicate) return { ...planned, state: 'duplicate', message: 'is there twice' };
  if (entry.issues.length > 0 || !entry.identity) {
    const count = entry.issues.length;
    return { ...planned, state: 'invalid', message: `${count} ${count === 1 ? 'problem' : 'problems'}` };
  }
  const { name, version, checksum } = entry.identity;
  if (!mayUsePrompt(actor, name)) {
    return { ...planned, state: 'forbidden', message: 'the key may not use that prompt' };
  }
  const registered = deps.snapshot.find(name)?.versions.get(version);
  const warnings = [...(entry.definition?.warnings ?? []), ...providerWarnings(deps, entry, registered)];
  if (registered) {
    if (registered.checksum === checksum) return { ...planned, state: 'unchanged', warnings };
    return { ...planned, ...describeModified(deps.snapshot, registered, entry.definition), warnings };
  }
  if (version < newest.of(name) && !allowBackfill) {
    const message = `version ${version} is older than the newest, ${newest.of(name)}. If it is meant to fill in, say --allow-backfill; if it is an edit, give it the next number: promptgate make ${name}`;
    return { ...planned, state: 'backfill', message, warnings };
  }
  newest.add(name, Math.max(version, newest.of(name)));
  return { ...planned, state: 'new', warnings };
}

function describeModified(
  snapshot: RegistrySnapshot,
  registered: PromptVersion,
  definition: Definition | null,
) {
  const difference = definition && diffDefinitions(snapshot.compile(registered), definition);
  const sameText = definition?.source === registered.source;
  const changed =
    difference?.texts.flatMap(({ title }) => (title.startsWith('partial ') ? [title] : [])) ?? [];
  const cause = sameText && changed.length > 0 ? `, because its ${changed.join(' and its ')} changed` : '';
  const message = `version ${registered.version} is registered with other content${cause}, and a version never changes. Give the edit a number of its own: promptgate make ${registered.name}`;
  return { state: 'modified' as const, message, difference };
}

/** A definition may be synced before its provider is configured; nobody should have to find out from a refused call. */
function providerWarnings(deps: PlanDependencies, entry: SetEntry, registered: PromptVersion | undefined) {
  const version = entry.definition ?? registered;
  if (!version) return [];
  const { path } = entry.file;
  return deps.providers.problemsOf(version.model, version.parameters).map((problem): DefinitionIssue => {
    const message = `${problem}; calls will be refused`;
    return { path: 'model', file: path, line: 1, column: 1, message };
  });
}

function comparePrompts(snapshot: RegistrySnapshot, set: DefinitionSet): PromptState[] {
  const inFiles = Map.groupBy(
    set.entries.flatMap(({ identity }) => identity ?? []),
    ({ name }) => name,
  );
  const registered = new Map<string, PromptEntry>(snapshot.list().map((entry) => [entry.name, entry]));
  // Its file is there and cannot be read: that is told of the file, and nothing is known of the prompt.
  const unreadable = new Set(set.entries.flatMap(({ identity, file }) => (identity ? [] : file.path)));
  const names = [...new Set([...inFiles.keys(), ...registered.keys()])].filter((name) => {
    const known = registered.get(name);
    const path = known?.versions.get(known.latestVersion)?.path;
    return inFiles.has(name) || !path || !unreadable.has(path);
  });
  return names.sort().map((name) => {
    const numbers = (inFiles.get(name) ?? []).map(({ version }) => version);
    const known = registered.get(name);
    return {
      name,
      newestInFiles: numbers.length === 0 ? null : Math.max(...numbers),
      newestRegistered: known?.latestVersion || null,
      gaps: findGaps(new Set([...numbers, ...(known?.versions.keys() ?? [])])),
    };
  });
}

/** Nobody reads a longer list; a prompt that starts at version 2,000,000,000 has that many. */
const maxGaps = 100;

function findGaps(numbers: ReadonlySet<number>): number[] {
  const gaps: number[] = [];
  const newest = Math.max(0, ...numbers);
  for (let number = 1; number < newest && gaps.length < maxGaps; number++) {
    if (!numbers.has(number)) gaps.push(number);
  }
  return gaps;
}

/**
 * A label goes to the highest version in the files. It stays where a file of the prompt is registered with other content
 * or is there twice; and while a file cannot be read none moves backwards, because that file may be the newest version.
 */
export function planMoves(
  snapshot: RegistrySnapshot,
  files: readonly PlannedFile[],
  label: string,
): PlannedMove[] {
  const mayGoBack = files.every(({ entry }) => entry.identity !== null);
  const byPrompt = Map.groupBy(
    files.filter(({ entry }) => entry.identity),
    ({ entry }) => entry.identity?.name ?? '',
  );
  return [...byPrompt].flatMap(([promptName, planned]) => {
    const numbers = planned
      .filter(({ state }) => state === 'new' || state === 'unchanged')
      .map(({ entry }) => entry.identity?.version ?? 0);
    const doubtful = planned.some(
      ({ state }) => state !== 'new' && state !== 'unchanged' && state !== 'backfill',
    );
    if (doubtful || numbers.length === 0) return [];
    const toVersion = Math.max(...numbers);
    const fromVersion = snapshot.find(promptName)?.labels.get(label)?.version ?? null;
    if (fromVersion === toVersion || (fromVersion !== null && toVersion < fromVersion && !mayGoBack))
      return [];
    return [{ promptName, label, fromVersion, toVersion }];
  });
}
