import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { GateRequirements } from '../domain/gate.ts';
import type { LabelPolicy } from '../domain/prompt-version.ts';
import { refuseLabelName } from './move-label.ts';
import type { RegistryStore } from './registry-store.ts';

export interface LabelPolicyRequest {
  readonly actor: Actor;
  readonly label: string;
  /** The policy of this prompt alone; left out: of every prompt that has none of its own. */
  readonly promptName?: string;
  /** Null, of one prompt: as the label of every prompt. */
  readonly gated?: boolean | null;
  readonly requirements?: Partial<GateRequirements>;
  readonly keys?: readonly string[] | null;
  readonly reason: string | null;
}

/**
 * Sets the policy of a label, of every prompt or of one. A gated one takes a version only with the evidence that it
 * requires, which the database decides; rolling it back stays possible. `keys` names the keys that alone may move it,
 * null lets every key with the scope. What is left out stays as it is.
 * @returns the recorded fact, or null when it was so already
 * @throws PromptgateError invalid_request — keys or no gate at all, of one prompt or of all; not_found — the prompt
 */
export async function gateLabel(
  registry: RegistryStore,
  request: LabelPolicyRequest,
): Promise<LabelPolicy | null> {
  refuseLabelName(request.label);
  const { actor, label, promptName, gated, requirements, keys, reason } = request;
  if (promptName !== undefined && keys !== undefined) {
    throw new PromptgateError(
      'invalid_request',
      'Which keys may move a label is said for every prompt at once.',
    );
  }
  if (promptName === undefined && gated === null) {
    throw new PromptgateError('invalid_request', 'Only the gate of one prompt can be as that of the others.');
  }
  return registry.setLabelPolicy({
    label,
    actor: actor.name,
    reason,
    ...(promptName === undefined ? {} : { promptName }),
    ...(gated === undefined ? {} : { gated }),
    ...(requirements === undefined ? {} : { requirements }),
    ...(keys === undefined ? {} : { movers: keys && [...new Set(keys)].sort().map((key) => `key:${key}`) }),
  });
}
