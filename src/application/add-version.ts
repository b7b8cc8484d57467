import type { Actor } from '../domain/api-key.ts';
import { type Definition, type DefinitionIssue, parseDefinition } from '../domain/definition.ts';
import { PromptgateError } from '../domain/errors.ts';
import { promptNamePattern } from '../domain/names.ts';
import type { PromptVersion } from '../domain/prompt-version.ts';
import { partialsFrom } from '../domain/template-includes.ts';
import { type DefinitionForm, writeDefinition } from '../domain/write-definition.ts';
import { authorizePrompt } from './authorize.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';
import type { RegistryStore } from './registry-store.ts';

export interface AddVersionRequest {
  readonly actor: Actor;
  readonly promptName: string;
  /**
   * The text of a definition, or its parts. Parts may leave out `name`, and `version`: they are then the next version,
   * or the newest one when that has the same content.
   */
  readonly definition: string | DefinitionForm;
  /** Texts of the partials that it includes, by name. */
  readonly partials?: Readonly<Record<string, string>>;
  readonly gitCommit?: string | null;
  readonly gitMessage?: string | null;
  /** A number below the newest one is meant. */
  readonly allowBackfill?: boolean;
}

export interface AddedVersion {
  /** False: the very same version was there already. */
  readonly created: boolean;
  readonly version: PromptVersion;
  readonly warnings: readonly DefinitionIssue[];
}

/**
 * Adds a version, and its prompt where there is none, from a definition that did not come out of a file.
 * @throws PromptgateError forbidden; invalid_request — the definition has errors, each with line and column
 * @throws PromptgateError conflict — the number is taken by other content, or is below the newest one
 */
export async function addVersion(
  deps: { registry: RegistryStore; snapshot: RegistrySnapshot },
  request: AddVersionRequest,
): Promise<AddedVersion> {
  const { actor, promptName } = request;
  if (!promptNamePattern.test(promptName)) {
    throw new PromptgateError(
      'invalid_request',
      'A prompt name has lower-case letters, digits, `.`, `_` and `-`.',
    );
  }
  authorizePrompt(actor, promptName);
  await deps.snapshot.refresh();
  const latest = deps.snapshot.find(promptName)?.latestVersion ?? 0;
  const definition = read(deps.snapshot, request, latest);
  if (definition.name !== promptName) {
    throw new PromptgateError(
      'invalid_request',
      `The definition is of "${definition.name}", not of "${promptName}".`,
    );
  }
  const { gitCommit = null, gitMessage = null } = request;
  const added = await deps.registry.addVersion(
    { ...definition, path: null, gitCommit, gitMessage },
    actor.name,
    { allowBackfill: request.allowBackfill ?? false },
  );
  await deps.snapshot.refresh();
  return { ...added, warnings: definition.warnings };
}

function read(snapshot: RegistrySnapshot, request: AddVersionRequest, latest: number): Definition {
  const { promptName, definition, partials = {} } = request;
  const parse = (source: string) =>
    parseDefinition(source, {
      path: `${promptName}.prompt`,
      partial: partialsFrom(partials),
    });
  if (typeof definition === 'string') return parse(definition);
  const { frontMatter, messages } = definition;
  const write = (version: number) =>
    parse(writeDefinition({ frontMatter: { name: promptName, version, ...frontMatter }, messages }));
  const next = write(latest + 1);
  if (frontMatter.version !== undefined || latest === 0) return next;
  const same = snapshot.find(promptName)?.versions.get(latest)?.checksum === next.checksum;
  return same ? write(latest) : next;
}
