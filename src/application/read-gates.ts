/** How labels and versions stand to their gates: read from the evidence, for what a key may see. */
import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { LabelGate, TestedVersion } from '../domain/gate.ts';
import { mayUseLabel, mayUsePrompt } from '../domain/key-limits.ts';
import type { LabelPolicy } from '../domain/prompt-version.ts';
import type { EvaluationStore } from './evaluation-store.ts';
import type { RegistryStore } from './registry-store.ts';

interface GateReaders {
  readonly registry: RegistryStore;
  readonly evaluations: EvaluationStore;
}

export interface GateReport {
  /** Every fact about the label, newest first; none: it was never gated. */
  readonly policies: readonly LabelPolicy[];
  /** The prompts that have the label. */
  readonly gates: readonly LabelGate[];
}

/** @throws PromptgateError not_found — the key may not see the label */
export async function readGate(
  { registry, evaluations }: GateReaders,
  actor: Actor,
  label: string,
): Promise<GateReport> {
  if (!mayUseLabel(actor, label)) {
    throw new PromptgateError('not_found', 'There is no label of that name, or this key may not see it.');
  }
  const [policies, gates] = await Promise.all([
    registry.listLabelPolicies(label),
    evaluations.listLabelGates(),
  ]);
  return {
    policies: policies.filter(({ promptName }) => promptName === null || mayUsePrompt(actor, promptName)),
    gates: gates.filter((gate) => gate.label === label && mayUsePrompt(actor, gate.promptName)),
  };
}

/** Versions of a prompt by number; empty where the database does not answer: versions themselves are read without it. */
export async function readTestedVersions(
  { evaluations }: Pick<GateReaders, 'evaluations'>,
  promptName: string,
): Promise<ReadonlyMap<number, TestedVersion>> {
  const tested = await evaluations.listTestedVersions(promptName).catch(() => []);
  return new Map(tested.map((version) => [version.version, version]));
}
