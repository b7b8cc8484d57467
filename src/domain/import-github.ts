/** GitHub Models' `.prompt.yml` files. */
import { createDraft, type ImportDraft, isJsonObject, mappingOf, textOf } from './import-draft.ts';
import { addMessages } from './import-messages.ts';
import { carryModel, carryParameters } from './import-parameters.ts';
import type { Json, JsonObject } from './json.ts';

export function looksLikeGithub(value: Json): boolean {
  if (!isJsonObject(value) || !Array.isArray(value.messages)) return false;
  return ['modelParameters', 'testData', 'evaluators', 'responseFormat'].some((key) => key in value);
}

export function importGithub(value: Json): ImportDraft[] {
  const draft = createDraft('github');
  if (isJsonObject(value) && Array.isArray(value.messages)) readPrompt(value, value.messages, draft);
  else draft.issues.push({ path: 'messages', message: 'A .prompt.yml file has `messages`.' });
  return [draft];
}

function readPrompt(source: JsonObject, messages: readonly Json[], draft: ImportDraft): void {
  draft.name = textOf(source, 'name');
  draft.description = textOf(source, 'description');
  carryModel(source.model, 'model', draft);
  addMessages(messages, 'messages', 'mustache', draft);
  const parameters = mappingOf(source, 'modelParameters', draft);
  if (parameters !== undefined) carryParameters(parameters, [], 'modelParameters', draft);
  const cases = ['testData', 'evaluators'];
  for (const key of cases.filter((name) => Object.hasOwn(source, name))) {
    draft.notCarried.push({ path: key, message: 'a definition holds no tests' });
  }
  const read = ['name', 'description', 'model', 'modelParameters', 'messages', ...cases];
  carryParameters(source, read, '', draft);
}
