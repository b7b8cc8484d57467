/** How other tools say what an answer looks like: Chat Completions, Responses and GitHub Models each in their way. */
import { type ImportDraft, isJsonObject, leaveRest } from './import-draft.ts';
import type { Json, JsonObject } from './json.ts';
import { compileSchema } from './json-schema.ts';
import { parsePicoschema } from './picoschema.ts';

/** Carries `response_format`, `text.format`, or `responseFormat` with `jsonSchema`. @returns the keys that were read */
export function carryAnswerFormat(source: JsonObject, base: string, draft: ImportDraft): string[] {
  const at = (key: string) => (base === '' ? key : `${base}.${key}`);
  const text = isJsonObject(source.text) ? source.text : undefined;
  if (text !== undefined) leaveRest(text, ['format'], at('text'), draft);
  const key = ['response_format', 'responseFormat'].find((name) => (source[name] ?? null) !== null);
  const format = key === undefined ? text?.format : source[key];
  const type = isJsonObject(format) ? format.type : format;
  const read = [...(text === undefined ? [] : ['text']), ...(key === undefined ? [] : [key])];
  if (type === undefined || type === null || type === 'text') return read;
  if (type !== 'json_object' && type !== 'json_schema') {
    const message = 'an answer is text, json_object or json_schema';
    draft.notCarried.push({ path: at(key ?? 'text.format'), message });
    return read;
  }
  draft.outputFormat = 'json';
  if (type === 'json_object') return read;
  const beside = ['jsonSchema', 'json_schema'].find((name) => (source[name] ?? null) !== null);
  const inside = isJsonObject(format) ? (format.json_schema ?? format) : null;
  carrySchema(
    beside === undefined ? inside : source[beside],
    at(beside ?? `${key ?? 'text.format'}.json_schema`),
    draft,
  );
  return beside === undefined ? read : [...read, beside];
}

function carrySchema(holder: Json | undefined, path: string, draft: ImportDraft): void {
  const schema = readSchema(holder);
  const fault = schema === undefined ? 'it holds no JSON Schema' : findSchemaFault(schema);
  if (fault === undefined) draft.outputSchema = schema;
  else draft.notCarried.push({ path, message: fault });
}

/** GitHub's is a text; the others wrap the schema with a name. */
function readSchema(holder: Json | undefined): JsonObject | undefined {
  let value = holder;
  if (typeof value === 'string') {
    try {
      value = JSON.parse(value) as Json;
    } catch {
      return undefined;
    }
  }
  if (!isJsonObject(value)) return undefined;
  if (isJsonObject(value.schema)) return value.schema;
  return value.type === 'json_schema' ? undefined : value;
}

function findSchemaFault(schema: JsonObject): string | undefined {
  const [issue] = parsePicoschema(schema).issues;
  if (issue !== undefined) return 'it does not say what type it is';
  try {
    compileSchema(schema).prove();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : 'it cannot be compiled';
  }
}
