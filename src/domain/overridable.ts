/**
 * `overridable:` of a definition: what its callers may decide in its place, each within bounds. What is not listed is the
 * definition's alone.
 */
import { findConfigFault, toMilliseconds } from './definition-keys.ts';
import type { Json, JsonObject } from './json.ts';
import { nearestName } from './names.ts';

/** Any valid value, one of a list, or a number within bounds, both inclusive. */
export type Bound = 'any' | readonly string[] | { readonly min?: number; readonly max?: number };

/** By the names of `config`, and `model`, `tools`, `output`. Bounds of `timeout` are milliseconds. */
export type Overridable = Readonly<Record<string, Bound>>;

export interface OverridableIssue {
  readonly path: readonly (string | number)[];
  readonly message: string;
  readonly part: 'key' | 'value';
}

/** Which bounds each name takes beside `any`. A model is always listed: any model would be any price. */
const boundsOf: Readonly<Record<string, 'list only' | 'list' | 'range' | 'none'>> = {
  model: 'list only',
  temperature: 'range',
  maxOutputTokens: 'range',
  topP: 'range',
  topK: 'range',
  stopSequences: 'none',
  frequencyPenalty: 'range',
  presencePenalty: 'range',
  seed: 'range',
  reasoningEffort: 'list',
  timeout: 'range',
  tools: 'none',
  output: 'none',
};

const expected = {
  'list only': 'a list of models, e.g. [gpt-4o, gpt-4o-mini]',
  list: '`any` or a list of words, e.g. [low, medium]',
  range: '`any`, or bounds, e.g. { max: 1 } or { min: 0, max: 1 }',
  none: '`any`',
} as const;

const maxListed = 100;

export function parseOverridable(written: JsonObject): {
  overridable: Overridable;
  issues: OverridableIssue[];
} {
  const overridable: Record<string, Bound> = {};
  const issues: OverridableIssue[] = [];
  for (const [name, value] of Object.entries(written)) {
    const kind = Object.hasOwn(boundsOf, name) ? boundsOf[name] : undefined;
    if (kind === undefined) {
      issues.push({ path: [name], message: unknownName(name), part: 'key' });
      continue;
    }
    const bound = readBound(name, value, kind);
    if (bound !== undefined) overridable[name] = bound;
    else {
      const message = `\`overridable.${name}\` must be ${expected[kind]}, of values that it may have.`;
      issues.push({ path: [name], message, part: 'value' });
    }
  }
  return { overridable, issues };
}

function unknownName(name: string): string {
  const meant = nearestName(name, Object.keys(boundsOf));
  const hint = meant ? `Did you mean \`${meant}\`?` : `They are ${Object.keys(boundsOf).join(', ')}.`;
  return `\`${name}\` is nothing that callers could override. ${hint}`;
}

function readBound(name: string, value: Json, kind: keyof typeof expected): Bound | undefined {
  if (value === 'any') return kind === 'list only' ? undefined : 'any';
  if (kind === 'list' || kind === 'list only') return readList(name, value);
  return kind === 'range' ? readRange(name, value) : undefined;
}

function readList(name: string, value: Json): readonly string[] | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > maxListed) return undefined;
  const fits = value.every((item) => typeof item === 'string' && isValid(name, item));
  return fits && new Set(value).size === value.length ? (value as string[]) : undefined;
}

function isValid(name: string, value: Json): boolean {
  return name === 'model' ? /^[^\s\p{Cc}]{1,200}$/u.test(String(value)) : !findConfigFault(name, value);
}

function readRange(name: string, value: Json): Bound | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const entries = Object.entries(value);
  if (entries.length === 0) return undefined;
  const read: { min?: number; max?: number } = {};
  for (const [side, limit] of entries) {
    if ((side !== 'min' && side !== 'max') || findConfigFault(name, limit)) return undefined;
    read[side] = name === 'timeout' ? toMilliseconds(limit as string | number)! : (limit as number);
  }
  return (read.min ?? -Infinity) > (read.max ?? Infinity) ? undefined : read;
}

/** Why callers may not say this; undefined when they may. No message repeats a value. */
export function findOverrideFault(overridable: Overridable, name: string, value: Json): string | undefined {
  const bound = Object.hasOwn(overridable, name) ? overridable[name] : undefined;
  if (bound === undefined) {
    return `the definition of the prompt governs this; leave it out, or list \`${name}\` under \`overridable\` in the definition`;
  }
  if (bound === 'any') return undefined;
  if (isList(bound)) {
    return bound.includes(String(value)) ? undefined : `the definition lets it be ${bound.join(', ')}`;
  }
  const { min = -Infinity, max = Infinity } = bound;
  const within = typeof value === 'number' && value >= min && value <= max;
  return within
    ? undefined
    : `the definition lets it be ${showRange(bound, name === 'timeout' ? ' ms' : '')}`;
}

function showRange({ min, max }: { min?: number; max?: number }, unit: string): string {
  if (min === undefined) return `at most ${max}${unit}`;
  return max === undefined ? `at least ${min}${unit}` : `from ${min} to ${max}${unit}`;
}

/** What callers may override as a schema, so that two versions are compared like their inputs. */
export function toOverridableSchema(overridable: Overridable): JsonObject {
  const properties = Object.entries(overridable).map(([name, bound]): [string, JsonObject] => {
    if (bound === 'any') return [name, {}];
    if (isList(bound)) return [name, { enum: bound.toSorted() }];
    const { min, max } = bound;
    return [
      name,
      { ...(min === undefined ? {} : { minimum: min }), ...(max === undefined ? {} : { maximum: max }) },
    ];
  });
  return { type: 'object', properties: Object.fromEntries(properties), additionalProperties: false };
}

function isList(bound: Bound): bound is readonly string[] {
  return Array.isArray(bound);
}
