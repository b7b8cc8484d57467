/** The prompt that came out of another place, by the id it had there: callers go on using that id. */
import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import { authorizePrompt } from './authorize.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';

export interface ImportedPrompt {
  readonly promptName: string;
  /** Version of ours that holds the version asked for; undefined when none was asked for. */
  readonly version?: number;
}

/**
 * @param promptId OpenAI's `pmpt_…`, as an import kept it in the metadata of the definition
 * @param promptVersion of the place it came from. Of several versions with the same origin the first is the import
 * itself, and later ones are edits of it.
 * @throws PromptgateError not_found, conflict, forbidden
 */
export function findImportedPrompt(
  snapshot: RegistrySnapshot,
  actor: Actor,
  promptId: string,
  promptVersion?: number,
): ImportedPrompt {
  const imports = snapshot.findImports(promptId);
  const [first] = imports;
  if (!first) {
    throw new PromptgateError(
      'not_found',
      'No prompt was imported from that id. `promptgate import` keeps it in the metadata of the definition: importedFrom: { promptId: pmpt_… }.',
    );
  }
  if (imports.some(({ name }) => name !== first.name)) {
    throw new PromptgateError(
      'conflict',
      'More than one prompt was imported from that id: name the prompt itself.',
    );
  }
  authorizePrompt(actor, first.name);
  if (promptVersion === undefined) return { promptName: first.name };
  const held = imports.filter((version) => version.origin === String(promptVersion));
  const version = held.reduce<number | undefined>(
    (least, { version }) => (least === undefined || version < least ? version : least),
    undefined,
  );
  if (version !== undefined) return { promptName: first.name, version };
  throw new PromptgateError(
    'not_found',
    `No version of "${first.name}" was imported from version ${promptVersion} of that id. Leave the version out to follow the label production, or name the prompt and its own version.`,
  );
}
