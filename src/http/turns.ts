/** Earlier turns of a conversation in the shapes of OpenAI and Anthropic, as the messages that fill `{{history}}`. */
import { PromptgateError } from '../domain/errors.ts';
import type { Message } from '../domain/message.ts';

/** Undefined: there are none. @throws PromptgateError invalid_request — with the place of what is no turn */
export function readTurns(value: unknown, path: string): Message[] | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'string') return [{ role: 'user', content: value }];
  if (!Array.isArray(value)) throw refuse(path, 'a text or a list of messages');
  return value.length === 0 ? undefined : value.map((item, index) => readTurn(item, `${path}[${index}]`));
}

function readTurn(item: unknown, path: string): Message {
  if (!isObject(item) || (item.type !== undefined && item.type !== 'message')) {
    throw refuse(path, 'a message; calls of tools and references to stored items are not taken');
  }
  const { role } = item;
  if (role === 'system' || role === 'developer') {
    throw refuse(`${path}.role`, 'user or assistant; what the system says is governed by the definition');
  }
  if (role !== 'user' && role !== 'assistant') throw refuse(`${path}.role`, 'user or assistant');
  return { role, content: readText(item.content, `${path}.content`) };
}

/** Paragraphs keep apart what its parts kept apart. */
function readText(content: unknown, path: string): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw refuse(path, 'a text or a list of parts');
  return content.map((part, index) => readPart(part, `${path}[${index}]`)).join('\n\n');
}

function readPart(part: unknown, path: string): string {
  if (!isObject(part)) throw refuse(path, 'a part with a type');
  const text = part.type === 'refusal' ? part.refusal : part.text;
  const isText = ['text', 'input_text', 'output_text', 'refusal'].includes(String(part.type));
  if (!isText || typeof text !== 'string') throw refuse(path, 'a part of text; other content is not taken');
  return text;
}

function refuse(path: string, expected: string): PromptgateError {
  const message = `expected ${expected}`;
  return new PromptgateError('invalid_request', `${path}: ${message}.`, { issues: [{ path, message }] });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
