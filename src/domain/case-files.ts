/** Cases as files have them: a list in YAML or JSON, lines of JSON, rows of CSV by promptfoo's conventions. */
import { CsvError, type Info, parse as parseCsv } from 'csv-parse/sync';
import { assertionTypes } from './assertion.ts';
import { splitList } from './assertion-text.ts';
import { type DefinitionIssue, normaliseSource, SourceText } from './definition-error.ts';
import type { Json, JsonObject } from './json.ts';
import { type KeyPath, type LocatedYaml, parseLocatedYaml } from './located-yaml.ts';
import { isPrototypeName } from './names.ts';

/** One case before it is checked; `path` leads to it inside what `located` locates. */
export interface RawCase {
  readonly value: Json;
  readonly path: KeyPath;
  readonly located: Pick<LocatedYaml, 'issueAt'>;
}

/** Text of a file that the suite takes in, or why there is none. */
export type TakeFile = (
  reference: string,
) => { readonly path: string; readonly text: string } | { readonly fault: string };

/** `file://./cases.csv` and `./cases.csv` are both `cases.csv`, as seen from the suite. */
export function toFileKey(reference: string): string {
  return reference.replace(/^file:\/\//, '').replace(/^(?:\.\/)+/, '');
}

/**
 * Whether a path of a suite in that folder (`billing/`, or nothing at the top) stays below where definitions lie: a suite
 * comes with a pull request, and must not read what else is on the machine that checks it.
 */
export function staysBelow(folder: string, key: string): boolean {
  if (/^[/\\]|^[a-z]:|\\/i.test(key)) return false;
  let depth = 0;
  for (const part of `${folder}${key}`.split('/')) {
    if (part === '..') depth--;
    else if (part !== '' && part !== '.') depth++;
    if (depth < 0) return false;
  }
  return true;
}

export function readCases(
  tests: Json | undefined,
  located: Pick<LocatedYaml, 'issueAt'>,
  takeFile: TakeFile,
  issues: DefinitionIssue[],
): RawCase[] {
  const entries: [Json, KeyPath][] = Array.isArray(tests)
    ? tests.map((value, index) => [value, ['tests', index]])
    : [[tests ?? null, ['tests']]];
  return entries.flatMap(([value, path]) => {
    if (typeof value !== 'string') return [{ value, path, located }];
    const file = takeFile(value);
    if ('fault' in file) {
      issues.push(located.issueAt(path, file.fault));
      return [];
    }
    return readCaseFile(new SourceText(file.path, normaliseSource(file.text)), issues, (message) =>
      issues.push(located.issueAt(path, message)),
    );
  });
}

function readCaseFile(
  source: SourceText,
  issues: DefinitionIssue[],
  refuse: (message: string) => void,
): RawCase[] {
  const extension = /\.(\w+)$/.exec(source.file)?.[1]?.toLowerCase();
  if (extension === 'csv') return readCsv(source, issues);
  if (extension === 'jsonl') return readLines(source, issues);
  if (extension !== 'json' && extension !== 'yaml' && extension !== 'yml') {
    refuse('Cases come from .yaml, .json, .jsonl and .csv files.');
    return [];
  }
  const located = parseLocatedYaml(source, { what: 'The file', aliases: true });
  issues.push(...located.issues);
  if (located.issues.length > 0) return [];
  const list = Array.isArray(located.value) ? located.value : [located.value ?? null];
  return list.map((value, index) => ({ value, path: Array.isArray(located.value) ? [index] : [], located }));
}

function readLines(source: SourceText, issues: DefinitionIssue[]): RawCase[] {
  return source.text.split('\n').flatMap((text, index) => {
    if (text.trim() === '') return [];
    const line = new SourceText(source.file, text, index + 1);
    const located = parseLocatedYaml(line, { what: 'The line' });
    issues.push(...located.issues);
    return located.issues.length > 0 ? [] : [{ value: located.value ?? null, path: [], located }];
  });
}

function readCsv(source: SourceText, issues: DefinitionIssue[]): RawCase[] {
  const issueAt = (line: number, message: string) => source.issueAt({ line, column: 0 }, message);
  try {
    const rows = parseCsv(source.text, {
      columns: (header: string[]) => header.map((name) => name.trim()),
      info: true,
      skip_empty_lines: true,
    }) as unknown as { record: Record<string, string>; info: Info }[];
    let line = 2;
    return rows.map(({ record, info }) => {
      const start = line;
      line = info.lines + 1;
      const located = { issueAt: (_path: KeyPath, message: string) => issueAt(start, message) };
      return { value: toCase(record, (message) => issues.push(issueAt(start, message))), path: [], located };
    });
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const { lines } = error as CsvError & { lines?: number };
    issues.push(issueAt(lines ?? 1, `The file is not valid CSV: ${error.message}.`));
    return [];
  }
}

/** Columns that begin with `__` say what is expected; every other one is a variable. */
function toCase(record: Record<string, string>, refuse: (message: string) => void): JsonObject {
  const vars: JsonObject = {};
  const row: JsonObject = { vars };
  const asserts: JsonObject[] = [];
  const thresholds = new Map<number, number>();
  for (const [column, cell] of Object.entries(record)) {
    const [, which] = /^__expected(\d*)$/.exec(column) ?? [];
    const [, whose] = /^__config:__expected(\d*):threshold$/.exec(column) ?? [];
    if (which !== undefined) {
      if (cell.trim() !== '') asserts.push(toAssertion(cell.trim()));
    } else if (whose !== undefined) {
      if (cell.trim() !== '') thresholds.set(Number(whose || 1) - 1, Number(cell));
    } else if (column === '__threshold') {
      if (cell.trim() !== '') row.threshold = Number(cell);
    } else if (column === '__metric') row.metric = cell;
    else if (column === '__critical') {
      if (/^(?:true|yes|1)$/i.test(cell.trim())) row.critical = true;
      else if (/^(?:false|no|0)$/i.test(cell.trim())) row.critical = false;
      else if (cell.trim() !== '') refuse('`__critical` is yes, no, or empty.');
    } else if (column === '__id' || column === '__description') {
      if (cell.trim() !== '') row[column.slice(2)] = cell;
    } else if (column.startsWith('__metadata:')) continue;
    else if (column.startsWith('__') || isPrototypeName(column)) {
      refuse(`The column ${JSON.stringify(column)} is not supported.`);
    } else vars[column] = cell;
  }
  const { metric, ...rest } = row;
  for (const [index, threshold] of thresholds) {
    const assertion = asserts[index];
    if (assertion) assertion.threshold = threshold;
  }
  return {
    ...rest,
    assert:
      typeof metric === 'string' && metric !== '' ? asserts.map((entry) => ({ ...entry, metric })) : asserts,
  };
}

/** Types whose cell may hold a threshold, which is 0.75 where it does not: that is promptfoo's number. */
const thresholded = new Set(['cost', 'latency', 'levenshtein', 'starts-with', 'similar', 'similarity']);
const cellThreshold = 0.75;

/** `contains: words`, `not-icontains-any: a, b`, `levenshtein(3): text`; anything else is the answer itself. */
function toAssertion(cell: string): JsonObject {
  const [, script] = /^(?:javascript|fn|eval):([\s\S]*)$/.exec(cell) ?? [];
  if (script !== undefined) return { type: 'javascript', value: script.trim() };
  const [, rubric] = /^(?:grade|llm-rubric):([\s\S]*)$/.exec(cell) ?? [];
  if (rubric !== undefined) return { type: 'llm-rubric', value: rubric };
  const [, not = '', type, bound, value] =
    /^(not-)?([a-z][a-z0-9-]*)(?:\((\d+(?:\.\d+)?)\))?(?::([\s\S]*))?$/.exec(cell) ?? [];
  const isKnown = type !== undefined && (assertionTypes.includes(type) || foreignTypes.has(type));
  if (!isKnown) return { type: 'equals', value: cell };
  const threshold = thresholded.has(type) ? Number(bound ?? cellThreshold) : undefined;
  const isList = /^i?contains-a(?:ny|ll)$/.test(type);
  return {
    type: `${not}${type}`,
    ...(value === undefined ? {} : { value: isList ? (splitList(value) ?? value) : value.trim() }),
    ...(threshold === undefined ? {} : { threshold }),
  };
}

/** Types of promptfoo that are not supported: in a cell they are refused, and not taken for the answer. */
const foreignTypes = new Set(
  'answer-relevance bleu classifier contains-html contains-sql contains-xml context-faithfulness context-recall context-relevance factuality g-eval gleu guardrails is-html is-sql is-valid-function-call is-valid-openai-function-call is-xml meteor model-graded-closedqa model-graded-factuality moderation perplexity perplexity-score pi python rouge-n ruby similar webhook'.split(
    ' ',
  ),
);
