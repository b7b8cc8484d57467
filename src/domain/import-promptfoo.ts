/** promptfoo: the prompts of a configuration, or a file of prompts, with Nunjucks variables. */
import { parse as parseYaml } from 'yaml';
import { createDraft, type ImportDraft, isJsonObject, leaveRest, textOf } from './import-draft.ts';
import { addMessage, addMessages, isMessageList } from './import-messages.ts';
import { carryModel, carryParameters } from './import-parameters.ts';
import type { Json, JsonObject } from './json.ts';

export function looksLikePromptfoo(value: Json): boolean {
  return isJsonObject(value) && 'prompts' in value;
}

/** `value` is what the text holds as YAML or JSON, undefined when it is neither. */
export function importPromptfoo(value: Json | undefined, text: string): ImportDraft[] {
  if (value !== undefined && isJsonObject(value) && 'prompts' in value) return readConfiguration(value);
  if (isMessageList(value)) return [readPrompt(value, 'prompts[0]')];
  // A text file of promptfoo separates its prompts with lines of three dashes.
  return text
    .split(/^---[ \t]*\r?$/m)
    .filter((part) => part.trim() !== '')
    .map((part, index) => readPrompt(part.replace(/^\r?\n/, ''), `prompts[${index}]`));
}

function readConfiguration(source: JsonObject): ImportDraft[] {
  const prompts = Array.isArray(source.prompts) ? source.prompts : [source.prompts ?? null];
  return prompts.map((prompt, index) => {
    const draft = readPrompt(prompt, `prompts[${index}]`);
    carryProvider(source.providers ?? source.targets, draft);
    draft.description ??= textOf(source, 'description');
    leaveRest(source, ['prompts', 'providers', 'targets', 'description', '$schema'], '', draft);
    return draft;
  });
}

function readPrompt(prompt: Json, path: string): ImportDraft {
  const draft = createDraft('promptfoo');
  let raw = prompt;
  if (isJsonObject(prompt)) {
    draft.name = textOf(prompt, 'label') ?? textOf(prompt, 'id');
    raw = prompt.raw ?? prompt.id ?? null;
    leaveRest(prompt, ['label', 'id', 'raw'], path, draft);
  }
  if (typeof raw === 'string' && isFileReference(raw)) {
    draft.issues.push({ path, message: `The prompt is in the file ${raw}: import that file.` });
    return draft;
  }
  const messages = typeof raw === 'string' ? readMessages(raw) : raw;
  if (isMessageList(messages)) addMessages(messages, path, 'nunjucks', draft);
  else if (typeof raw === 'string') addMessage('user', raw, path, 'nunjucks', draft);
  else draft.issues.push({ path, message: 'A prompt is a text or a list of messages.' });
  return draft;
}

function isFileReference(text: string): boolean {
  return (
    /^(?:file|https?|exec|langfuse|helicone|portkey):\/\//.test(text) ||
    /^[^\s{}]+\.\w{1,5}(?::\w+)?$/.test(text)
  );
}

function readMessages(text: string): Json | undefined {
  if (!/^\s*(?:\[|- )/.test(text)) return undefined;
  try {
    return parseYaml(text) as Json;
  } catch {
    return undefined;
  }
}

/** `openai:chat:gpt-4o` is `openai/gpt-4o`; other providers of promptfoo, and scripts, have no name here. */
function toModel(id: Json | undefined): Json {
  if (typeof id !== 'string' || !id.includes(':')) return id ?? null;
  const [, provider, model] =
    /^(openai|anthropic):(?:(?:chat|responses|messages|completion):)?(\S+)$/.exec(id) ?? [];
  return model === undefined ? { id } : `${provider}/${model}`;
}

/** promptfoo runs every prompt on every provider; a definition names one model. */
function carryProvider(providers: Json | undefined, draft: ImportDraft): void {
  const list = Array.isArray(providers) ? providers : [providers ?? null];
  for (const [index, provider] of list.entries()) {
    if (provider === null) continue;
    const path = `providers[${index}]`;
    const id = isJsonObject(provider) ? provider.id : provider;
    if (index > 0) {
      draft.notCarried.push({ path, message: `a definition names one model, not also ${String(id)}` });
      continue;
    }
    carryModel(toModel(id), path, draft);
    if (!isJsonObject(provider)) continue;
    if (isJsonObject(provider.config)) carryParameters(provider.config, [], `${path}.config`, draft);
    leaveRest(provider, ['id', 'config', 'label'], path, draft);
  }
}
