/** Callers of a label keep working across a move, unless whoever wrote or moves the version says otherwise. */
import { compareContracts } from '../domain/contract.ts';
import type { Definition } from '../domain/definition.ts';
import { PromptgateError } from '../domain/errors.ts';

/** @throws PromptgateError conflict — with every break of the contract as an issue */
export function refuseBreakingMove(label: string, held: Definition | null, target: Definition): void {
  if (held === null) return;
  const breaks = compareContracts(held, target).filter((change) => change.breaking);
  if (breaks.length === 0) return;
  throw new PromptgateError(
    'conflict',
    `Version ${target.version} breaks the contract of version ${held.version}, which "${label}" holds: callers of "${target.name}" may fail. When they are ready, move it as breaking: \`--breaking\`, or \`"breaking": true\`.`,
    { issues: breaks.map(({ path, message }) => ({ path, message })) },
  );
}

/**
 * What a sync asks. A break that its definition declares was reviewed with it, also when the label skips that version.
 * Going back is never refused: what ran before is what the callers of before were written for.
 * @param passed the versions that the label passes, the target included; none where it goes back
 * @throws PromptgateError conflict
 */
export function refuseUndeclaredBreak(
  label: string,
  held: Definition | null,
  target: Definition,
  passed: readonly Definition[],
): void {
  if (held === null || target.version < held.version) return;
  if (passed.every(({ breaking }) => breaking === null)) refuseBreakingMove(label, held, target);
}

/** The versions that a label passes on its way, the last one included. */
export function passedVersions<Version extends { readonly version: number }>(
  versions: Iterable<Version>,
  from: number | null,
  to: number,
): Version[] {
  return [...versions].filter(({ version }) => version > (from ?? 0) && version <= to);
}
