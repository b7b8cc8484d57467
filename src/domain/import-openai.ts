/** OpenAI's reusable prompts (`pmpt_…`), and requests to Responses and Chat Completions. */
import { createDraft, type ImportDraft, isJsonObject, leaveRest, textOf } from './import-draft.ts';
import { addMessage, addMessages, isMessageList } from './import-messages.ts';
import { carryModel, carryParameters } from './import-parameters.ts';
import type { Json, JsonObject } from './json.ts';

const known = [
  'id',
  'object',
  'name',
  'description',
  'model',
  'prompt',
  'prompt_id',
  'version',
  'variables',
  'messages',
  'instructions',
  'input',
  'created_at',
  'updated_at',
  'status',
];

export function looksLikeOpenai(value: Json): boolean {
  if (isMessageList(value)) return true;
  if (!isJsonObject(value)) return false;
  return (
    isMessageList(value.messages) || 'instructions' in value || 'input' in value || findPromptId(value) !== ''
  );
}

export function importOpenai(value: Json): ImportDraft[] {
  const draft = createDraft('openai');
  if (Array.isArray(value)) addMessages(value, 'messages', 'mustache', draft);
  else if (isJsonObject(value)) readPrompt(value, draft);
  return [draft];
}

function readPrompt(source: JsonObject, draft: ImportDraft): void {
  const reference = isJsonObject(source.prompt) ? source.prompt : {};
  draft.name = textOf(source, 'name');
  draft.description = textOf(source, 'description');
  carryModel(source.model, 'model', draft);
  const id = findPromptId(source);
  if (id !== '') draft.origin.promptId = id;
  const version = reference.version ?? source.version;
  if (typeof version === 'string' || typeof version === 'number')
    draft.origin.promptVersion = String(version);

  addText(source.instructions, 'instructions', 'system', draft);
  addText(reference.messages, 'prompt.messages', 'user', draft);
  addText(source.messages, 'messages', 'user', draft);
  addText(source.input, 'input', 'user', draft);
  addConversation(draft);
  reportVariables(reference.variables ?? source.variables, draft);
  leaveRest(reference, ['id', 'prompt_id', 'version', 'variables', 'messages'], 'prompt', draft);
  carryParameters(source, known, '', draft);
  if (draft.messages.length === 0 && draft.issues.length === 0) {
    const message = `Only the reference ${id} is here, not the prompt: copy its messages out of the dashboard as well.`;
    draft.issues.push({ path: 'prompt', message: id === '' ? 'There is no message here.' : message });
  }
}

function addText(value: Json | undefined, path: string, role: 'system' | 'user', draft: ImportDraft): void {
  if (typeof value === 'string') addMessage(role, value, path, 'mustache', draft);
  else if (Array.isArray(value)) addMessages(value, path, 'mustache', draft);
  else if (value !== undefined && value !== null) {
    draft.notCarried.push({ path, message: 'it is neither a text nor a list of messages' });
  }
}

/** A reusable prompt of instructions alone is continued by the `input` of each call. */
function addConversation(draft: ImportDraft): void {
  if (draft.messages.length === 0 || draft.messages.some(({ role }) => role !== 'system')) return;
  draft.messages.push({ role: 'history', template: '' });
  const message = 'it comes with each call: {{history}} was added, send it as `messages`';
  draft.notCarried.push({ path: 'input', message });
}

/** Values of a request are not part of a prompt; a name that no text uses was already replaced by its value. */
function reportVariables(variables: Json | undefined, draft: ImportDraft): void {
  const names = Array.isArray(variables)
    ? variables.map((item) => (isJsonObject(item) ? String(item.name) : String(item)))
    : isJsonObject(variables)
      ? Object.keys(variables)
      : [];
  for (const name of names) {
    const message = draft.variables.has(name)
      ? 'a call brings the value'
      : 'no text uses it: where its value stands in the text, write the variable';
    draft.notCarried.push({ path: `variables.${name}`, message });
  }
}

function findPromptId(source: JsonObject): string {
  const { prompt } = source;
  const candidates = isJsonObject(prompt) ? [prompt.id, prompt.prompt_id] : [prompt];
  const found = [source.id, source.prompt_id, ...candidates].find(
    (id) => typeof id === 'string' && /^pmpt_\w{1,200}$/.test(id),
  );
  return typeof found === 'string' ? found : '';
}
