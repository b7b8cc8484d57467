import { hash } from 'node:crypto';

/**
 * JSON text that is the same for equal values: object keys sorted by UTF-16 code units, no white space, members that
 * are `undefined` left out. Numbers are written as JavaScript writes them, so `1.0` and `1` are equal (RFC 8785).
 * Throws a TypeError for what JSON cannot hold: NaN, infinities, bigint, functions, `undefined` inside an array.
 * Recursive: the caller bounds the depth.
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError('A number that is not finite has no JSON form.');
    return JSON.stringify(value);
  }
  // Array.from: a hole becomes `undefined` and is refused, where map() would skip it.
  if (Array.isArray(value)) return `[${Array.from(value, canonicalJson).join(',')}]`;
  if (typeof value === 'object') return canonicalObject(value as Record<string, unknown>);
  throw new TypeError(`A value of type ${typeof value} has no JSON form.`);
}

function canonicalObject(value: Record<string, unknown>): string {
  let text = '';
  for (const key of Object.keys(value).sort()) {
    const member = value[key];
    if (member === undefined) continue;
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(member)}`;
  }
  return `{${text}}`;
}

/** SHA-256 in lower-case hex; text is hashed as UTF-8. */
export function sha256(text: string | Uint8Array): string {
  return hash('sha256', text, 'hex');
}

/** SHA-256 of the canonical JSON text: equal values have equal hashes, whatever their key order. */
export function hashJson(value: unknown): string {
  return sha256(canonicalJson(value));
}
