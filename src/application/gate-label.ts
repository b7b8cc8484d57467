import type { Actor } from '../domain/api-key.ts';
import type { LabelPolicy } from '../domain/prompt-version.ts';
import { refuseLabelName } from './move-label.ts';
import type { RegistryStore } from './registry-store.ts';

/**
 * Marks a label, of every prompt, as gated or not: a gated one takes a version only with evidence, which the database
 * decides. Rolling it back stays possible.
 * @returns the recorded fact, or null when it was so already
 * @throws PromptgateError invalid_request
 */
export async function gateLabel(
  registry: RegistryStore,
  request: { actor: Actor; label: string; gated: boolean; reason: string | null },
): Promise<LabelPolicy | null> {
  refuseLabelName(request.label);
  return registry.setLabelPolicy({ ...request, actor: request.actor.name });
}
