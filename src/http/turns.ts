/**
 * Earlier turns of a conversation as the messages that fill `{{history}}`. One reader takes the shapes of OpenAI (both
 * APIs) and of Anthropic: what a turn says of itself tells them apart, and a client may send back what it was answered.
 */
import type { Message } from '../domain/message.ts';
import type { ToolCall } from '../domain/tool.ts';
import { findJsonFault } from '../domain/writable-text.ts';
import { isObject, readContent, readReasoningItem, readThinking, refuse } from './turn-parts.ts';

/** As many as the native endpoint takes. */
const maxTurns = 1_000;

/**
 * @param options system: turns of `system` and `developer` are taken, as a call that brings its own prompt has them
 * @returns undefined where there are none @throws PromptgateError invalid_request — with the place of what is no turn
 */
export function readTurns(
  value: unknown,
  path: string,
  options: { readonly system?: boolean } = {},
): Message[] | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'string') return [{ role: 'user', content: value }];
  if (!Array.isArray(value)) throw refuse(path, 'a text or a list of messages');
  if (value.length > maxTurns) throw refuse(path, `at most ${maxTurns} messages`);
  const turns: Message[] = [];
  for (const [index, item] of value.entries()) {
    const place = `${path}[${index}]`;
    const instructed = options.system && isInstruction(item);
    const read = instructed ? readInstructions(item.content, `${place}.content`) : readItem(item, place);
    for (const turn of read) append(turns, turn);
  }
  return turns.length === 0 || isBlank(turns) ? undefined : turns;
}

/** Some clients demand a message where the prompt needs none: a single one without content says nothing. */
function isBlank([turn, ...others]: readonly Message[]): boolean {
  return turn?.role === 'user' && turn.content === '' && others.length === 0;
}

function isInstruction(item: unknown): item is Record<string, unknown> {
  return isObject(item) && (item.role === 'system' || item.role === 'developer');
}

/** What the system says: a text or parts of text; none where nothing is said. @throws PromptgateError invalid_request */
export function readInstructions(value: unknown, path: string): Message[] {
  if (value === undefined || value === null || value === '') return [];
  const content = readContent(value, path);
  if (typeof content !== 'string') throw refuse(path, 'a text or parts of text');
  return [{ role: 'system', content }];
}

/** The Responses API tells of a thought, a text and a call apart: here they are one turn, as long as this is their order. */
function append(turns: Message[], turn: Message): void {
  const last = turns.at(-1);
  if (last?.role !== 'assistant' || turn.role !== 'assistant') {
    turns.push(turn);
    return;
  }
  const isThought = (one: Message) => one.reasoning !== undefined && one.content === '' && !one.toolCalls;
  const isCall = turn.content === '' && turn.toolCalls !== undefined && turn.reasoning === undefined;
  if (!isCall && !isThought(last)) {
    turns.push(turn);
    return;
  }
  const toolCalls = [...(last.toolCalls ?? []), ...(turn.toolCalls ?? [])];
  const reasoning = [...(last.reasoning ?? []), ...(turn.reasoning ?? [])];
  turns[turns.length - 1] = {
    ...{ role: 'assistant', content: isCall ? last.content : turn.content },
    ...(toolCalls.length > 0 ? { toolCalls } : {}),
    ...(reasoning.length > 0 ? { reasoning } : {}),
  };
}

function readItem(item: unknown, path: string): Message[] {
  if (!isObject(item)) throw refuse(path, 'a message');
  if (item.type === 'function_call') return [toCalls([readCall(item.call_id, item, path)])];
  if (item.type === 'function_call_output') return [toResult(item.call_id, item.output, path)];
  if (item.type === 'reasoning') {
    const thought = readReasoningItem(item);
    const isNothing = thought.text === '' && Object.keys(thought).length === 1;
    return isNothing ? [] : [{ role: 'assistant', content: '', reasoning: [thought] }];
  }
  if (item.type === 'item_reference') {
    throw refuse(path, 'the turn itself; answers are not kept here for later requests (`store: false`)');
  }
  if (item.type !== undefined && item.type !== 'message') {
    throw refuse(path, 'a message, a call of a function, its output or a thought; nothing else is taken');
  }
  switch (item.role) {
    case 'user':
      return readUser(item.content, `${path}.content`);
    case 'assistant':
      return [readAssistant(item, path)];
    case 'tool':
      return [toResult(item.tool_call_id, item.content, path)];
    case 'system':
    case 'developer':
      throw refuse(
        `${path}.role`,
        'user, assistant or tool; what the system says is governed by the definition',
      );
    default:
      throw refuse(`${path}.role`, 'user, assistant or tool');
  }
}

/** Anthropic sends the results of tools as parts of what the user says. */
function readUser(content: unknown, path: string): Message[] {
  const parts = Array.isArray(content) ? content : [];
  const results = parts.flatMap((part, index) =>
    isObject(part) && part.type === 'tool_result'
      ? [toResult(part.tool_use_id, part.content ?? '', `${path}[${index}]`)]
      : [],
  );
  if (results.length === 0) return [{ role: 'user', content: readContent(content, path) }];
  const rest = parts.filter((part) => !isObject(part) || part.type !== 'tool_result');
  return rest.length === 0 ? results : [...results, { role: 'user', content: readContent(rest, path) }];
}

function readAssistant(item: Record<string, unknown>, path: string): Message {
  const parts = Array.isArray(item.content) ? item.content : [];
  const isUse = (part: unknown) => isObject(part) && part.type === 'tool_use';
  const used = parts.filter(isUse).map((part) => {
    const { id, name, input } = part as Record<string, unknown>;
    const fault = findJsonFault(input ?? {}, { prototypeNames: true });
    if (fault)
      throw refuse(`${path}.content`, `the input of a call as JSON that can be kept: it ${fault.message}`);
    return readCall(id, { name, arguments: JSON.stringify(input ?? {}) }, path);
  });
  const called = (Array.isArray(item.tool_calls) ? item.tool_calls : []).map((call, index) =>
    readCall(call?.id, isObject(call?.function) ? call.function : {}, `${path}.tool_calls[${index}]`),
  );
  const content = Array.isArray(item.content)
    ? parts.filter((part) => !isUse(part) && readThinking(part) === undefined)
    : (item.content ?? item.refusal ?? '');
  const calls = [...used, ...called];
  const reasoning = readThoughts(item, parts);
  return {
    ...{ role: 'assistant', content: readContent(content, `${path}.content`) },
    ...(calls.length > 0 ? { toolCalls: calls } : {}),
    ...(reasoning.length > 0 ? { reasoning } : {}),
  };
}

/** OpenAI's compatible servers have one place for it, under one of two names. */
function readThoughts({ reasoning_content, reasoning }: Record<string, unknown>, parts: readonly unknown[]) {
  const told = reasoning_content ?? reasoning;
  const text = typeof told === 'string' && told !== '' ? [{ text: told }] : [];
  return [...text, ...parts.flatMap((part) => readThinking(part) ?? [])];
}

function toCalls(toolCalls: readonly ToolCall[]): Message {
  return { role: 'assistant', content: '', toolCalls };
}

function readCall(id: unknown, { name, arguments: said }: Record<string, unknown>, path: string): ToolCall {
  if (typeof id === 'string' && typeof name === 'string' && typeof said === 'string') {
    return { id, name, arguments: said };
  }
  throw refuse(path, 'a call with its id, its name and its arguments');
}

function toResult(id: unknown, content: unknown, path: string): Message {
  if (typeof id !== 'string') throw refuse(path, 'a result with the id of its call');
  return { role: 'tool', toolCallId: id, content: readContent(content, path) };
}
