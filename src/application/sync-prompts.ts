/**
 * Definition files → immutable versions. Every file stands alone: one that is broken never stops or half-applies the
 * rest. Files whose name begins with `_` are partials, and become part of the versions that include them.
 */
import { basename } from 'node:path/posix';
import type { Actor } from '../domain/api-key.ts';
import {
  type Definition,
  DefinitionError,
  type DefinitionIssue,
  parseDefinition,
} from '../domain/definition.ts';
import { type ErrorCode, PromptgateError, toPromptgateError } from '../domain/errors.ts';
import type { Deployment } from '../domain/prompt-version.ts';
import { authorizePrompt } from './authorize.ts';
import type { Providers } from './provider.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';
import type { RegistryStore } from './registry-store.ts';

export interface DefinitionFile {
  /** Path below the prompts directory, with forward slashes. */
  readonly path: string;
  readonly source: string;
}

export interface SyncRequest {
  readonly files: readonly DefinitionFile[];
  readonly actor: Actor;
  readonly gitCommit?: string | null;
  /** Label that follows the newest version in the files, e.g. `development`. */
  readonly follow?: string;
  /** Label that is pointed at the newest version where a prompt does not have it yet, e.g. `production`. */
  readonly seed?: string;
}

export interface SyncedFile {
  readonly path: string;
  readonly name: string | null;
  readonly version: number | null;
  readonly outcome: 'synced' | 'unchanged' | 'failed';
  readonly errorCode: ErrorCode | null;
  readonly message: string | null;
  /** What is wrong in a file that does not parse, with positions. */
  readonly issues: readonly DefinitionIssue[];
  readonly warnings: readonly DefinitionIssue[];
}

export interface SyncReport {
  readonly files: readonly SyncedFile[];
  readonly deployments: readonly Deployment[];
}

/** Partial files by name: `shared/_tone.prompt` is `{{> tone}}`. */
function collectPartials(files: readonly DefinitionFile[]): Map<string, string> {
  const partials = new Map<string, string>();
  for (const file of files) {
    if (isPartial(file)) partials.set(basename(file.path, '.prompt').slice(1), file.source);
  }
  return partials;
}

function isPartial(file: DefinitionFile): boolean {
  return basename(file.path).startsWith('_');
}

interface SyncDependencies {
  readonly registry: RegistryStore;
  readonly snapshot: RegistrySnapshot;
  readonly providers: Pick<Providers, 'problemsOf'>;
}

/** @throws PromptgateError audit_unavailable or internal — only when the database itself fails */
export async function syncPrompts(deps: SyncDependencies, request: SyncRequest): Promise<SyncReport> {
  const partials = collectPartials(request.files);
  const newest = new Map<string, number>();
  const files: SyncedFile[] = [];
  for (const file of request.files.filter((candidate) => !isPartial(candidate))) {
    const synced = await syncFile(deps, file, partials, request);
    files.push(synced);
    if (synced.name && synced.version && synced.outcome !== 'failed') {
      newest.set(synced.name, Math.max(synced.version, newest.get(synced.name) ?? 0));
    }
  }
  await deps.snapshot.refresh();
  const deployments = await moveFollowers(deps, request, newest);
  if (deployments.length > 0) await deps.snapshot.refresh();
  return { files, deployments };
}

async function syncFile(
  deps: SyncDependencies,
  file: DefinitionFile,
  partials: ReadonlyMap<string, string>,
  request: SyncRequest,
): Promise<SyncedFile> {
  let definition: Definition | undefined;
  try {
    definition = parseDefinition(file.source, { path: file.path, partial: (name) => partials.get(name) });
    authorizePrompt(request.actor, definition.name);
    const { created } = await deps.registry.addVersion(
      toNewVersion(definition, file.path, request.gitCommit ?? null),
      request.actor.name,
    );
    return {
      ...fileResult(file, definition),
      outcome: created ? 'synced' : 'unchanged',
      warnings: [...definition.warnings, ...providerWarnings(deps.providers, file, definition)],
    };
  } catch (error) {
    if (error instanceof DefinitionError) {
      return {
        ...fileResult(file, definition),
        outcome: 'failed',
        errorCode: 'invalid_request',
        message: `${error.issues.length} ${error.issues.length === 1 ? 'problem' : 'problems'}`,
        issues: error.issues,
      };
    }
    const known = toPromptgateError(error);
    if (known.code === 'forbidden') {
      return {
        ...fileResult(file, definition),
        outcome: 'failed',
        errorCode: known.code,
        message: known.message,
      };
    }
    if (known.code !== 'conflict') throw known;
    return {
      ...fileResult(file, definition),
      outcome: 'failed',
      errorCode: 'conflict',
      message: `version ${definition?.version} is registered with other content, and a version never changes. Give the edit a number of its own: promptgate make ${definition?.name}`,
    };
  }
}

/** A definition may be synced before its provider is configured; nobody should have to find out from a refused call. */
function providerWarnings(
  providers: Pick<Providers, 'problemsOf'>,
  file: DefinitionFile,
  { model, parameters }: Definition,
): DefinitionIssue[] {
  return providers
    .problemsOf(model, parameters)
    .map((message) => ({ path: 'model', file: file.path, line: 1, column: 1, message }));
}

function fileResult(file: DefinitionFile, definition: Definition | undefined): SyncedFile {
  return {
    path: file.path,
    name: definition?.name ?? null,
    version: definition?.version ?? null,
    outcome: 'unchanged',
    errorCode: null,
    message: null,
    issues: [],
    warnings: [],
  };
}

function toNewVersion(definition: Definition, path: string, gitCommit: string | null) {
  const { template: _t, validateVariables: _v, acceptsHistory: _a, warnings: _w, ...version } = definition;
  return { ...version, path, gitCommit, gitMessage: null };
}

async function moveFollowers(
  deps: { registry: RegistryStore; snapshot: RegistrySnapshot },
  request: SyncRequest,
  newest: ReadonlyMap<string, number>,
): Promise<Deployment[]> {
  const deployments: Deployment[] = [];
  const move = async (promptName: string, label: string, toVersion: number, reason: string) => {
    const held = deps.snapshot.find(promptName)?.labels.get(label)?.version ?? null;
    if (held === toVersion) return;
    const deployment = await deps.registry
      .moveLabel({
        promptName,
        label,
        toVersion,
        expectedVersion: held,
        kind: 'sync',
        actor: request.actor.name,
        reason,
        gitCommit: request.gitCommit ?? null,
      })
      .catch(ignoreConflict);
    if (deployment) deployments.push(deployment);
  };
  for (const [name, version] of newest) {
    if (request.follow) await move(name, request.follow, version, 'follows the definition files');
    if (request.seed && !deps.snapshot.find(name)?.labels.has(request.seed)) {
      await move(name, request.seed, version, 'first sight of the prompt');
    }
  }
  return deployments;
}

/** Another process moved the label between our look and our move: it has the last word. */
function ignoreConflict(error: unknown): null {
  if (error instanceof PromptgateError && error.code === 'conflict') return null;
  throw error;
}
