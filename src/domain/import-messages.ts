/** Lists of messages as chat APIs write them, for every format that has one. */
import { type DraftMessage, type ImportDraft, isJsonObject, leaveRest } from './import-draft.ts';
import { convertTemplate, type TemplateSyntax } from './import-template.ts';
import type { Json, JsonObject } from './json.ts';

type Speaker = Exclude<DraftMessage['role'], 'history'>;

const roles: Readonly<Record<string, Speaker>> = {
  system: 'system',
  developer: 'system',
  user: 'user',
  assistant: 'assistant',
  model: 'assistant',
};

/** True for a list of messages, as opposed to any other list. */
export function isMessageList(value: Json | undefined): value is Json[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every(
      (item) => isJsonObject(item) && (typeof item.role === 'string' || typeof item.type === 'string'),
    )
  );
}

export function addMessages(
  list: readonly Json[],
  base: string,
  syntax: TemplateSyntax,
  draft: ImportDraft,
): void {
  for (const [index, item] of list.entries()) {
    const path = `${base}[${index}]`;
    if (!isJsonObject(item)) draft.issues.push({ path, message: 'A message has a role and a content.' });
    else if (item.type === 'placeholder') addPlaceholder(item, path, draft);
    else addItem(item, path, syntax, draft);
  }
}

function addItem(item: JsonObject, path: string, syntax: TemplateSyntax, draft: ImportDraft): void {
  const role =
    typeof item.role === 'string' && Object.hasOwn(roles, item.role) ? roles[item.role] : undefined;
  if (role === undefined) {
    const what = typeof item.role === 'string' ? `role \`${item.role}\`` : `type \`${String(item.type)}\``;
    const message = `A definition has system, user and model messages; one of ${what} cannot be written in it.`;
    draft.issues.push({ path, message });
    return;
  }
  leaveRest(item, ['role', 'content', 'type', 'id', 'status'], path, draft);
  addMessage(role, readContent(item.content, `${path}.content`, draft), `${path}.content`, syntax, draft);
}

/** One message of a text in the other tool's language; one without text is left out and reported. */
export function addMessage(
  role: Speaker,
  text: string,
  path: string,
  syntax: TemplateSyntax,
  draft: ImportDraft,
): void {
  if (text.trim() === '') {
    draft.notCarried.push({ path, message: 'the message is empty' });
    return;
  }
  if (role === 'system' && draft.messages.some((before) => before.role !== 'system')) {
    draft.issues.push({ path, message: 'A system message stands before all others: move it to the top.' });
  }
  if (text.replace(/\r?\n$/, '') !== text.trim()) {
    draft.notCarried.push({ path, message: 'the white space at its ends is trimmed' });
  }
  draft.messages.push({ role, template: convertTemplate(text.trim(), path, syntax, draft) });
}

/** Langfuse's place for messages that come with the call. */
function addPlaceholder(item: JsonObject, path: string, draft: ImportDraft): void {
  if (draft.messages.some(({ role }) => role === 'history')) {
    draft.issues.push({ path, message: 'A definition has one {{history}}: this is a second placeholder.' });
    return;
  }
  draft.messages.push({ role: 'history', template: '' });
  const name = typeof item.name === 'string' ? ` \`${item.name}\`` : '';
  draft.notCarried.push({
    path,
    message: `the placeholder${name} became {{history}}: send its content as \`messages\``,
  });
}

function readContent(content: Json | undefined, path: string, draft: ImportDraft): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) {
    if (content !== undefined && content !== null)
      draft.notCarried.push({ path, message: 'it is not a text' });
    return '';
  }
  return content
    .map((part, index) => {
      if (isJsonObject(part) && typeof part.text === 'string') return part.text;
      const type = isJsonObject(part) ? String(part.type) : typeof part;
      draft.notCarried.push({ path: `${path}[${index}]`, message: `messages are text, not \`${type}\`` });
      return '';
    })
    .join('');
}
