/** A further case at the end of a suite's text, which keeps everything else as it is: comments, order, spelling. */
import { isMap, isSeq, type Node, parseDocument, stringify, type YAMLSeq } from 'yaml';
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
  const document = parseDocument(text.trim() === '' ? 'tests: []\n' : text);
  const tests = isMap(document.contents) ? document.get('tests') : undefined;
  if (document.errors.length > 0 || !isSeq(tests)) {
    throw new PromptgateError(
      'invalid_request',
      `${path} has no list of \`tests\` that a case could be added to.`,
    );
  }
  const entry = toEntry(added);
  refuseWrong(entry, path, added.promptName);
  const ids = tests.items.map((item) => (isMap(item) ? item.get('id') : undefined));
  if (ids.includes(added.id)) {
    throw new PromptgateError(
      'conflict',
      `${path} has a case "${added.id}" already. Name this one with --id.`,
    );
  }
  const written = insertAtEnd(text, tests, entry);
  if (written !== undefined) return written;
  tests.flow = false;
  tests.add(document.createNode(entry));
  return document.toString(layout);
}

const layout = { lineWidth: 110 };

/** In the text itself, so that not a space of it changes; undefined where the list has no item to stand beside. */
function insertAtEnd(text: string, tests: YAMLSeq, entry: JsonObject): string | undefined {
  const first = (tests.items[0] as Node | undefined)?.range?.[0];
  const end = tests.range?.[2];
  if (tests.flow || first === undefined || end === undefined) return undefined;
  const dash = text.lastIndexOf('-', first);
  const indent = ' '.repeat(dash - text.lastIndexOf('\n', dash) - 1);
  const item = stringify([entry], layout).replaceAll(/^(?=.)/gm, indent);
  const before = text.slice(0, end);
  return `${before}${before.endsWith('\n') ? '' : '\n'}${item}${text.slice(end)}`;
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

/** The new case alone: what else is wrong with a suite is not its matter. */
function refuseWrong(entry: JsonObject, path: string, promptName: string): void {
  const judge = 'judge@1';
  compileSuite(JSON.stringify({ tests: [entry] }), path, {}, { promptName, judge });
}
