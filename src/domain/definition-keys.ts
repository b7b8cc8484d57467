/** The keys of a definition's front matter: what each may hold. A new key is one line here and its use in definition.ts. */
import { z } from 'zod';
import type { DefinitionIssue } from './definition-error.ts';
import type { FrontMatter } from './front-matter.ts';
import type { Json, JsonObject } from './json.ts';
import type { KeyPath, LocatedYaml } from './located-yaml.ts';
import { maxVersionNumber, nearestName, promptNamePattern } from './names.ts';

export interface Key {
  readonly schema: z.ZodType;
  /** Completes “must be …”. */
  readonly expected: string;
  readonly required?: true;
}

const object = z.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
);
const anyValue = z.custom<Json>((value) => value !== null);
const line = (length: number) =>
  z
    .string()
    .min(1)
    .max(length)
    .refine((text) => !/\p{Cc}/u.test(text));

const definitionKeys = {
  name: {
    schema: z.string().regex(promptNamePattern),
    expected: 'a name of lower-case letters, digits, `.`, `_` and `-`, at most 128',
    required: true,
  },
  version: {
    schema: z.int().min(1).max(maxVersionNumber),
    expected: `a whole number from 1 to ${maxVersionNumber}`,
    required: true,
  },
  description: { schema: z.string().max(10_000), expected: 'text of at most 10,000 characters' },
  breaking: {
    schema: z.string().trim().min(1).max(2_000),
    expected: 'the reason, as text: what breaks for callers and what they have to do',
  },
  author: { schema: line(200), expected: 'one line of at most 200 characters' },
  model: {
    schema: z.string().regex(/^[^\s\p{Cc}]{1,200}$/u),
    expected: 'a model such as gpt-4o-mini or anthropic/claude-sonnet-4-5, without spaces',
    required: true,
  },
  config: { schema: object, expected: 'a mapping, e.g. { temperature: 0.2 }' },
  input: { schema: object, expected: 'a mapping with `schema` and `default`' },
  output: { schema: object, expected: 'a mapping with `format` and `schema`' },
  tools: { schema: object, expected: 'a mapping of names to `description` and `input`' },
  overridable: {
    schema: object,
    expected: 'a mapping of what callers may decide to `any`, a list or { min, max }',
  },
  deterministic: {
    schema: z.boolean(),
    expected: 'true or false: whether the same input is to get the same answer',
  },
  metadata: { schema: object, expected: 'a mapping of your own' },
} as const satisfies Record<string, Key>;

const configKeys = {
  temperature: { schema: z.number().min(0).max(2), expected: 'a number from 0 to 2' },
  maxOutputTokens: { schema: z.int().min(1).max(maxVersionNumber), expected: 'a whole number from 1' },
  topP: { schema: z.number().min(0).max(1), expected: 'a number from 0 to 1' },
  topK: { schema: z.int().min(1).max(maxVersionNumber), expected: 'a whole number from 1' },
  stopSequences: {
    schema: z.array(z.string().min(1).max(1_000)).min(1).max(16),
    expected: 'a list of 1 to 16 texts that are not empty',
  },
  frequencyPenalty: { schema: z.number().min(-2).max(2), expected: 'a number from -2 to 2' },
  presencePenalty: { schema: z.number().min(-2).max(2), expected: 'a number from -2 to 2' },
  seed: { schema: z.int(), expected: 'a whole number' },
  reasoningEffort: {
    schema: z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/),
    expected: 'one lower-case word, e.g. low',
  },
  timeout: {
    schema: z.union([z.number(), z.string()]).refine((value) => {
      const milliseconds = toMilliseconds(value);
      return milliseconds !== undefined && milliseconds >= 1 && milliseconds <= 600_000;
    }),
    expected: 'a time from 1 ms to 10 minutes: "45s", "500ms", "2m", or a number of seconds',
  },
} as const satisfies Record<string, Key>;

const inputKeys = {
  schema: { schema: anyValue, expected: 'a schema' },
  default: { schema: object, expected: 'a mapping of variables to values' },
} as const satisfies Record<string, Key>;

const outputKeys = {
  format: { schema: z.enum(['text', 'json']), expected: 'text or json' },
  schema: { schema: anyValue, expected: 'a schema' },
} as const satisfies Record<string, Key>;

/** What other tools call a parameter, for the hint only. */
const otherNames: Readonly<Record<string, string>> = {
  max_tokens: 'maxOutputTokens',
  maxTokens: 'maxOutputTokens',
  max_completion_tokens: 'maxOutputTokens',
  stop: 'stopSequences',
  stop_sequences: 'stopSequences',
  reasoning: 'reasoningEffort',
  timeoutMs: 'timeout',
};

export type Values<Keys extends Record<string, Key>> = {
  -readonly [K in keyof Keys]?: z.infer<Keys[K]['schema']>;
};

export interface DefinitionValues {
  readonly top: Values<typeof definitionKeys>;
  readonly config: Values<typeof configKeys>;
  readonly input: Values<typeof inputKeys>;
  readonly output: Values<typeof outputKeys>;
}

/** The values of all keys, each checked; a key that fails is left out and reported. */
export function readKeys(frontMatter: FrontMatter, issues: DefinitionIssue[]): DefinitionValues {
  const top = readMapping(definitionKeys, frontMatter.value, [], frontMatter, issues);
  return {
    top,
    config: readMapping(configKeys, top.config ?? {}, ['config'], frontMatter, issues),
    input: readMapping(inputKeys, top.input ?? {}, ['input'], frontMatter, issues),
    output: readMapping(outputKeys, top.output ?? {}, ['output'], frontMatter, issues),
  };
}

/** A mapping with these keys and no others; a key that fails is left out and reported where it stands. */
export function readMapping<Keys extends Record<string, Key>>(
  keys: Keys,
  value: JsonObject,
  path: KeyPath,
  located: Pick<LocatedYaml, 'issueAt'>,
  issues: DefinitionIssue[],
): Values<Keys> {
  const values: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value)) {
    const key = Object.hasOwn(keys, name) ? keys[name] : undefined;
    const at = [...path, name];
    if (key === undefined) {
      issues.push(located.issueAt(at, unknownKey(name, path, Object.keys(keys)), 'key'));
    } else if (key.schema.safeParse(item).success) values[name] = item;
    else issues.push(located.issueAt(at, `\`${at.join('.')}\` must be ${key.expected}.`));
  }
  for (const [name, key] of Object.entries(keys)) {
    if (key.required && !Object.hasOwn(value, name)) {
      issues.push(located.issueAt(path, `\`${name}\` is missing: it must be ${key.expected}.`));
    }
  }
  return values as Values<Keys>;
}

export const parameterNames = Object.keys(configKeys) as readonly string[];

/** What a key of `config` must be when the value is not that; undefined when it fits. */
export function findConfigFault(name: string, value: Json): string | undefined {
  const key: Key | undefined = Object.hasOwn(configKeys, name)
    ? configKeys[name as keyof typeof configKeys]
    : undefined;
  if (key === undefined) return 'a parameter that promptgate knows';
  return key.schema.safeParse(value).success ? undefined : key.expected;
}

function unknownKey(name: string, path: KeyPath, known: readonly string[]): string {
  const other = Object.hasOwn(otherNames, name) ? otherNames[name] : undefined;
  const meant = other !== undefined && known.includes(other) ? other : nearestName(name, known);
  const hint = meant === undefined ? `The keys are ${known.join(', ')}.` : `Did you mean \`${meant}\`?`;
  return `There is no key \`${[...path, name].join('.')}\`. ${hint}`;
}

/** `"45s"`, `"500ms"`, `"2m"` or seconds as milliseconds; undefined for anything else. */
export function toMilliseconds(value: string | number): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? Math.round(value * 1_000) : undefined;
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(value) ?? [];
  if (amount === undefined) return undefined;
  return Math.round(Number(amount) * (unit === 'ms' ? 1 : unit === 's' ? 1_000 : 60_000));
}
