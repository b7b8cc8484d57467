/**
 * What PostgreSQL can hold. It refuses NUL in text and jsonb and a lone surrogate in jsonb, and a value nested deeper
 * than JSON.stringify can write cannot be recorded at all. Whatever goes into the audit is checked or changed here,
 * before money is spent on it.
 */
import type { Json } from './json.ts';
import type { PathPart } from './json-path.ts';
import { isPrototypeName } from './names.ts';

/** Deepest nesting that is accepted anywhere: far above real data, far below every recursion limit. */
export const maxJsonDepth = 64;
/** Bounds the work on a value built in-process that refers to itself; a request body is far smaller. */
const maxJsonNodes = 2_000_000;

/** NUL and lone surrogates become U+FFFD; `changed` says whether there was any. */
export function toWritableText(text: string): { readonly text: string; readonly changed: boolean } {
  if (isWritable(text)) return { text, changed: false };
  return { text: text.toWellFormed().replaceAll('\0', '\uFFFD'), changed: true };
}

export function isWritable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

/**
 * The same value, writable: texts and keys as `toWritableText` leaves them, what lies deeper than 64 levels as null.
 * For records of what was refused; what is to be sent is checked with `findJsonFault` instead.
 */
export function toWritableJson(value: Json, depth = 0): Json {
  if (typeof value === 'string') return toWritableText(value).text;
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= maxJsonDepth) return null;
  if (Array.isArray(value)) return value.map((item) => toWritableJson(item, depth + 1));
  const entries = Object.entries(value);
  return Object.fromEntries(
    entries.map(([key, member]) => [toWritableText(key).text, toWritableJson(member, depth + 1)]),
  );
}

export interface JsonFault {
  readonly path: readonly PathPart[];
  /** A sentence without the value, e.g. `contains a NUL character`. */
  readonly message: string;
}

/** The first place where a value is not plain, writable JSON, or undefined. */
export function findJsonFault(
  value: unknown,
  options: { readonly prototypeNames: boolean },
): JsonFault | undefined {
  const budget = { nodes: maxJsonNodes };
  const path: PathPart[] = [];
  const message = inspect(value, 0);
  return message === undefined ? undefined : { path: path.reverse(), message };

  // Bounded recursion; the path is collected on the way out, so a sound value pays nothing for it.
  function inspect(node: unknown, depth: number): string | undefined {
    if (typeof node === 'string') return textFault(node);
    if (node === null || typeof node === 'boolean') return undefined;
    if (typeof node === 'number') return Number.isFinite(node) ? undefined : 'is not a finite number';
    if (typeof node !== 'object') return 'is not a JSON value';
    if (depth >= maxJsonDepth) return `is nested deeper than ${maxJsonDepth} levels`;
    if (budget.nodes-- <= 0) return 'holds too many values';
    return Array.isArray(node) ? inspectArray(node, depth) : inspectObject(node, depth);
  }

  function inspectArray(node: readonly unknown[], depth: number): string | undefined {
    for (let index = 0; index < node.length; index++) {
      const fault = inspect(node[index], depth + 1);
      if (fault !== undefined) return locate(index, fault);
    }
    return undefined;
  }

  function inspectObject(node: object, depth: number): string | undefined {
    const prototype = Object.getPrototypeOf(node);
    if (prototype !== Object.prototype && prototype !== null) return 'is not a plain object';
    for (const key of Object.keys(node)) {
      const keyFault = textFault(key);
      if (keyFault !== undefined) return locate(key, `has a name that ${keyFault}`);
      if (!options.prototypeNames && isPrototypeName(key)) return locate(key, 'has a reserved name');
      const fault = inspect((node as Record<string, unknown>)[key], depth + 1);
      if (fault !== undefined) return locate(key, fault);
    }
    return undefined;
  }

  function locate(part: PathPart, fault: string): string {
    path.push(part);
    return fault;
  }
}

function textFault(text: string): string | undefined {
  if (!text.isWellFormed()) return 'contains half of a surrogate pair';
  return text.includes('\0') ? 'contains a NUL character' : undefined;
}
