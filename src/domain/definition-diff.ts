/** What differs between two definitions, as data: the text by word, model and parameters, the contract. */
import { diffWordsWithSpace } from 'diff';
import { canonicalJson } from './canonical-json.ts';
import { type Contract, type ContractChange, compareContracts } from './contract.ts';
import type { Json, JsonObject } from './json.ts';
import type { PromptVersion } from './prompt-version.ts';
import type { Tool } from './tool.ts';

export interface TextSegment {
  readonly kind: 'same' | 'removed' | 'added';
  readonly text: string;
}

/** One text that differs. The `same` and `removed` segments make the old text, `same` and `added` the new one. */
export interface TextDiff {
  /** `messages`, or `partial <name>`. */
  readonly title: string;
  readonly segments: readonly TextSegment[];
}

export interface ParameterChange {
  /** `model`, `config.temperature`, `input.default.tone`, `description` … */
  readonly name: string;
  /** null where it is not set. */
  readonly before: Json;
  readonly after: Json;
}

export interface DefinitionDiff {
  /** Equal checksums: nothing that is sent or checked differs, though words about it may. */
  readonly identical: boolean;
  readonly texts: readonly TextDiff[];
  readonly parameters: readonly ParameterChange[];
  readonly contract: readonly ContractChange[];
}

/** What a comparison looks at; a Definition is one. */
export interface Comparable
  extends Contract,
    Pick<PromptVersion, 'checksum' | 'model' | 'parameters' | 'messages' | 'partials' | 'description'> {
  readonly tools: readonly Tool[];
  readonly deterministic: boolean | null;
}

/** `before` null: the definition is new, and all of it is added. A new contract has nothing to break. */
export function diffDefinitions(before: Comparable | null, after: Comparable): DefinitionDiff {
  return {
    identical: before?.checksum === after.checksum,
    texts: diffTexts(before, after),
    parameters: diffParameters(before === null ? {} : settingsOf(before), settingsOf(after)),
    contract: before === null ? [] : compareContracts(before, after),
  };
}

function diffTexts(before: Comparable | null, after: Comparable): TextDiff[] {
  const was = new Map(before === null ? [] : textsOf(before));
  const is = new Map(textsOf(after));
  const titles = [...new Set([...is.keys(), ...was.keys()])];
  return titles
    .map((title) => ({ title, segments: diffText(was.get(title) ?? '', is.get(title) ?? '') }))
    .filter(({ segments }) => segments.some(({ kind }) => kind !== 'same'));
}

function textsOf({ messages, partials }: Comparable): [string, string][] {
  const transcript = messages.map(({ role, template }) =>
    role === 'history' ? template : `{{role "${role === 'assistant' ? 'model' : role}"}}\n${template}`,
  );
  return [
    ['messages', `${transcript.join('\n')}\n`],
    ...Object.entries(partials).map(([name, text]): [string, string] => [`partial ${name}`, text]),
  ];
}

/** Texts that share less than this allows are shown one after the other: the time to compare grows with its square. */
const maxEdits = 5_000;

/** By word; the segments together hold every character of both texts. */
export function diffText(before: string, after: string): TextSegment[] {
  const changes = diffWordsWithSpace(before, after, { maxEditLength: maxEdits }) ?? [
    { value: before, removed: true, added: false },
    { value: after, removed: false, added: true },
  ];
  const segments = changes.map(({ value, added, removed }): TextSegment => {
    return { kind: added ? 'added' : removed ? 'removed' : 'same', text: value };
  });
  return joinAcrossSpaces(segments.filter(({ text }) => text !== ''));
}

/** Changed words with nothing but spaces between them read as one change: `[-two words-]{+other ones+}`. */
function joinAcrossSpaces(segments: readonly TextSegment[]): TextSegment[] {
  const joined: TextSegment[] = [];
  let removed = '';
  let added = '';
  // A space that ends both sides belongs to neither.
  const flush = (): string => {
    const space = removed.endsWith(' ') && added.endsWith(' ') ? ' ' : '';
    const cut = (text: string) => (space === '' ? text : text.slice(0, -1));
    if (cut(removed) !== '') joined.push({ kind: 'removed', text: cut(removed) });
    if (cut(added) !== '') joined.push({ kind: 'added', text: cut(added) });
    removed = '';
    added = '';
    return space;
  };
  segments.forEach((segment, index) => {
    if (segment.kind === 'removed') removed += segment.text;
    else if (segment.kind === 'added') added += segment.text;
    else if (/^[ \t]+$/.test(segment.text) && removed !== '' && added !== '' && index < segments.length - 1) {
      removed += segment.text;
      added += segment.text;
    } else {
      joined.push({ kind: 'same', text: flush() + segment.text });
    }
  });
  const space = flush();
  return space === '' ? joined : [...joined, { kind: 'same', text: space }];
}

/** What is set outside the template, in the spelling of the definition. */
function settingsOf(compared: Comparable): JsonObject {
  const { model, parameters, defaults, description, tools, overridable, deterministic } = compared;
  const { timeoutMs, ...config } = parameters;
  return {
    model,
    ...prefixed('config.', config as JsonObject),
    ...(timeoutMs === undefined ? {} : { 'config.timeout': `${timeoutMs}ms` }),
    ...prefixed('input.default.', defaults),
    ...Object.fromEntries(tools.map(({ name, ...tool }) => [`tools.${name}`, tool])),
    ...prefixed('overridable.', overridable as unknown as JsonObject),
    ...(deterministic === null ? {} : { deterministic }),
    ...(description === null ? {} : { description }),
  };
}

function prefixed(prefix: string, values: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}${name}`, value]));
}

function diffParameters(before: JsonObject, after: JsonObject): ParameterChange[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .map((name) => ({ name, before: before[name] ?? null, after: after[name] ?? null }))
    .filter((change) => canonicalJson(change.before) !== canonicalJson(change.after));
}
