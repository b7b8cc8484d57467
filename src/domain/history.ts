/** The earlier turns of a conversation that a caller brings: what they may be, and what they become. */
import { type Issue, PromptgateError } from './errors.ts';
import { type Message, partsOf, type RenderedMessage, textOf } from './message.ts';
import { parseArguments } from './tool.ts';
import { isWritable } from './writable-text.ts';

const maxIssues = 20;

export function fromHistory(message: Message): RenderedMessage {
  return { ...message, origin: 'history', spans: [] };
}

/** A caller brings turns of a conversation; instructions are the definition's alone. */
export function checkHistory(history: readonly Message[], accepted: boolean): void {
  if (history.length === 0) return;
  if (!accepted) {
    const message = 'The prompt takes no `messages`: its template has no {{history}}.';
    throw new PromptgateError('invalid_request', message, { issues: [{ path: 'messages', message }] });
  }
  const issues: Issue[] = [];
  for (const [index, message] of history.entries()) {
    const fault = historyFault(message);
    if (fault !== undefined && issues.length < maxIssues) {
      issues.push({ path: `messages[${index}].${fault.member}`, message: fault.message });
    }
  }
  if (issues.length === 0) return;
  const summary = `${issues[0]!.path}: ${issues[0]!.message}`;
  throw new PromptgateError('invalid_request', summary, { issues });
}

function historyFault(message: Message): { member: string; message: string } | undefined {
  if (message.role === 'system') {
    return {
      member: 'role',
      message: 'must be user, assistant or tool; instructions belong to the definition',
    };
  }
  const isText = typeof message.content === 'string';
  if (!isText && !Array.isArray(message.content)) {
    return { member: 'content', message: 'must be text or a list of parts' };
  }
  if (!isText && message.role === 'assistant') {
    return { member: 'content', message: 'is text only: images and files stand in what the user says' };
  }
  if (message.toolCalls?.some((call) => parseArguments(call.arguments) === undefined)) {
    return { member: 'tool_calls', message: 'has arguments that are not a JSON object' };
  }
  // A tool may have nothing to say, and an assistant that calls one too.
  const mayBeEmpty = message.role === 'tool' || message.toolCalls !== undefined;
  const hasMedia = partsOf(message.content).some(({ type }) => type !== 'text');
  const text = textOf(message.content);
  if (!mayBeEmpty && !hasMedia && text.trim() === '') return { member: 'content', message: 'is empty' };
  if (!isWritable(text)) {
    return { member: 'content', message: 'contains a NUL character or half of a surrogate pair' };
  }
  return undefined;
}
