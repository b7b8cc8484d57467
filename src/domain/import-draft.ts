/** A prompt of another tool on its way to a definition: what was understood, what was not carried, what stops it. */
import type { Issue } from './errors.ts';
import type { Json, JsonObject } from './json.ts';

export const importFormats = ['openai', 'langfuse', 'promptfoo', 'github', 'text'] as const;
export type ImportFormat = (typeof importFormats)[number];

export interface DraftMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'history';
  /** In promptgate's language; empty for the history. */
  readonly template: string;
}

/** Converters fill it in; paths in `notCarried` and `issues` are places in the source, e.g. `messages[1].content:3:7`. */
export interface ImportDraft {
  readonly format: ImportFormat;
  /** As the source has it; undefined when it has none. */
  name: string | undefined;
  description: string | undefined;
  model: string | undefined;
  readonly config: JsonObject;
  outputFormat: 'text' | 'json';
  outputSchema: JsonObject | undefined;
  /** As a definition writes them: names to description and input. */
  readonly tools: JsonObject;
  readonly messages: DraftMessage[];
  /** Names in the order in which they appear. */
  readonly variables: Set<string>;
  /** Where the prompt came from: kept as metadata of the definition. */
  readonly origin: JsonObject;
  readonly notCarried: Issue[];
  /** With one of these there is no definition. */
  readonly issues: Issue[];
}

export function createDraft(format: ImportFormat): ImportDraft {
  return {
    format,
    name: undefined,
    description: undefined,
    model: undefined,
    config: {},
    outputFormat: 'text',
    outputSchema: undefined,
    tools: {},
    messages: [],
    variables: new Set(),
    origin: { format },
    notCarried: [],
    issues: [],
  };
}

/** Reports every key that is not `known` and says something: null, false and what is empty do not. */
export function leaveRest(
  source: JsonObject,
  known: readonly string[],
  base: string,
  draft: ImportDraft,
): void {
  for (const [key, value] of Object.entries(source)) {
    if (known.includes(key) || isBlank(value)) continue;
    draft.notCarried.push({
      path: base === '' ? key : `${base}.${key}`,
      message: 'a definition has no place for it',
    });
  }
}

function isBlank(value: Json | undefined): boolean {
  if (value === undefined || value === null || value === false || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The member when it is a text with something in it. */
export function textOf(source: JsonObject, key: string): string | undefined {
  const value = source[key];
  return typeof value === 'string' && value.trim() !== '' ? value : undefined;
}

/** The member when it is a mapping; what else it is, is reported. */
export function mappingOf(source: JsonObject, key: string, draft: ImportDraft): JsonObject | undefined {
  const value = source[key];
  if (isJsonObject(value)) return value;
  if (!isBlank(value)) draft.notCarried.push({ path: key, message: 'it is not a mapping' });
  return undefined;
}
