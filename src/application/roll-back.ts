import type { Actor } from '../domain/api-key.ts';
import type { Deployment } from '../domain/prompt-version.ts';
import { authorizeLabel, authorizePrompt } from './authorize.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';
import type { RegistryStore } from './registry-store.ts';

export interface RollBackRequest {
  readonly actor: Actor;
  readonly promptName: string;
  readonly label: string;
  /** A version that the label held; left out: what the ledger says ran before. */
  readonly version?: number;
  /** What the caller wants to get away from; left out: whatever the label holds. */
  readonly expectedVersion?: number;
  /** The ledger row that put it there; left out: whichever did. */
  readonly expectedDeployment?: number;
  readonly reason: string | null;
}

/**
 * Puts a label back to what its ledger says ran before, or to a version that it held. It ran there once, so neither its contract nor a gate is asked.
 * @throws PromptgateError forbidden, not_found — the label was never set
 * @throws PromptgateError conflict — nothing ran before, the label never held that version, what ran is archived, or the label holds another version
 */
export async function rollBack(
  deps: { registry: RegistryStore; snapshot: RegistrySnapshot },
  request: RollBackRequest,
): Promise<Deployment> {
  const { actor, promptName, label, expectedVersion, expectedDeployment } = request;
  authorizePrompt(actor, promptName);
  authorizeLabel(actor, label);
  const deployment = await deps.registry.rollBack({
    promptName,
    label,
    ...(request.version === undefined ? {} : { toVersion: request.version }),
    ...(expectedVersion === undefined ? {} : { expectedVersion }),
    ...(expectedDeployment === undefined ? {} : { expectedDeployment }),
    actor: actor.name,
    reason: request.reason,
    gitCommit: null,
  });
  await deps.snapshot.refresh();
  return deployment;
}
