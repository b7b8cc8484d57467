/**
 * Strict YAML that remembers where everything stands. Tags, duplicate keys and numbers that lose digits are refused, so
 * the value is exactly what a reader sees; anchors and aliases too, unless the caller's files are known to have them.
 */
import { type Document, isAlias, isMap, isScalar, isSeq, type Node, type Pair, parseDocument } from 'yaml';
import type { DefinitionIssue, SourceText } from './definition-error.ts';
import type { Json, JsonObject } from './json.ts';
import { isPrototypeName } from './names.ts';
import { maxJsonDepth } from './writable-text.ts';

export type KeyPath = readonly (string | number)[];

export interface LocatedYaml {
  /** Undefined where the text cannot be read; `issues` says why. */
  readonly value: Json | undefined;
  readonly issues: readonly DefinitionIssue[];
  /** An issue at a key (or an item), or at its value. What does not exist is reported at its nearest parent. */
  issueAt(path: KeyPath, message: string, part?: 'key' | 'value'): DefinitionIssue;
}

export interface YamlOptions {
  /** The YAML, where it is only a part of the source, and where in it that begins. */
  readonly text?: string;
  readonly offset?: number;
  /** What messages call it. */
  readonly what: string;
  /** Anchors, aliases and merge keys are taken for what they stand for. */
  readonly aliases?: boolean;
}

/** Aliases of aliases grow without bound: what they make is counted. */
const maxNodes = 200_000;

interface Place {
  readonly key: number;
  readonly value: number;
}

/** Never throws for what the text contains. */
export function parseLocatedYaml(source: SourceText, options: YamlOptions): LocatedYaml {
  const start = options.offset ?? 0;
  const issues: DefinitionIssue[] = [];
  const places = new Map<string, Place>();
  return {
    value: read(source, options, start, issues, places),
    issues,
    issueAt(path, message, part = 'value') {
      for (let length = path.length; length > 0; length--) {
        const place = places.get(JSON.stringify(path.slice(0, length)));
        if (place === undefined) continue;
        return source.issueAtOffset(length === path.length ? place[part] : place.key, message);
      }
      return source.issueAtOffset(start, message);
    },
  };
}

function read(
  source: SourceText,
  { text = source.text, what, aliases = false }: YamlOptions,
  start: number,
  issues: DefinitionIssue[],
  places: Map<string, Place>,
): Json | undefined {
  try {
    // Keys are compared here: the parser would compare every key of a mapping with every other.
    const document = parseDocument(text, {
      version: '1.2',
      schema: 'core',
      prettyErrors: false,
      uniqueKeys: false,
    });
    for (const { message, pos } of [...document.errors, ...document.warnings]) {
      issues.push(
        source.issueAtOffset(start + pos[0], `${what} is not valid YAML: ${message.split('\n')[0]}`),
      );
    }
    if (issues.length > 0) return undefined;
    const reader = createReader(document, what, aliases, places, start, (at, message) => {
      issues.push(source.issueAtOffset(start + at, message));
      return null;
    });
    return reader(document.contents, []);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    issues.push(source.issueAtOffset(start, `${what} is nested too deeply.`));
    return undefined;
  }
}

function createReader(
  document: Document,
  what: string,
  aliases: boolean,
  places: Map<string, Place>,
  start: number,
  refuse: (at: number, message: string) => null,
): (node: Node | null, path: KeyPath) => Json {
  let nodes = 0;

  function toJson(node: Node | null, path: KeyPath): Json {
    if (node === null) return null;
    const at = node.range?.[0] ?? 0;
    if (isAlias(node)) {
      if (!aliases) return refuse(at, 'Anchors and aliases are not supported: write the value out.');
      return toJson(node.resolve(document) ?? null, path);
    }
    if (!aliases && 'anchor' in node && node.anchor !== undefined) {
      return refuse(at, 'Anchors and aliases are not supported: write the value out.');
    }
    if (node.tag !== undefined) return refuse(at, 'YAML tags are not supported: remove the `!` word.');
    if (path.length >= maxJsonDepth) return refuse(at, `${what} is nested too deeply.`);
    if (++nodes > maxNodes) throw new RangeError('too many nodes');
    if (isMap(node)) return mapToJson(node.items as Pair[], path);
    if (isSeq(node)) {
      return (node.items as Node[]).map((item, index) => {
        const place = item?.range?.[0] ?? at;
        places.set(JSON.stringify([...path, index]), { key: start + place, value: start + place });
        return toJson(item, [...path, index]);
      });
    }
    return isScalar(node) ? scalarToJson(node.value, at) : null;
  }

  function mapToJson(pairs: readonly Pair[], path: KeyPath): JsonObject {
    const entries = new Map<string, Json>();
    const merged: [string, Json][] = [];
    for (const { key, value } of pairs as Pair<Node, Node | null>[]) {
      const at = key.range?.[0] ?? 0;
      if (aliases && isScalar(key) && key.value === '<<') {
        const base = toJson(value, path);
        for (const part of Array.isArray(base) ? base : [base]) merged.push(...Object.entries(part ?? {}));
        continue;
      }
      if (
        !isScalar(key) ||
        typeof key.value !== 'string' ||
        key.anchor !== undefined ||
        key.tag !== undefined
      ) {
        refuse(at, 'A key is plain text: put it in quotes.');
      } else if (isPrototypeName(key.value)) {
        refuse(at, `\`${key.value}\` is a reserved name.`);
      } else if (entries.has(key.value)) {
        refuse(at, 'This key is written twice: keep one.');
      } else {
        const inner = [...path, key.value];
        const valueAt = value?.range?.[0] ?? at;
        places.set(JSON.stringify(inner), { key: start + at, value: start + valueAt });
        entries.set(key.value, toJson(value, inner));
      }
    }
    for (const [key, value] of merged) if (!entries.has(key)) entries.set(key, value);
    return Object.fromEntries(entries);
  }

  function scalarToJson(value: unknown, at: number): Json {
    if (typeof value === 'number') {
      if (!Number.isFinite(value)) return refuse(at, 'A number is finite.');
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
        return refuse(at, 'This number loses digits: put it in quotes.');
      }
    }
    if (typeof value === 'string' && (!value.isWellFormed() || value.includes('\0'))) {
      return refuse(at, 'This text contains a NUL character or half of a surrogate pair: remove it.');
    }
    return value as Json;
  }

  return toJson;
}
