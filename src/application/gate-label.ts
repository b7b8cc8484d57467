import type { Actor } from '../domain/api-key.ts';
import type { LabelPolicy } from '../domain/prompt-version.ts';
import { refuseLabelName } from './move-label.ts';
import type { RegistryStore } from './registry-store.ts';

export interface LabelPolicyRequest {
  readonly actor: Actor;
  readonly label: string;
  readonly gated?: boolean;
  readonly keys?: readonly string[] | null;
  readonly reason: string | null;
}

/**
 * Sets the policy of a label, of every prompt. A gated one takes a version only with evidence, which the database
 * decides; rolling it back stays possible. `keys` names the keys that alone may move it, null lets every key with the
 * scope. What is left out stays as it is.
 * @returns the recorded fact, or null when it was so already
 * @throws PromptgateError invalid_request
 */
export async function gateLabel(
  registry: RegistryStore,
  request: LabelPolicyRequest,
): Promise<LabelPolicy | null> {
  refuseLabelName(request.label);
  const { actor, label, gated, keys, reason } = request;
  return registry.setLabelPolicy({
    label,
    actor: actor.name,
    reason,
    ...(gated === undefined ? {} : { gated }),
    ...(keys === undefined ? {} : { movers: keys && [...new Set(keys)].sort().map((key) => `key:${key}`) }),
  });
}
