/** Assertions about the text of an answer. */
import { distance } from 'fastest-levenshtein';
import type { AssertionSpec, CompileAssertion, Complain, Match } from './assertion-type.ts';
import { canonicalJson } from './canonical-json.ts';
import type { Json } from './json.ts';

export const textTypes: Readonly<Record<string, CompileAssertion>> = {
  equals: compileEquals,
  contains: containing((text) => text),
  icontains: containing((text) => text.toLowerCase()),
  'contains-any': containingSome('any', (text) => text),
  'icontains-any': containingSome('any', (text) => text.toLowerCase()),
  'contains-all': containingSome('all', (text) => text),
  'icontains-all': containingSome('all', (text) => text.toLowerCase()),
  'starts-with': compileStart,
  levenshtein: compileDistance,
  similarity: compileSimilarity,
  numeric: compileNumeric,
  length: counting('length', 'characters', (output) => Array.from(output).length),
  'word-count': counting('word-count', 'words', (output) => output.split(/\s+/).filter(Boolean).length),
};

/** An object or a list is compared with the JSON of the answer, anything else with its text. */
function compileEquals({ value }: AssertionSpec, complain: Complain) {
  if (value === undefined) {
    complain('value', 'The value of `equals` is what the answer has to be.');
    return undefined;
  }
  return ({ output }: { output: string }): Match => {
    if (typeof value !== 'object')
      return { match: output === String(value), why: `the answer is ${quote(output)}` };
    try {
      return {
        match: canonicalJson(value) === canonicalJson(JSON.parse(output)),
        why: 'the answer is other JSON',
      };
    } catch {
      return { match: false, why: 'the answer is not JSON' };
    }
  };
}

function containing(fold: (text: string) => string): CompileAssertion {
  return ({ value }, complain) => {
    if ((typeof value !== 'string' || value === '') && typeof value !== 'number') {
      complain('value', 'The value is the text that the answer contains.');
      return undefined;
    }
    const wanted = fold(String(value));
    return ({ output }) => {
      const match = fold(output).includes(wanted);
      return { match, why: `the answer ${match ? 'contains' : 'does not contain'} ${quote(String(value))}` };
    };
  };
}

function containingSome(quantity: 'any' | 'all', fold: (text: string) => string): CompileAssertion {
  return ({ value }, complain) => {
    const list = typeof value === 'string' ? splitList(value) : value;
    if (!Array.isArray(list) || list.length === 0 || list.some((item) => String(item) === '')) {
      complain('value', 'The value is a list of texts, or one text with commas between them.');
      return undefined;
    }
    const texts = list.map(String);
    return ({ output }) => {
      const folded = fold(output);
      const [missing, found] = [false, true].map((has) =>
        texts.filter((text) => folded.includes(fold(text)) === has),
      );
      const match = quantity === 'all' ? missing!.length === 0 : found!.length > 0;
      const why = match
        ? `the answer contains ${found!.map(quote).join(', ')}`
        : `the answer lacks ${missing!.map(quote).join(', ')}`;
      return { match, why };
    };
  };
}

/** Commas separate; a part in double quotes may hold commas, and quotes as `""` or `\"`. */
export function splitList(text: string): string[] | undefined {
  const parts: string[] = [];
  const part = /[\s,]*(?:"((?:\\["\\]|""|[^"])*)"\s*(?=,|$)|([^",][^,]*))/y;
  while (/[^\s,]/.test(text.slice(part.lastIndex))) {
    const at = part.lastIndex;
    const [, quoted, plain] = part.exec(text) ?? [];
    if (quoted === undefined && plain === undefined) return undefined;
    parts.push(
      quoted === undefined
        ? (plain ?? '').trim()
        : quoted.replaceAll(/\\(["\\])|""/g, (_, kept) => kept ?? '"'),
    );
    if (part.lastIndex === at) return undefined;
  }
  return parts;
}

function compileStart({ value }: AssertionSpec, complain: Complain) {
  if (typeof value !== 'string' || value === '') {
    complain('value', 'The value of `starts-with` is the text that the answer begins with.');
    return undefined;
  }
  return ({ output }: { output: string }): Match => ({
    match: output.startsWith(value),
    why: `the answer begins with ${quote(output.slice(0, value.length))}`,
  });
}

const defaultDistance = 5;

function compileDistance({ value, threshold = defaultDistance }: AssertionSpec, complain: Complain) {
  if (typeof value !== 'string') {
    complain('value', 'The value of `levenshtein` is the text to compare with.');
    return undefined;
  }
  return ({ output }: { output: string }): Match => {
    const edits = distance(output, value);
    return { match: edits <= threshold, why: `${edits} edits apart, and the threshold is ${threshold}` };
  };
}

const defaultSimilarity = 0.8;

function compileSimilarity({ value, threshold = defaultSimilarity }: AssertionSpec, complain: Complain) {
  if (typeof value !== 'string' || threshold <= 0 || threshold > 1) {
    complain(
      'value',
      'The value of `similarity` is the text to compare with, and its threshold is above 0 and at most 1.',
    );
    return undefined;
  }
  return ({ output }: { output: string }): Match => {
    const longest = Math.max(output.length, value.length);
    const score = longest === 0 ? 1 : 1 - distance(output, value) / longest;
    return {
      match: score >= threshold,
      score,
      why: `similar to ${score.toFixed(2)}, and the threshold is ${threshold}`,
    };
  };
}

/** Several numbers in an answer leave open which of them is meant: that is no match. */
function compileNumeric({ value, tolerance = 0 }: AssertionSpec, complain: Complain) {
  const wanted = typeof value === 'string' ? Number(value) : value;
  const allowed = typeof wanted === 'number' ? readTolerance(tolerance, wanted) : undefined;
  if (typeof wanted !== 'number' || !Number.isFinite(wanted)) {
    complain('value', 'The value of `numeric` is a number.');
    return undefined;
  }
  if (allowed === undefined) {
    complain('tolerance', 'A tolerance is a number from 0, or a share of the value such as "5%".');
    return undefined;
  }
  return ({ output }: { output: string }): Match => {
    const [first, ...more] = output.match(/-?(?:\d[\d,]*)?\.?\d+(?:e[+-]?\d+)?/gi) ?? [];
    if (first === undefined) return { match: false, why: 'the answer has no number' };
    if (more.length > 0) return { match: false, why: 'the answer has several numbers' };
    const found = Number(first.replaceAll(',', ''));
    // Decimal fractions are not exact in binary: 0.3 - 0.1 is a little less than 0.2.
    const off = Math.abs(found - wanted) - allowed;
    return { match: off <= Number.EPSILON * Math.max(1, Math.abs(wanted)), why: `the answer is ${found}` };
  };
}

function readTolerance(tolerance: Json, value: number): number | undefined {
  if (typeof tolerance === 'number') return tolerance >= 0 ? tolerance : undefined;
  const [, share] = typeof tolerance === 'string' ? (/^(\d+(?:\.\d+)?)%$/.exec(tolerance) ?? []) : [];
  return share === undefined ? undefined : (Number(share) / 100) * Math.abs(value);
}

function counting(type: string, unit: string, count: (output: string) => number): CompileAssertion {
  return ({ value }, complain) => {
    const range = readRange(value);
    if (range === undefined) {
      complain(
        'value',
        `The value of \`${type}\` is a number of ${unit}, or a mapping with \`min\` and \`max\`.`,
      );
      return undefined;
    }
    return ({ output }) => {
      const found = count(output);
      return { match: found >= range.min && found <= range.max, why: `the answer has ${found} ${unit}` };
    };
  };
}

function readRange(value: Json | undefined): { min: number; max: number } | undefined {
  const exact = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof exact === 'number') return Number.isFinite(exact) ? { min: exact, max: exact } : undefined;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { min = 0, max = Number.POSITIVE_INFINITY, ...rest } = value;
  const isRange = typeof min === 'number' && typeof max === 'number' && min <= max;
  if (!isRange || Object.keys(rest).length > 0 || Object.keys(value).length === 0) return undefined;
  return { min, max };
}

const shownLength = 80;

/** Reports are read by people: a long answer is in its execution. */
function quote(text: string): string {
  return JSON.stringify(text.length > shownLength ? `${text.slice(0, shownLength)}…` : text);
}
