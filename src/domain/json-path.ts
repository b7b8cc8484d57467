import type { Json } from './json.ts';

export type PathPart = string | number;

const identifier = /^[\p{L}_$][\p{L}\p{N}_$-]*$/u;
/** Longer keys are cut: a path names a place, and a key of a mapping can be as long as a caller likes. */
const shownKeyLength = 64;

/** A path as people read it: `article.title`, `items[2].name`, `scores["odd key"]`. */
export function formatPath(parts: readonly PathPart[], base = ''): string {
  let path = base;
  for (const part of parts) path = appendPart(path, part);
  return path;
}

export function appendPart(path: string, part: PathPart): string {
  if (typeof part === 'number') return `${path}[${part}]`;
  const key = showKey(part);
  if (key === part && identifier.test(part)) return path === '' ? part : `${path}.${part}`;
  return `${path}[${JSON.stringify(key)}]`;
}

/** A key fit for a message: cut, without control characters, well-formed. */
export function showKey(key: string): string {
  const cut = key.length > shownKeyLength ? `${key.slice(0, shownKeyLength)}…` : key;
  return cut.toWellFormed().replaceAll(/\p{Cc}/gu, '\uFFFD');
}

/** What a JSON value is called in a message. */
export function jsonKind(value: Json | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}
