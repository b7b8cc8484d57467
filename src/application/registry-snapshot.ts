/**
 * The registry in memory: what the hot path resolves from, without a query. It is kept fresh two ways, because either
 * alone fails somewhere: LISTEN wakes it at once on PostgreSQL, a cheap poll of the revision covers the embedded
 * database and transaction poolers, which deliver no notification. When the database is away it goes on with what it
 * has and says how old that is.
 */
import type { Actor, ApiKey } from '../domain/api-key.ts';
import { type Definition, parseDefinition } from '../domain/definition.ts';
import { PromptgateError } from '../domain/errors.ts';
import { mayUseLabel, mayUsePrompt } from '../domain/key-limits.ts';
import { labelPattern, nearestName, promptNamePattern } from '../domain/names.ts';
import type { Label, PromptVersion } from '../domain/prompt-version.ts';
import { partialsFrom } from '../domain/template-includes.ts';
import type { RegistryStore } from './registry-store.ts';

/** Half of the promised second, with room for the query. */
const pollIntervalMs = 250;

export interface PromptEntry {
  readonly name: string;
  readonly versions: ReadonlyMap<number, PromptVersion>;
  readonly labels: ReadonlyMap<string, Label>;
  readonly latestVersion: number;
  /** The whole prompt is archived: no version of it is newly deployed. */
  readonly archived: boolean;
  readonly archivedVersions: ReadonlySet<number>;
}

/** How a caller names a version. */
export type VersionTarget = { readonly label: string } | { readonly version: number };

export interface ResolvedVersion {
  readonly version: PromptVersion;
  readonly definition: Definition;
  /** Label that led here; null when the caller named a version. */
  readonly label: string | null;
}

export interface ImportedVersion {
  readonly name: string;
  readonly version: number;
  /** Its version where it came from; null when nobody said. */
  readonly origin: string | null;
}

export interface SnapshotHealth {
  readonly revision: number;
  /** Since the last successful look at the database, in milliseconds. */
  readonly ageMs: number;
  readonly stale: boolean;
}

export interface RegistrySnapshot {
  /** Loads everything once and begins to follow. @throws when the first load fails */
  start(): Promise<void>;
  /** Looks at the database now; resolves when the snapshot holds at least what was committed at the call. */
  refresh(): Promise<void>;
  /**
   * @param asker who hears the message: it names nothing beyond the limits of a key; left out: all
   * @throws PromptgateError not_found — no such prompt, label or version; the message names what exists
   */
  resolve(name: string, target: VersionTarget, asker?: Pick<Actor, 'limits'>): ResolvedVersion;
  find(name: string): PromptEntry | undefined;
  /** Versions whose definition says that they came from this id of another place; in no order. */
  findImports(promptId: string): readonly ImportedVersion[];
  /** A version as it runs: compiled once, then kept. */
  compile(version: PromptVersion): Definition;
  list(): PromptEntry[];
  findKey(hash: string): ApiKey | undefined;
  listKeys(): ApiKey[];
  health(): SnapshotHealth;
  stop(): void;
}

interface MutableEntry {
  name: string;
  versions: Map<number, PromptVersion>;
  labels: Map<string, Label>;
  latestVersion: number;
  archived: boolean;
  archivedVersions: Set<number>;
}

export function createRegistrySnapshot(
  store: RegistryStore,
  options: { now?: () => number; onError?: (error: unknown) => void } = {},
): RegistrySnapshot {
  const now = options.now ?? Date.now;
  const prompts = new Map<string, MutableEntry>();
  /** A version never changes, so what was compiled once stays. */
  const definitions = new Map<number, Definition>();
  const imports = new Map<string, ImportedVersion[]>();
  let keysByHash = new Map<string, ApiKey>();
  let revision = 0;
  let lastLookAt = 0;
  let lookFailed = false;
  let running: Promise<void> | undefined;
  let queued: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  function entryOf(name: string): MutableEntry {
    let entry = prompts.get(name);
    if (!entry) {
      entry = {
        name,
        versions: new Map(),
        labels: new Map(),
        latestVersion: 0,
        archived: false,
        archivedVersions: new Set(),
      };
      prompts.set(name, entry);
    }
    return entry;
  }

  function noteImport({ name, version, metadata: { importedFrom } }: PromptVersion): void {
    if (typeof importedFrom !== 'object' || importedFrom === null || Array.isArray(importedFrom)) return;
    const { promptId, promptVersion } = importedFrom;
    if (typeof promptId !== 'string') return;
    const origin = promptVersion === undefined || promptVersion === null ? null : String(promptVersion);
    imports.set(promptId, [...(imports.get(promptId) ?? []), { name, version, origin }]);
  }

  async function load(): Promise<void> {
    try {
      if ((await store.revision()) !== revision) {
        const changes = await store.loadChanges(revision);
        for (const version of changes.versions) {
          const entry = entryOf(version.name);
          entry.versions.set(version.version, version);
          entry.latestVersion = Math.max(entry.latestVersion, version.version);
          noteImport(version);
        }
        for (const entry of prompts.values()) entry.labels = new Map();
        for (const label of changes.labels) entryOf(label.promptName).labels.set(label.label, label);
        for (const { promptName, version, archived } of changes.archives) {
          const entry = entryOf(promptName);
          if (version === null) entry.archived = archived;
          else if (archived) entry.archivedVersions.add(version);
          else entry.archivedVersions.delete(version);
        }
        keysByHash = new Map(changes.keys.map((key) => [key.hash, key]));
        revision = changes.revision;
      }
      lastLookAt = now();
      lookFailed = false;
    } catch (error) {
      lookFailed = true;
      throw error;
    }
  }

  /** One load at a time; whoever asks during one gets the next, which sees what was committed before the question. */
  function refresh(): Promise<void> {
    if (!running) {
      running = load().finally(() => {
        running = undefined;
      });
      return running;
    }
    queued ??= running
      .catch(() => undefined)
      .then(() => {
        queued = undefined;
        return refresh();
      });
    return queued;
  }

  function look(): void {
    if (running) return;
    // Told once for each time that the database goes away, and not four times a second.
    const told = lookFailed;
    refresh().catch((error) => told || options.onError?.(error));
  }

  function compile(version: PromptVersion): Definition {
    let definition = definitions.get(version.id);
    if (!definition) {
      definition = parseDefinition(version.source, {
        path: version.path ?? `${version.name}.prompt`,
        partial: partialsFrom(version.partials),
      });
      definitions.set(version.id, definition);
    }
    return definition;
  }

  return {
    async start() {
      await refresh();
      await store.onChange(look);
      timer = setInterval(look, pollIntervalMs);
      timer.unref();
    },
    refresh,
    resolve(name, target, asker = {}) {
      const entry = prompts.get(name);
      if (!entry) {
        const known = [...prompts.keys()].filter((other) => mayUsePrompt(asker, other));
        throw new PromptgateError('not_found', noSuchPrompt(name, known, prompts.size));
      }
      const label = 'label' in target ? target.label : null;
      const number = 'label' in target ? entry.labels.get(target.label)?.version : target.version;
      const version = number === undefined ? undefined : entry.versions.get(number);
      if (!version) throw new PromptgateError('not_found', noSuchTarget(entry, target, asker));
      return { version, definition: compile(version), label };
    },
    find: (name) => prompts.get(name),
    findImports: (promptId) => imports.get(promptId) ?? [],
    compile,
    list: () => [...prompts.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    findKey: (hash) => keysByHash.get(hash),
    listKeys: () => [...keysByHash.values()],
    health: () => ({
      revision,
      ageMs: lastLookAt === 0 ? Number.POSITIVE_INFINITY : now() - lastLookAt,
      stale: lookFailed || lastLookAt === 0,
    }),
    stop() {
      clearInterval(timer);
    },
  };
}

/** Names are quoted only when they fit the grammar: a message never repeats arbitrary input. */
function noSuchPrompt(name: string, known: string[], registered: number): string {
  const quoted = promptNamePattern.test(name) ? ` "${name}"` : ' of that name';
  const hint = nearestName(name, known);
  if (hint) return `There is no prompt${quoted}. Did you mean "${hint}"?`;
  if (registered === 0) return `There is no prompt${quoted}: the registry is empty. Run \`promptgate sync\`.`;
  return `There is no prompt${quoted}. GET /v1/prompts lists the ${known.length} there are.`;
}

function noSuchTarget(entry: MutableEntry, target: VersionTarget, asker: Pick<Actor, 'limits'>): string {
  if ('version' in target) {
    return `Prompt "${entry.name}" has no version ${target.version}; it has ${summarise([...entry.versions.keys()].sort((a, b) => a - b))}.`;
  }
  const labels = [...entry.labels.keys()].filter((label) => mayUseLabel(asker, label)).sort();
  const quoted = labelPattern.test(target.label) ? ` "${target.label}"` : ' of that name';
  return `Prompt "${entry.name}" has no label${quoted}; it has ${labels.length ? summarise(labels) : 'no labels yet'}.`;
}

function summarise(items: readonly (string | number)[]): string {
  const shown = items.length > 12 ? [...items.slice(0, 3), '…', ...items.slice(-8)] : items;
  return shown.join(', ');
}
