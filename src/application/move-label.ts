import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import { labelGrammar, labelPattern } from '../domain/names.ts';
import type { Deployment } from '../domain/prompt-version.ts';
import { authorizeLabel, authorizePrompt } from './authorize.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';
import type { RegistryStore } from './registry-store.ts';
import { refuseBreakingMove } from './review-move.ts';

export interface MoveLabelRequest {
  readonly actor: Actor;
  readonly promptName: string;
  readonly label: string;
  readonly version: number;
  /** What the caller believes the label holds; null for nothing. Left out: whatever it holds. */
  readonly expectedVersion?: number | null;
  /** Callers may break: the contract of the version is not compared with the one that the label holds. */
  readonly breaking?: boolean;
  /** Past a gate that has no evidence: with a reason, and on record until the version has passed. */
  readonly breakGlass?: boolean;
  readonly reason: string | null;
  readonly gitCommit?: string | null;
}

/**
 * Points a label at a version, in one audited step.
 * @returns the ledger's record, or null when the label was there already
 * @throws PromptgateError invalid_request — also when the glass is to be broken without a reason; forbidden, not_found
 * @throws PromptgateError conflict — the label holds another version than expected, the contract breaks, the version is
 * archived, the label is gated
 */
export async function moveLabel(
  deps: { registry: RegistryStore; snapshot: RegistrySnapshot },
  request: MoveLabelRequest,
): Promise<Deployment | null> {
  const { actor, promptName, label } = request;
  refuseLabelName(label);
  if (request.breakGlass && !request.reason?.trim()) {
    throw new PromptgateError('invalid_request', 'Say why the glass is broken: the ledger keeps it.');
  }
  authorizePrompt(actor, promptName);
  authorizeLabel(actor, label);
  await deps.snapshot.refresh();
  deps.snapshot.resolve(promptName, { version: request.version }, actor);
  const { compile } = deps.snapshot;
  const deployment = await deps.registry.moveLabel({
    promptName,
    label,
    toVersion: request.version,
    ...(request.expectedVersion === undefined ? {} : { expectedVersion: request.expectedVersion }),
    kind: request.breakGlass ? 'break_glass' : 'deploy',
    actor: actor.name,
    reason: request.reason,
    gitCommit: request.gitCommit ?? null,
    ...(request.breaking
      ? {}
      : { review: (held, target) => refuseBreakingMove(label, held && compile(held), compile(target)) }),
  });
  await deps.snapshot.refresh();
  return deployment;
}

/** @throws PromptgateError invalid_request */
export function refuseLabelName(label: string): void {
  if (labelPattern.test(label)) return;
  throw new PromptgateError('invalid_request', labelGrammar);
}
