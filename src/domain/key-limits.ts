/** What a limited key may touch. An actor without limits (the CLI, the system) may touch everything. */
import type { Actor } from './api-key.ts';

/** A prompt name in which `*` stands for any characters, also none: `billing-*`. */
export const promptGlobPattern = /^[a-z0-9._*-]{1,128}$/;

export function mayUsePrompt(actor: Pick<Actor, 'limits'>, promptName: string): boolean {
  const globs = actor.limits?.prompts ?? null;
  return globs === null || globs.some((glob) => matchesGlob(glob, promptName));
}

export function mayUseLabel(actor: Pick<Actor, 'limits'>, label: string): boolean {
  const labels = actor.limits?.labels ?? null;
  return labels === null || labels.includes(label);
}

/** What the key says of it; else a key that is limited to prompts or labels may not call without them. */
export function mayCallRaw({ limits }: Pick<Actor, 'limits'>): boolean {
  return limits?.raw ?? !(limits?.prompts || limits?.labels);
}

/** Pieces between stars are looked for from left to right: no pattern, however hostile, takes more than one pass each. */
function matchesGlob(glob: string, name: string): boolean {
  const [first = '', ...pieces] = glob.split('*');
  if (pieces.length === 0) return glob === name;
  const last = pieces.pop() ?? '';
  if (!name.startsWith(first) || !name.endsWith(last)) return false;
  let from = first.length;
  const end = name.length - last.length;
  for (const piece of pieces) {
    const at = name.indexOf(piece, from);
    if (at === -1) return false;
    from = at + piece.length;
  }
  return from <= end;
}
