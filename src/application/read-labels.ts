/** What labels hold and held, from the ledger; each reader sees what the limits of its key let it. */
import type { Actor } from '../domain/api-key.ts';
import type { LabelGate } from '../domain/gate.ts';
import { mayUseLabel, mayUsePrompt } from '../domain/key-limits.ts';
import type { Deployment } from '../domain/prompt-version.ts';
import type { EvaluationStore } from './evaluation-store.ts';
import { getPrompt } from './read-prompts.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';
import type { HeldLabel, RegistryStore } from './registry-store.ts';

interface LabelReaders {
  readonly registry: RegistryStore;
  readonly snapshot: RegistrySnapshot;
}

export interface LabelState extends HeldLabel {
  /** How it stands to its gate now; null of a time that is past. */
  readonly gate: LabelGate | null;
}

/**
 * What every label held at a time (null: now), by prompt and label.
 * @throws PromptgateError not_found — there is no such prompt: no answer is an answer only about one that there is
 */
export async function labelsAt(
  { registry, snapshot, evaluations }: LabelReaders & { evaluations: EvaluationStore },
  actor: Actor,
  filter: { at: Date | null; promptName?: string },
): Promise<LabelState[]> {
  const all = await registry.labelsAt(filter.at);
  const held = all.filter(
    ({ deployment: { promptName, label } }) =>
      (filter.promptName === undefined || promptName === filter.promptName) &&
      mayUsePrompt(actor, promptName) &&
      mayUseLabel(actor, label),
  );
  if (held.length === 0 && filter.promptName !== undefined) getPrompt(snapshot, actor, filter.promptName);
  const gates = filter.at === null && held.length > 0 ? await evaluations.listLabelGates() : [];
  return held.map((state) => {
    const { promptName, label } = state.deployment;
    return {
      ...state,
      gate: gates.find((gate) => gate.promptName === promptName && gate.label === label) ?? null,
    };
  });
}

export interface HistoryPage {
  readonly deployments: Deployment[];
  /** Null on the last page. */
  readonly nextCursor: number | null;
}

/** The ledger of a prompt, or of one label of it: newest first. @throws PromptgateError not_found */
export async function labelHistory(
  { registry, snapshot }: LabelReaders,
  actor: Actor,
  request: { promptName: string; label?: string; limit: number; before?: number },
): Promise<HistoryPage> {
  const { promptName, limit, ...page } = request;
  const rows = await registry.listDeployments(promptName, { ...page, limit: limit + 1 });
  if (rows.length === 0 || !mayUsePrompt(actor, promptName)) getPrompt(snapshot, actor, promptName);
  const nextCursor = rows.length > limit ? (rows[limit - 1]?.id ?? null) : null;
  const deployments = rows.slice(0, limit).filter(({ label }) => mayUseLabel(actor, label));
  return { deployments, nextCursor };
}
