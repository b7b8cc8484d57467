/** The registry as a key may see it: prompts that match its globs, and of their labels those that it may use. */
import type { Actor } from '../domain/api-key.ts';
import { type DefinitionDiff, diffDefinitions } from '../domain/definition-diff.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { Admission } from '../domain/execution.ts';
import { mayUseLabel, mayUsePrompt } from '../domain/key-limits.ts';
import type { PromptVersion } from '../domain/prompt-version.ts';
import type { Tool } from '../domain/tool.ts';
import { authorizeAnyVersion, authorizeLabel, authorizePrompt } from './authorize.ts';
import type { PromptEntry, RegistrySnapshot, VersionTarget } from './registry-snapshot.ts';

export function listPrompts(snapshot: RegistrySnapshot, actor: Actor): PromptEntry[] {
  return snapshot
    .list()
    .filter((entry) => mayUsePrompt(actor, entry.name))
    .map((entry) => visibleTo(actor, entry));
}

/** @throws PromptgateError not_found — also when the key may not see it */
export function getPrompt(snapshot: RegistrySnapshot, actor: Actor, name: string): PromptEntry {
  const entry = mayUsePrompt(actor, name) ? snapshot.find(name) : undefined;
  if (!entry) {
    throw new PromptgateError('not_found', 'There is no prompt of that name, or this key may not see it.');
  }
  return visibleTo(actor, entry);
}

/** A key that is limited to labels sees the versions that they hold. */
function visibleTo(actor: Actor, entry: PromptEntry): PromptEntry {
  if (!actor.limits?.labels) return entry;
  const labels = new Map([...entry.labels].filter(([label]) => mayUseLabel(actor, label)));
  const held = new Set([...labels.values()].map(({ version }) => version));
  const versions = new Map([...entry.versions].filter(([version]) => held.has(version)));
  return { ...entry, labels, versions };
}

/** @throws PromptgateError not_found, forbidden */
export function getVersion(
  snapshot: RegistrySnapshot,
  actor: Actor,
  name: string,
  target: VersionTarget,
): PromptVersion {
  authorizePrompt(actor, name);
  if ('label' in target) authorizeLabel(actor, target.label);
  else if (!getPrompt(snapshot, actor, name).versions.has(target.version)) authorizeAnyVersion(actor);
  return snapshot.resolve(name, target, actor).version;
}

/** The tools of an execution: its own, else those that its version declares; none where it is no version of the registry. */
export function findTools(
  snapshot: RegistrySnapshot,
  {
    promptName,
    promptVersion,
    inputPayload,
  }: Pick<Admission, 'promptName' | 'promptVersion' | 'inputPayload'>,
): readonly Tool[] {
  if (inputPayload.overrides?.tools) return inputPayload.overrides.tools;
  const version = promptVersion === null ? undefined : snapshot.find(promptName)?.versions.get(promptVersion);
  return version ? snapshot.compile(version).tools : [];
}

export interface VersionDiff {
  readonly from: PromptVersion;
  readonly to: PromptVersion;
  readonly diff: DefinitionDiff;
}

/** What changes between two versions, each named by its number or by a label. @throws PromptgateError as getVersion */
export function diffVersions(
  snapshot: RegistrySnapshot,
  actor: Actor,
  name: string,
  targets: Record<'from' | 'to', VersionTarget>,
): VersionDiff {
  const from = getVersion(snapshot, actor, name, targets.from);
  const to = getVersion(snapshot, actor, name, targets.to);
  return { from, to, diff: diffDefinitions(snapshot.compile(from), snapshot.compile(to)) };
}
