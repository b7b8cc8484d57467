import type { Actor } from '../domain/api-key.ts';
import type { ArchiveFact } from '../domain/prompt-version.ts';
import { authorizeAnyVersion, authorizePrompt } from './authorize.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';
import type { RegistryStore } from './registry-store.ts';

export interface ArchiveRequest {
  readonly actor: Actor;
  readonly promptName: string;
  /** Null: the whole prompt. */
  readonly version: number | null;
  /** False takes it out of the archive again. */
  readonly archived: boolean;
  readonly reason: string | null;
}

/**
 * Keeps a version, or every version of a prompt, from being newly deployed. Labels that hold it go on holding it, and
 * its number stays taken.
 * @returns the recorded fact, or null when it was so already
 * @throws PromptgateError forbidden, not_found
 */
export async function archivePrompt(
  deps: { registry: RegistryStore; snapshot: RegistrySnapshot },
  request: ArchiveRequest,
): Promise<ArchiveFact | null> {
  const { actor, ...fact } = request;
  authorizePrompt(actor, fact.promptName);
  authorizeAnyVersion(actor);
  const recorded = await deps.registry.archive({ ...fact, actor: actor.name });
  await deps.snapshot.refresh();
  return recorded;
}
