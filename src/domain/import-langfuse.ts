/** Langfuse's prompts as its API and its export write them: text and chat, one or a list. */
import { createDraft, type ImportDraft, isJsonObject, leaveRest, mappingOf, textOf } from './import-draft.ts';
import { addMessage, addMessages } from './import-messages.ts';
import { carryModel, carryParameters } from './import-parameters.ts';
import type { Json, JsonObject } from './json.ts';

const known = [
  'id',
  'name',
  'prompt',
  'type',
  'config',
  'labels',
  'version',
  'commitMessage',
  'createdAt',
  'updatedAt',
  'createdBy',
  'projectId',
  'isActive',
  'resolutionGraph',
];

export function looksLikeLangfuse(value: Json): boolean {
  return listOf(value).some(isPrompt);
}

export function importLangfuse(value: Json): ImportDraft[] {
  return listOf(value).map((item) => {
    const draft = createDraft('langfuse');
    if (isPrompt(item)) readPrompt(item, draft);
    else
      draft.issues.push({ path: 'prompt', message: 'A Langfuse prompt has a `prompt` of text or messages.' });
    return draft;
  });
}

function listOf(value: Json): readonly Json[] {
  if (Array.isArray(value)) return value;
  return isJsonObject(value) && Array.isArray(value.data) ? value.data : [value];
}

function isPrompt(value: Json): value is JsonObject {
  if (!isJsonObject(value)) return false;
  const marked = ['config', 'labels', 'type', 'commitMessage'].some((key) => key in value);
  return marked && (typeof value.prompt === 'string' || Array.isArray(value.prompt));
}

function readPrompt(source: JsonObject, draft: ImportDraft): void {
  draft.name = textOf(source, 'name');
  draft.description = textOf(source, 'commitMessage');
  if (draft.name !== undefined) draft.origin.promptName = draft.name;
  if (typeof source.version === 'number') draft.origin.promptVersion = source.version;
  if (Array.isArray(source.prompt)) addMessages(source.prompt, 'prompt', 'mustache', draft);
  else if (typeof source.prompt === 'string') addMessage('user', source.prompt, 'prompt', 'mustache', draft);
  const config = mappingOf(source, 'config', draft);
  if (config !== undefined) {
    carryModel(config.model, 'config.model', draft);
    carryParameters(config, ['model'], 'config', draft);
  }
  for (const label of [source.labels ?? []].flat()) {
    const message = `the label \`${String(label)}\` is moved with \`promptgate deploy\``;
    draft.notCarried.push({ path: 'labels', message });
  }
  leaveRest(source, known, '', draft);
}
