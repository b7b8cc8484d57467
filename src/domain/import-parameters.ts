/** Parameters, models and answer formats of other tools in the spelling of a definition. */
import { findConfigFault } from './definition-keys.ts';
import { type ImportDraft, isJsonObject, leaveRest } from './import-draft.ts';
import type { Json, JsonObject } from './json.ts';
import { compileSchema } from './json-schema.ts';

const parameterNames: Readonly<Record<string, string>> = {
  temperature: 'temperature',
  max_tokens: 'maxOutputTokens',
  maxTokens: 'maxOutputTokens',
  max_output_tokens: 'maxOutputTokens',
  maxOutputTokens: 'maxOutputTokens',
  max_completion_tokens: 'maxOutputTokens',
  maxCompletionTokens: 'maxOutputTokens',
  top_p: 'topP',
  topP: 'topP',
  top_k: 'topK',
  topK: 'topK',
  stop: 'stopSequences',
  stop_sequences: 'stopSequences',
  stopSequences: 'stopSequences',
  frequency_penalty: 'frequencyPenalty',
  frequencyPenalty: 'frequencyPenalty',
  presence_penalty: 'presencePenalty',
  presencePenalty: 'presencePenalty',
  seed: 'seed',
  reasoning_effort: 'reasoningEffort',
  reasoningEffort: 'reasoningEffort',
};

const formatKeys = ['response_format', 'responseFormat', 'text', 'jsonSchema', 'json_schema', 'reasoning'];

/** Carries the parameters among the keys of `source`; every other key that is not `known` is reported by name. */
export function carryParameters(
  source: JsonObject,
  known: readonly string[],
  base: string,
  draft: ImportDraft,
): void {
  const at = (key: string) => (base === '' ? key : `${base}.${key}`);
  for (const [key, value] of Object.entries(source)) {
    const parameter = Object.hasOwn(parameterNames, key) ? parameterNames[key] : undefined;
    if (parameter === undefined || known.includes(key) || value === null) continue;
    const carried = parameter === 'stopSequences' && typeof value === 'string' ? [value] : value;
    const fault = findConfigFault(parameter, carried);
    if (fault === undefined) draft.config[parameter] = carried;
    else draft.notCarried.push({ path: at(key), message: `it must be ${fault}` });
  }
  carryReasoning(source.reasoning, at('reasoning'), draft);
  carryFormat(source, at, draft);
  leaveRest(source, [...known, ...formatKeys, ...Object.keys(parameterNames)], base, draft);
}

function carryReasoning(reasoning: Json | undefined, path: string, draft: ImportDraft): void {
  if (!isJsonObject(reasoning)) return;
  carryParameters({ reasoningEffort: reasoning.effort ?? null }, [], path, draft);
  leaveRest(reasoning, ['effort'], path, draft);
}

/** Chat Completions' `response_format`, Responses' `text.format` and GitHub's `responseFormat` with `jsonSchema`. */
function carryFormat(source: JsonObject, at: (key: string) => string, draft: ImportDraft): void {
  const { text } = source;
  if (isJsonObject(text)) leaveRest(text, ['format'], at('text'), draft);
  const format =
    source.response_format ?? source.responseFormat ?? (isJsonObject(text) ? text.format : undefined);
  const type = isJsonObject(format) ? format.type : format;
  if (type === 'json_object' || type === 'json_schema') draft.outputFormat = 'json';
  else if (type !== undefined && type !== null && type !== 'text') {
    draft.notCarried.push({
      path: at('response_format'),
      message: 'an answer is text, json_object or json_schema',
    });
  }
  if (type !== 'json_schema') return;
  const holder =
    source.jsonSchema ?? source.json_schema ?? (isJsonObject(format) ? (format.json_schema ?? format) : null);
  const schema = readSchema(holder);
  if (schema === undefined)
    draft.notCarried.push({ path: at('json_schema'), message: 'it holds no JSON Schema' });
  else carrySchema(schema, at('json_schema'), draft);
}

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

function carrySchema(schema: JsonObject, path: string, draft: ImportDraft): void {
  try {
    compileSchema(schema).prove();
    draft.outputSchema = schema;
  } catch (error) {
    draft.notCarried.push({
      path,
      message: error instanceof Error ? error.message : 'it cannot be compiled',
    });
  }
}

/** A model that a definition can name; `openai:chat:gpt-4o` of promptfoo is `openai/gpt-4o`. */
export function carryModel(model: Json | undefined, path: string, draft: ImportDraft): void {
  if (model === undefined || model === null) return;
  const [, provider, name] =
    /^(openai|anthropic):(?:(?:chat|responses|messages|completion):)?([^:\s]+)$/.exec(String(model)) ?? [];
  const written = name === undefined ? model : `${provider}/${name}`;
  if (typeof written === 'string' && /^[^\s\p{Cc}:]{1,200}$/u.test(written)) draft.model = written;
  else draft.notCarried.push({ path, message: 'it is not a model that a definition can name' });
}
