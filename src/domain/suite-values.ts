/** What a value of a suite stands for: the text of a file, or a text with the case's variables put in. */

import { parse as parseYaml } from 'yaml';
import type { TakeFile } from './case-files.ts';
import type { Json, JsonObject } from './json.ts';

/** @returns the value, or why there is none */
export type ValueResult = { readonly value: Json } | { readonly fault: string };

const structured = /\.(?:ya?ml|json)$/i;
const scripts = /\.(?:[cm]?[jt]s|py|rb)(?::\w+)?$/i;
const plainText = /\.(?:txt|md|html?|csv|xml|prompt|tex|log)$/i;

/** A variable from a file, as promptfoo reads it: YAML as JSON text, everything else as its text without white space around. */
export function readVariable(value: Json, takeFile: TakeFile): ValueResult {
  // A block of YAML ends with a line feed that nobody means.
  if (typeof value !== 'string' || !value.startsWith('file://')) {
    return { value: typeof value === 'string' ? value.replace(/\n$/, '') : value };
  }
  if (scripts.test(value)) return { fault: 'Variables that a script makes are not supported.' };
  const file = takeFile(value);
  if ('fault' in file) return file;
  if (!/\.ya?ml$/i.test(value)) return { value: file.text.trim() };
  return { value: JSON.stringify(parseYaml(file.text)) };
}

/** What an assertion compares with: a file is taken in, and `{{name}}` is the variable of the case. */
export function readExpected(value: Json, variables: JsonObject, takeFile: TakeFile): ValueResult {
  if (typeof value === 'string') {
    return value.startsWith('file://') ? readFile(value, takeFile) : substitute(value, variables);
  }
  if (!Array.isArray(value)) return { value };
  const items: Json[] = [];
  for (const item of value) {
    const read = typeof item === 'string' ? readExpected(item, variables, takeFile) : { value: item };
    if ('fault' in read) return read;
    items.push(read.value);
  }
  return { value: items };
}

function readFile(reference: string, takeFile: TakeFile): ValueResult {
  if (scripts.test(reference))
    return { fault: 'Scripts in files are not supported: write the expression here.' };
  const file = takeFile(reference);
  if ('fault' in file) return file;
  if (structured.test(reference)) {
    try {
      return { value: parseYaml(file.text) as Json };
    } catch {
      return { fault: `The file ${JSON.stringify(reference.slice(7))} is neither YAML nor JSON.` };
    }
  }
  if (plainText.test(reference)) return { value: file.text.trim() };
  return { fault: 'A value is taken in from .json, .yaml, .txt and .md files.' };
}

/** Only names and paths: what promptfoo's templates can do besides is refused, because it would be taken for text. */
function substitute(text: string, variables: JsonObject): ValueResult {
  let fault: string | undefined;
  const value = text.replaceAll(
    /\{\{-?\s*([\s\S]*?)\s*-?\}\}|\{%|\{#/g,
    (found, path: string | undefined) => {
      if (path === undefined || !/^[\w$]+(?:\.[\w$]+|\[\d+\])*$/.test(path)) {
        fault ??= `Only \`{{name}}\` and \`{{name.part}}\` are put in; ${JSON.stringify(found)} is not supported.`;
        return '';
      }
      const put = lookUp(variables, path);
      if (put === undefined) fault ??= `There is no variable \`${path}\` in this case.`;
      else if (typeof put === 'object' && put !== null)
        fault ??= `\`${path}\` is no text: name a part of it.`;
      return put === null || put === undefined ? '' : String(put);
    },
  );
  return fault === undefined ? { value } : { fault };
}

function lookUp(variables: JsonObject, path: string): Json | undefined {
  let value: Json | undefined = variables;
  for (const part of path.split(/[.[\]]+/).filter(Boolean)) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as JsonObject)[part];
  }
  return value;
}

/** A list of texts among the variables is one case for each of them, as in promptfoo; other lists are values. */
export function expandVariables(variables: JsonObject): JsonObject[] {
  let combinations: JsonObject[] = [{}];
  for (const [name, value] of Object.entries(variables)) {
    const isExpanded = Array.isArray(value) && typeof value[0] === 'string';
    const values = isExpanded ? value : [value];
    combinations = combinations.flatMap((given) => values.map((one) => ({ ...given, [name]: one as Json })));
    if (combinations.length > maxCombinations) break;
  }
  return combinations;
}

export const maxCombinations = 10_000;
