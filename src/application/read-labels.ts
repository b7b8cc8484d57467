/** What labels hold and held, from the ledger; each reader sees what the limits of its key let it. */
import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import { mayUseLabel, mayUsePrompt } from '../domain/key-limits.ts';
import type { Deployment, LabelPolicy } from '../domain/prompt-version.ts';
import { getPrompt } from './read-prompts.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';
import type { HeldLabel, RegistryStore } from './registry-store.ts';

interface LabelReaders {
  readonly registry: RegistryStore;
  readonly snapshot: RegistrySnapshot;
}

/**
 * What every label held at a time (null: now), by prompt and label.
 * @throws PromptgateError not_found — there is no such prompt: no answer is an answer only about one that there is
 */
export async function labelsAt(
  { registry, snapshot }: LabelReaders,
  actor: Actor,
  filter: { at: Date | null; promptName?: string },
): Promise<HeldLabel[]> {
  const all = await registry.labelsAt(filter.at);
  const held = all.filter(
    ({ deployment: { promptName, label } }) =>
      (filter.promptName === undefined || promptName === filter.promptName) &&
      mayUsePrompt(actor, promptName) &&
      mayUseLabel(actor, label),
  );
  if (held.length === 0 && filter.promptName !== undefined) getPrompt(snapshot, actor, filter.promptName);
  return held;
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

/** Every fact about a label, newest first; none: it was never gated. */
export async function listLabelPolicies(
  registry: RegistryStore,
  actor: Actor,
  label: string,
): Promise<LabelPolicy[]> {
  if (!mayUseLabel(actor, label)) {
    throw new PromptgateError('not_found', 'There is no label of that name, or this key may not see it.');
  }
  return registry.listLabelPolicies(label);
}
