/**
 * The head of a definition: strict YAML that remembers where everything stands. Anchors, aliases, tags, duplicate keys
 * and numbers that lose digits are refused, so the value is exactly what a reader sees.
 */
import { isAlias, isMap, isScalar, isSeq, type Node, type Pair, parseDocument, type Scalar } from 'yaml';
import { type DefinitionIssue, SourceText } from './definition-error.ts';
import type { Json, JsonObject } from './json.ts';
import { isPrototypeName } from './names.ts';
import { maxJsonDepth } from './writable-text.ts';

export type KeyPath = readonly (string | number)[];

export interface FrontMatter {
  readonly value: JsonObject;
  readonly body: SourceText;
  readonly issues: readonly DefinitionIssue[];
  /** An issue at a key (or an item), or at its value. What does not exist is reported at its nearest parent. */
  issueAt(path: KeyPath, message: string, part?: 'key' | 'value'): DefinitionIssue;
}

/** The YAML parser compares every key with every other: without a bound a large file holds the process for seconds. */
const maxFrontMatterLength = 65_536;

interface Place {
  readonly key: number;
  readonly value: number;
}

/** Never throws for what the text contains; `value` holds what could be read. */
export function parseFrontMatter(source: SourceText): FrontMatter {
  const split = splitSource(source.text);
  const issues: DefinitionIssue[] = [];
  const places = new Map<string, Place>();
  let value: JsonObject = {};
  if (split === undefined) {
    const message = 'A definition starts with front matter: a line `---`, its keys, and a second line `---`.';
    issues.push(source.issueAtOffset(0, message));
  } else if (split.yaml.length > maxFrontMatterLength) {
    issues.push(source.issueAtOffset(split.offset, 'The front matter is larger than 64 KiB.'));
  } else {
    const read = readYaml(source, split.yaml, split.offset, issues, places);
    if (isObject(read)) value = read;
    else if (issues.length === 0) {
      issues.push(source.issueAtOffset(split.offset, 'The front matter is a mapping of keys to values.'));
    }
  }
  return {
    value,
    body: new SourceText(source.file, split?.body ?? '', split?.bodyLine ?? 1),
    issues,
    issueAt(path, message, part = 'value') {
      for (let length = path.length; length > 0; length--) {
        const place = places.get(JSON.stringify(path.slice(0, length)));
        if (place === undefined) continue;
        return source.issueAtOffset(length === path.length ? place[part] : place.key, message);
      }
      return source.issueAtOffset(split?.offset ?? 0, message);
    },
  };
}

interface Split {
  readonly yaml: string;
  readonly offset: number;
  readonly body: string;
  readonly bodyLine: number;
}

/** Lines that are empty or start with `#`, such as a licence, may stand before the front matter. */
function splitSource(text: string): Split | undefined {
  const open = /^(?:[ \t]*(?:#[^\n]*)?\n)*---[ \t]*\n/.exec(text);
  if (open === null) return undefined;
  const offset = open[0].length;
  const close = /^---[ \t]*(?:\n|$)/m.exec(text.slice(offset));
  if (close === null) return undefined;
  const bodyStart = offset + close.index + close[0].length;
  return {
    yaml: text.slice(offset, offset + close.index),
    offset,
    body: text.slice(bodyStart),
    bodyLine: text.slice(0, bodyStart).split('\n').length,
  };
}

function readYaml(
  source: SourceText,
  yaml: string,
  start: number,
  issues: DefinitionIssue[],
  places: Map<string, Place>,
): Json | undefined {
  try {
    const document = parseDocument(yaml, { version: '1.2', schema: 'core', prettyErrors: false });
    for (const { message, pos } of [...document.errors, ...document.warnings]) {
      issues.push(source.issueAtOffset(start + pos[0], yamlSentence(message)));
    }
    return issues.length > 0 ? undefined : toJson(document.contents, []);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    issues.push(source.issueAtOffset(start, 'The front matter is nested too deeply.'));
    return undefined;
  }

  function toJson(node: Node | null, path: KeyPath): Json {
    if (node === null) return null;
    const at = node.range?.[0] ?? 0;
    if (isAlias(node) || ('anchor' in node && node.anchor !== undefined)) {
      return refuse(at, 'Anchors and aliases are not supported: write the value out.');
    }
    if (node.tag !== undefined) return refuse(at, 'YAML tags are not supported: remove the `!` word.');
    if (path.length >= maxJsonDepth) return refuse(at, 'The front matter is nested too deeply.');
    if (isMap(node)) return mapToJson(node.items as Pair[], path);
    if (isSeq(node)) {
      return (node.items as Node[]).map((item, index) => {
        const place = item?.range?.[0] ?? at;
        places.set(JSON.stringify([...path, index]), { key: start + place, value: start + place });
        return toJson(item, [...path, index]);
      });
    }
    return isScalar(node) ? scalarToJson(node, at) : null;
  }

  function mapToJson(pairs: readonly Pair[], path: KeyPath): JsonObject {
    const entries: [string, Json][] = [];
    for (const { key, value } of pairs as Pair<Node, Node | null>[]) {
      const at = key.range?.[0] ?? 0;
      if (
        !isScalar(key) ||
        typeof key.value !== 'string' ||
        key.anchor !== undefined ||
        key.tag !== undefined
      ) {
        refuse(at, 'A key is plain text: put it in quotes.');
      } else if (isPrototypeName(key.value)) {
        refuse(at, `\`${key.value}\` is a reserved name.`);
      } else {
        const inner = [...path, key.value];
        const valueAt = value?.range?.[0] ?? at;
        places.set(JSON.stringify(inner), { key: start + at, value: start + valueAt });
        entries.push([key.value, toJson(value, inner)]);
      }
    }
    return Object.fromEntries(entries);
  }

  function scalarToJson(node: Scalar, at: number): Json {
    const { value } = node;
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

  function refuse(at: number, message: string): null {
    issues.push(source.issueAtOffset(start + at, message));
    return null;
  }
}

function yamlSentence(message: string): string {
  if (message === 'Map keys must be unique') return 'This key is written twice: keep one.';
  return `The front matter is not valid YAML: ${message.split('\n')[0]}`;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
