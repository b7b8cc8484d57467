/**
 * The keys of a suite and what each may hold: promptfoo's words, and a few of our own. What promptfoo knows besides is
 * either passed over with a warning, because it cannot change a verdict here, or refused.
 */
import { z } from 'zod';
import type { Key } from './definition-keys.ts';
import type { Json, JsonObject } from './json.ts';
import { promptNamePattern } from './names.ts';

const object = z.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
);
const line = z
  .string()
  .min(1)
  .max(100)
  .refine((text) => !/\p{Cc}/u.test(text));
const text = z.string().max(10_000);
/** Nothing could fall below 0: that would let through whatever is answered. */
const rate = z.number().gt(0).max(1);
const sumThreshold = { schema: z.number().gt(0), expected: 'a number above 0' } as const;
const threshold = { schema: z.number(), expected: 'a number' } as const;

export const maxRepeats = 100;

export const suiteKeys = {
  description: { schema: text, expected: 'text' },
  prompt: { schema: z.string().regex(promptNamePattern), expected: 'the name of a prompt' },
  suite: {
    schema: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/),
    expected: 'a name of lower-case letters, digits and dashes',
  },
  repeats: { schema: z.int().min(1).max(maxRepeats), expected: `a whole number from 1 to ${maxRepeats}` },
  threshold: { schema: rate, expected: 'the share of answers that have to pass, above 0 and at most 1' },
  proven: {
    schema: z.number().gt(0).lt(1),
    expected: 'the pass rate that has to be proven, between 0 and 1',
  },
  confidence: { schema: z.number().min(0.5).max(0.9999), expected: 'from 0.5 to 0.9999, e.g. 0.95' },
  judge: {
    schema: z.string().regex(/^[a-z0-9][a-z0-9._-]*@\d+$/),
    expected: 'a prompt and its version, e.g. grade-answer@3: a label could move under the evidence',
  },
  probe: { schema: object, expected: 'a mapping with `schedule` and `budget`' },
  defaultTest: { schema: object, expected: 'a mapping, as a test is' },
  assertionTemplates: { schema: object, expected: 'a mapping of names to assertions' },
  tests: {
    schema: z.union([z.string().min(1), z.array(z.custom<Json>((value) => value !== undefined))]),
    expected: 'a list of tests, or a file of them',
    required: true,
  },
} as const satisfies Record<string, Key>;

export const testKeys = {
  id: { schema: z.union([line, z.int()]), expected: 'one line of at most 100 characters' },
  critical: { schema: z.boolean(), expected: 'true or false' },
  description: { schema: text, expected: 'text' },
  vars: { schema: object, expected: 'a mapping of variables to values' },
  assert: { schema: z.array(object), expected: 'a list of assertions' },
  threshold: sumThreshold,
  metadata: { schema: object, expected: 'a mapping of your own' },
  options: { schema: object, expected: 'a mapping' },
} as const satisfies Record<string, Key>;

export const optionKeys = {
  disableVarExpansion: { schema: z.boolean(), expected: 'true or false' },
  disableDefaultAsserts: { schema: z.boolean(), expected: 'true or false' },
} as const satisfies Record<string, Key>;

export const assertionKeys = {
  type: { schema: z.string().min(1).max(100), expected: 'the type of the assertion', required: true },
  value: { schema: z.custom<Json>(() => true), expected: 'what the type compares with' },
  threshold,
  weight: { schema: z.number().min(0), expected: 'a number from 0' },
  metric: { schema: line, expected: 'one line of at most 100 characters' },
  tolerance: { schema: z.union([z.number(), z.string()]), expected: 'a number, or a share such as "5%"' },
  config: { schema: object, expected: 'a mapping, for `javascript`' },
} as const satisfies Record<string, Key>;

export const setKeys = {
  type: assertionKeys.type,
  assert: { schema: z.array(object).min(1), expected: 'a list of assertions', required: true },
  threshold: sumThreshold,
  weight: assertionKeys.weight,
  metric: assertionKeys.metric,
} as const satisfies Record<string, Key>;

/** What promptfoo says and promptgate settles otherwise. It is named in a warning, so that nobody believes it holds. */
export const passedOver: Readonly<
  Record<'suite' | 'test' | 'options' | 'assertion', Readonly<Record<string, string>>>
> = {
  suite: {
    prompts: 'the version under test is what runs',
    providers: 'the version names its model',
    targets: 'the version names its model',
    evaluateOptions: 'concurrency, repeats and cost are bounded by the command; nothing is ever cached',
    commandLineOptions: 'the command has its own',
    outputPath: 'the command has `--json`, `--junit` and `--markdown`',
    writeLatestResults: 'results are recorded by the gateway',
    sharing: 'results are recorded by the gateway',
    tags: 'it changes no verdict',
    metadata: 'it changes no verdict',
    env: 'the gateway has its own configuration',
    $schema: 'it changes no verdict',
  },
  test: { prompts: 'the version under test is what runs' },
  options: { provider: 'a rubric is judged by the pinned `judge` of the suite' },
  assertion: {
    provider: 'a rubric is judged by the pinned `judge` of the suite',
    description: 'it changes no verdict',
  },
};
