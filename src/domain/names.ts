/** Name of a prompt: lower case, starts and ends with a letter or a digit, at most 128 characters. */
export const promptNamePattern = /^[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?$/;

/** Name of a label: starts with a letter, at most 63 characters. */
export const labelPattern = /^[a-z][a-z0-9-]{0,62}$/;
export const labelGrammar =
  'A label has lower-case letters, digits and dashes, begins with a letter, and is at most 63 long.';

/** Greatest version number: PostgreSQL's `integer`. */
export const maxVersionNumber = 2_147_483_647;

const prototypeNames = new Set(['__proto__', 'constructor', 'prototype']);

/** Names that reach an object's prototype. They are refused as variables and as keys, so no code has to beware. */
export function isPrototypeName(name: string): boolean {
  return prototypeNames.has(name);
}

/** The candidate that `name` was probably meant to be, or undefined when none is close. Case and `_`, `-` do not count. */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length > 64) return undefined;
  const wanted = plain(name);
  let best: string | undefined;
  let bestDistance = Math.floor(wanted.length / 3) + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - name.length) > 24) continue;
    const distance = editDistance(wanted, plain(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[_-]/g, '');
}

/** Edits that turn one text into the other; two neighbours swapped count as one. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      let distance = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + change);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) distance = Math.min(distance, beforeLast[j - 2]! + 1);
      row.push(distance);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
