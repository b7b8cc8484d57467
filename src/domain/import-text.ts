/** Plain text or Markdown with `{{variables}}`: one user message. */
import { createDraft, type ImportDraft } from './import-draft.ts';
import { addMessage } from './import-messages.ts';

export function importText(text: string): ImportDraft[] {
  const draft = createDraft('text');
  if (text.trim() === '') draft.issues.push({ path: 'text', message: 'There is no text here.' });
  else addMessage('user', text, 'text', 'mustache', draft);
  return [draft];
}
