/** Parameters and models of other tools in the spelling of a definition. */
import { findConfigFault } from './definition-keys.ts';
import { carryAnswerFormat } from './import-answer-format.ts';
import { type ImportDraft, isJsonObject, leaveRest } from './import-draft.ts';
import { carryTools } from './import-tools.ts';
import type { Json, JsonObject } from './json.ts';

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
  const read = [
    ...carryReasoning(source.reasoning, at('reasoning'), draft),
    ...carryAnswerFormat(source, base, draft),
    ...carryTools(source, base, draft),
  ];
  leaveRest(source, [...known, ...read, ...Object.keys(parameterNames)], base, draft);
}

function carryReasoning(reasoning: Json | undefined, path: string, draft: ImportDraft): string[] {
  if (!isJsonObject(reasoning)) return [];
  carryParameters({ reasoningEffort: reasoning.effort ?? null }, [], path, draft);
  leaveRest(reasoning, ['effort'], path, draft);
  return ['reasoning'];
}

export function carryModel(model: Json | undefined, path: string, draft: ImportDraft): void {
  if (model === undefined || model === null) return;
  if (typeof model === 'string' && /^[^\s\p{Cc}]{1,200}$/u.test(model)) draft.model = model;
  else draft.notCarried.push({ path, message: 'it is not a model that a definition can name' });
}
