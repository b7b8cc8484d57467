/**
 * What a case of a suite demands of an answer. One registry of types; what they mean is what promptfoo means by them, so
 * that one file gives one verdict under both. A type that is not here is refused by line, never passed over.
 */
import { answerTypes } from './assertion-answer.ts';
import { jsonTypes } from './assertion-json.ts';
import { textTypes } from './assertion-text.ts';
import type {
  AssertionSpec,
  CompileAssertion,
  Complain,
  Grade,
  JudgedAnswer,
  Match,
} from './assertion-type.ts';
import type { Json, JsonObject } from './json.ts';
import { nearestName } from './names.ts';

/** How an assertion comes to its grade: by itself, or by something that the run has to ask. */
export type Check =
  | { readonly kind: 'pure'; readonly grade: (answer: JudgedAnswer) => Grade }
  | { readonly kind: 'pattern'; readonly pattern: string; readonly inverse: boolean }
  | {
      readonly kind: 'script';
      readonly code: string;
      readonly threshold: number | undefined;
      readonly config: JsonObject;
      readonly inverse: boolean;
    }
  | {
      readonly kind: 'judge';
      readonly rubric: Json;
      readonly threshold: number | undefined;
      readonly inverse: boolean;
    };

export const pureTypes: Readonly<Record<string, CompileAssertion>> = {
  ...textTypes,
  ...jsonTypes,
  ...answerTypes,
};

/** Types that need the run: a pattern has a bound of time, a script a locked-down process, a rubric its judge. */
export const askedTypes = ['regex', 'javascript', 'llm-rubric'] as const;

export const assertionTypes: readonly string[] = [...Object.keys(pureTypes), ...askedTypes].sort();

/** Types of promptfoo that have a near relation here. */
const relations: Readonly<Record<string, string>> = {
  similar: '`similarity` compares the letters, `llm-rubric` the meaning',
  'is-valid-function-call': 'use `is-valid-openai-tools-call`',
  'is-valid-openai-function-call': 'use `is-valid-openai-tools-call`',
  'model-graded-closedqa': 'use `llm-rubric`',
  factuality: 'use `llm-rubric`',
  'g-eval': 'use `llm-rubric`',
  python: 'use `javascript`',
  'answer-relevance': 'use `llm-rubric`',
};

/** @returns whether there is such a type; complains where there is none */
export function findType(type: string, complain: Complain): boolean {
  const base = type.replace(/^not-/, '');
  if (assertionTypes.includes(base)) return true;
  complain('type', unknownType(type, base));
  return false;
}

/** Of a type that there is. @returns undefined after a complaint */
export function compileCheck(
  type: string,
  spec: AssertionSpec & { readonly config: JsonObject },
  complain: Complain,
): Check | undefined {
  const inverse = type.startsWith('not-');
  const base = inverse ? type.slice(4) : type;
  const { value, threshold, config } = spec;
  if (base === 'regex') {
    const pattern = compilePattern(value, complain);
    return pattern === undefined ? undefined : { kind: 'pattern', pattern, inverse };
  }
  if (base === 'javascript') {
    if (typeof value === 'string' && value.trim() !== '') {
      return { kind: 'script', code: value.trimEnd(), threshold, config, inverse };
    }
    complain('value', 'The value of `javascript` is an expression, or a function body that returns.');
    return undefined;
  }
  if (base === 'llm-rubric') {
    if (value !== undefined && value !== null && value !== '') {
      return { kind: 'judge', rubric: value, threshold, inverse };
    }
    complain('value', 'The value of `llm-rubric` says what a good answer is.');
    return undefined;
  }
  const find = pureTypes[base]?.(spec, complain);
  return find && { kind: 'pure', grade: (answer) => toGrade(find(answer), type, inverse) };
}

/** A match as a grade: `not-` turns both the verdict and the score round. */
export function toGrade(found: Match, type: string, inverse: boolean): Grade {
  const pass = found.match !== inverse;
  const score = found.score ?? (found.match ? 1 : 0);
  return {
    pass,
    score: found.worth ?? (inverse ? 1 - score : score),
    reason: pass ? 'as demanded' : `${type}: ${found.why}`,
  };
}

function compilePattern(value: Json | undefined, complain: Complain): string | undefined {
  if (typeof value !== 'string' || value === '') {
    complain('value', 'The value of `regex` is a regular expression, as text.');
    return undefined;
  }
  try {
    new RegExp(value);
    return value;
  } catch (error) {
    complain('value', `This is no regular expression: ${(error as Error).message}.`);
    return undefined;
  }
}

function unknownType(type: string, base: string): string {
  const relation = Object.hasOwn(relations, base) ? relations[base] : undefined;
  const meant = nearestName(base, assertionTypes);
  const hint =
    relation ??
    (meant === undefined ? `supported are ${assertionTypes.join(', ')}` : `did you mean \`${meant}\``);
  return `The assertion type \`${type}\` is not supported: ${hint}${meant === undefined || relation ? '.' : '?'}`;
}
