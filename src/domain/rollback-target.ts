import type { Deployment } from './prompt-version.ts';

/**
 * The version that a rollback of one label goes to: what the ledger says ran before what runs now. The ledger reads as
 * a stack: a move puts a version on top, a rollback takes the top off. So two rollbacks go back twice, not back and
 * forth, and what was rolled back from is never rolled back to.
 * @param moves of one label, oldest first
 * @returns null when nothing ran before
 */
export function rollbackTarget(moves: readonly Pick<Deployment, 'kind' | 'toVersion'>[]): number | null {
  const stack: number[] = [];
  for (const { kind, toVersion } of moves) {
    if (kind === 'rollback') {
      stack.pop();
      while (stack.length > 0 && stack.at(-1) !== toVersion) stack.pop();
    }
    if (stack.at(-1) !== toVersion) stack.push(toVersion);
  }
  return stack.at(-2) ?? null;
}
