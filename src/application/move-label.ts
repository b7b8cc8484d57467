import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import { labelPattern } from '../domain/names.ts';
import type { Deployment } from '../domain/prompt-version.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';
import type { RegistryStore } from './registry-store.ts';

export interface MoveLabelRequest {
  readonly actor: Actor;
  readonly promptName: string;
  readonly label: string;
  readonly version: number;
  /** What the caller believes the label holds; null for nothing. Left out: whatever it holds. */
  readonly expectedVersion?: number | null;
  readonly reason: string | null;
}

/**
 * Points a label at a version, in one audited step.
 * @returns the ledger's record, or null when the label was there already
 * @throws PromptgateError invalid_request, not_found, conflict
 */
export async function moveLabel(
  deps: { registry: RegistryStore; snapshot: RegistrySnapshot },
  request: MoveLabelRequest,
): Promise<Deployment | null> {
  if (!labelPattern.test(request.label)) {
    throw new PromptgateError(
      'invalid_request',
      'A label has lower-case letters, digits and dashes, begins with a letter, and is at most 63 long.',
    );
  }
  const deployment = await deps.registry.moveLabel({
    promptName: request.promptName,
    label: request.label,
    toVersion: request.version,
    ...(request.expectedVersion === undefined ? {} : { expectedVersion: request.expectedVersion }),
    kind: 'deploy',
    actor: request.actor.name,
    reason: request.reason,
    gitCommit: null,
  });
  await deps.snapshot.refresh();
  return deployment;
}
