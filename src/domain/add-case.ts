/** Further cases at the end of a suite's text, which keeps everything else as it is: comments, order, spelling. */
import { isMap, isSeq, type Node, parseDocument, stringify, type YAMLSeq } from 'yaml';
import { hashJson } from './canonical-json.ts';
import { DefinitionError } from './definition-error.ts';
import { PromptgateError } from './errors.ts';
import { compileSuite } from './evaluation-suite.ts';
import type { Json, JsonObject } from './json.ts';

export interface NewCase {
  readonly promptName: string;
  readonly id: string;
  readonly critical: boolean;
  readonly description: string;
  readonly variables: JsonObject;
  readonly assertion: { readonly type: string; readonly value: Json };
}

/**
 * @param text of the suite; empty: there is none yet
 * @throws PromptgateError invalid_request — the suite cannot be read, or the case is none
 * @throws PromptgateError conflict — the id is taken
 */
export function addCaseToSuite(text: string, path: string, added: NewCase): string {
  const { ids, write } = readTests(text, path);
  const entry = toEntry(added);
  refuseWrong(entry, path, added.promptName);
  if (ids.has(added.id)) {
    throw new PromptgateError(
      'conflict',
      `${path} has a case "${added.id}" already. Name this one with --id.`,
    );
  }
  return write([entry]);
}

export interface AddedCases {
  readonly text: string;
  readonly added: number;
  /** Whose variables a case has already, of the suite or of those that are added. */
  readonly duplicates: number;
  /** What is none, and why. */
  readonly refused: readonly { readonly id: string; readonly message: string }[];
}

/**
 * Each that asks what no case asks yet.
 * @param files text of the files that the suite takes in, by path as seen from it
 * @throws PromptgateError invalid_request, DefinitionError — the suite cannot be read
 */
export function addCasesToSuite(
  text: string,
  path: string,
  files: Readonly<Record<string, string>>,
  cases: readonly NewCase[],
): AddedCases {
  const { ids, write } = readTests(text, path);
  const asked = new Set(ids.size === 0 ? [] : hashVariables(text, path, files, cases));
  const entries: JsonObject[] = [];
  const refused: { id: string; message: string }[] = [];
  let duplicates = 0;
  for (const one of cases) {
    const hash = hashJson(one.variables);
    if (asked.has(hash) || ids.has(one.id)) {
      duplicates++;
      continue;
    }
    const entry = toEntry(one);
    const message = findFault(entry, path, one.promptName);
    if (message !== undefined) refused.push({ id: one.id, message });
    else {
      entries.push(entry);
      asked.add(hash);
    }
  }
  return { text: entries.length === 0 ? text : write(entries), added: entries.length, duplicates, refused };
}

function hashVariables(
  text: string,
  path: string,
  files: Readonly<Record<string, string>>,
  [first]: readonly NewCase[],
): string[] {
  if (!first) return [];
  const suite = compileSuite(text, path, files, { promptName: first.promptName, judge: 'judge@1' });
  return suite.cases.map(({ variables }) => hashJson(variables));
}

interface Tests {
  readonly ids: ReadonlySet<unknown>;
  /** The text with further cases. */
  write(entries: readonly JsonObject[]): string;
}

/** @throws PromptgateError invalid_request — there is no list of cases */
function readTests(text: string, path: string): Tests {
  const document = parseDocument(text.trim() === '' ? 'tests: []\n' : text);
  const tests = isMap(document.contents) ? document.get('tests') : undefined;
  if (document.errors.length > 0 || !isSeq(tests)) {
    throw new PromptgateError(
      'invalid_request',
      `${path} has no list of \`tests\` that a case could be added to.`,
    );
  }
  return {
    ids: new Set(tests.items.map((item) => (isMap(item) ? item.get('id') : undefined))),
    write(entries) {
      const written = insertAtEnd(text, tests, entries);
      if (written !== undefined) return written;
      tests.flow = false;
      for (const entry of entries) tests.add(document.createNode(entry));
      return document.toString(layout);
    },
  };
}

const layout = { lineWidth: 110 };

/** In the text itself, so that not a space of it changes; undefined where the list has no item to stand beside. */
function insertAtEnd(text: string, tests: YAMLSeq, entries: readonly JsonObject[]): string | undefined {
  const first = (tests.items[0] as Node | undefined)?.range?.[0];
  const end = tests.range?.[2];
  if (tests.flow || first === undefined || end === undefined) return undefined;
  const dash = text.lastIndexOf('-', first);
  const indent = ' '.repeat(dash - text.lastIndexOf('\n', dash) - 1);
  const items = stringify(entries, layout).replaceAll(/^(?=.)/gm, indent);
  const before = text.slice(0, end);
  return `${before}${before.endsWith('\n') ? '' : '\n'}${items}${text.slice(end)}`;
}

function toEntry({ id, critical, description, variables, assertion }: NewCase): JsonObject {
  const isExpanded = Object.values(variables).some(
    (value) => Array.isArray(value) && typeof value[0] === 'string',
  );
  return {
    id,
    ...(critical ? { critical } : {}),
    description,
    vars: variables,
    // A list of texts would otherwise become a case for each.
    ...(isExpanded ? { options: { disableVarExpansion: true } } : {}),
    assert: [{ ...assertion }],
  };
}

function findFault(entry: JsonObject, path: string, promptName: string): string | undefined {
  try {
    refuseWrong(entry, path, promptName);
    return undefined;
  } catch (error) {
    if (error instanceof DefinitionError) return error.issues[0]?.message ?? error.message;
    throw error;
  }
}

/** The new case alone: what else is wrong with a suite is not its matter. */
function refuseWrong(entry: JsonObject, path: string, promptName: string): void {
  const judge = 'judge@1';
  compileSuite(JSON.stringify({ tests: [entry] }), path, {}, { promptName, judge });
}
