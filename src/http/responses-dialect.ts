/** Answers as OpenAI's Responses API streams them: items that open, grow and close, every event numbered. */
import type { PromptgateError } from '../domain/errors.ts';
import type { Admission, Execution } from '../domain/execution.ts';
import type { JsonObject } from '../domain/json.ts';
import type { ReasoningBlock } from '../domain/reasoning.ts';
import type { Tool, ToolCall } from '../domain/tool.ts';
import type { AnswerEvents, Dialect } from './dialect.ts';
import type { ServerSentEvent } from './event-stream.ts';
import {
  type ContentPart,
  type ItemStatus,
  incompleteReason,
  textPart,
  toCallItem,
  toDraft,
  toItemStatus,
  toMessage,
  toPart,
  toReasoningItem,
  toResponse,
  toResponsesAnswer,
} from './responses-answer.ts';

/** @param toolsOf the tools that the definition of a call declares */
export function createResponsesDialect(toolsOf: (call: Admission) => readonly Tool[]): Dialect {
  return {
    toAnswer: (execution) => toResponsesAnswer(execution, toolsOf(execution)),
    createEvents: () => createResponsesEvents(toolsOf),
  };
}

/** An item of the output while it grows: the one message, a call of a tool, or a thought. */
type Item =
  | { readonly kind: 'message'; readonly parts: ContentPart[] }
  | { readonly kind: 'call'; readonly index: number; call: ToolCall }
  | { readonly kind: 'reasoning'; readonly index: number; block: ReasoningBlock };

function createResponsesEvents(toolsOf: (call: Admission) => readonly Tool[]): AnswerEvents {
  const items: Item[] = [];
  let sequence = 0;
  let head: Admission | undefined;
  /** The last thought is whole. */
  let thought = true;

  const event = (type: string, members: object): ServerSentEvent => ({
    event: type,
    data: { type, sequence_number: sequence++, ...members },
  });

  function view(item: Item, status: ItemStatus): JsonObject {
    const id = head?.id ?? '';
    if (item.kind === 'message') return toMessage(id, item.parts, status);
    if (item.kind === 'reasoning') return toReasoningItem(id, item.index, item.block);
    return toCallItem(id, item.index, item.call, status);
  }

  /** Where the item that grows stands; of a message also the part that does. */
  function place(item: Item): object {
    const at = { item_id: view(item, 'in_progress').id, output_index: items.indexOf(item) };
    return item.kind === 'message' ? { ...at, content_index: item.parts.length - 1 } : at;
  }

  function closePart(item: Item & { kind: 'message' }): ServerSentEvent[] {
    const part = item.parts.at(-1);
    if (!part) return [];
    const said =
      part.type === 'refusal'
        ? event('response.refusal.done', { ...place(item), refusal: part.refusal })
        : event('response.output_text.done', { ...place(item), text: part.text, logprobs: [] });
    return [said, event('response.content_part.done', { ...place(item), part: { ...part } })];
  }

  function closeCall(item: Item & { kind: 'call' }): ServerSentEvent[] {
    const { name, arguments: said } = item.call;
    return [event('response.function_call_arguments.done', { ...place(item), name, arguments: said })];
  }

  function closeSummary(item: Item & { kind: 'reasoning' }): ServerSentEvent[] {
    const { text } = item.block;
    if (text === '') return [];
    const at = { ...place(item), summary_index: 0 };
    return [
      event('response.reasoning_summary_text.done', { ...at, text }),
      event('response.reasoning_summary_part.done', { ...at, part: { type: 'summary_text', text } }),
    ];
  }

  function think(text: string): ServerSentEvent[] {
    const last = items.at(-1);
    const fits = last?.kind === 'reasoning' && !thought;
    const index = items.filter(({ kind }) => kind === 'reasoning').length;
    const item: Item & { kind: 'reasoning' } = fits
      ? last
      : { kind: 'reasoning', index, block: { text: '' } };
    const opening = fits ? [] : openItem(item);
    thought = false;
    if (text === '') return opening;
    const at = { ...place(item), summary_index: 0 };
    const part = { type: 'summary_text', text: '' };
    if (item.block.text === '') opening.push(event('response.reasoning_summary_part.added', { ...at, part }));
    item.block = { ...item.block, text: item.block.text + text };
    return [...opening, event('response.reasoning_summary_text.delta', { ...at, delta: text })];
  }

  /** What proves a thought is told with the item, when it closes. */
  function endThought(proof: Omit<ReasoningBlock, 'text'>): ServerSentEvent[] {
    const isOpen = !thought && items.at(-1)?.kind === 'reasoning';
    const opening = !isOpen && Object.keys(proof).length > 0 ? think('') : [];
    const item = items.at(-1);
    if (item?.kind === 'reasoning' && !thought) item.block = { ...item.block, ...proof };
    thought = true;
    return opening;
  }

  function closeItem(status: ItemStatus): ServerSentEvent[] {
    const item = items.at(-1);
    if (!item) return [];
    const said =
      item.kind === 'message' ? closePart(item) : item.kind === 'call' ? closeCall(item) : closeSummary(item);
    const done = { output_index: items.length - 1, item: view(item, status) };
    return [...said, event('response.output_item.done', done)];
  }

  function openItem<T extends Item>(item: T): ServerSentEvent[] {
    const closing = closeItem('completed');
    items.push(item);
    const added = { output_index: items.length - 1, item: view(item, 'in_progress') };
    return [...closing, event('response.output_item.added', added)];
  }

  function openPart(type: ContentPart['type']): ServerSentEvent[] {
    const last = items.at(-1);
    const item = last?.kind === 'message' ? last : { kind: 'message' as const, parts: [] };
    const opening = item === last ? closePart(item) : openItem(item);
    item.parts.push(type === 'refusal' ? { type, refusal: '' } : textPart(''));
    const added = { ...place(item), part: { ...item.parts.at(-1) } };
    return [...opening, event('response.content_part.added', added)];
  }

  function addText(type: ContentPart['type'], text: string): ServerSentEvent[] {
    const before = items.at(-1);
    const fits = before?.kind === 'message' && before.parts.at(-1)?.type === type;
    const opening = fits ? [] : openPart(type);
    const item = items.at(-1) as Item & { kind: 'message' };
    const part = item.parts.at(-1)!;
    if (part.type === 'refusal') {
      part.refusal += text;
      return [...opening, event('response.refusal.delta', { ...place(item), delta: text })];
    }
    part.text += text;
    return [...opening, event('response.output_text.delta', { ...place(item), delta: text, logprobs: [] })];
  }

  function addCall(index: number, { id, name, arguments: said }: ToolCall): ServerSentEvent[] {
    const last = items.at(-1);
    const fits = last?.kind === 'call' && last.index === index;
    const item: Item & { kind: 'call' } = fits
      ? last
      : { kind: 'call', index, call: { id, name, arguments: '' } };
    const opening = fits ? [] : openItem(item);
    if (said === '') return opening;
    item.call = { ...item.call, arguments: item.call.arguments + said };
    return [...opening, event('response.function_call_arguments.delta', { ...place(item), delta: said })];
  }

  /** An answer says something, be it nothing; what a refusal says may have come as text, and is then not said twice. */
  function endAnswer(execution: Execution): ServerSentEvent[] {
    const { type } = toPart(execution);
    const parts = items.flatMap((item) => (item.kind === 'message' ? item.parts : []));
    if (type === 'refusal' && execution.rawOutput && parts.every((part) => part.type !== type)) {
      return parts.length > 0 ? openPart(type) : addText(type, execution.rawOutput);
    }
    return items.some(({ kind }) => kind !== 'reasoning') ? [] : openPart(type);
  }

  return {
    begin(admission) {
      head = admission;
      const response = toDraft(admission, toolsOf(admission));
      return [event('response.created', { response }), event('response.in_progress', { response })];
    },
    piece(delta) {
      if (delta.type === 'tool_call') return addCall(delta.index, delta);
      if (delta.type === 'reasoning') return think(delta.text);
      if (delta.type === 'reasoning_end') {
        const { type: _type, ...proof } = delta;
        return endThought(proof);
      }
      return addText(delta.type === 'refusal' ? 'refusal' : 'output_text', delta.text);
    },
    finish(execution) {
      const opened = endAnswer(execution);
      const status = toItemStatus(execution);
      const closed = closeItem(status);
      const output = items.map((item) => view(item, item === items.at(-1) ? status : 'completed'));
      const kind = incompleteReason(execution.finishReason) ? 'response.incomplete' : 'response.completed';
      return [
        ...opened,
        ...closed,
        event(kind, { response: toResponse(execution, output, toolsOf(execution)) }),
      ];
    },
    fail(error) {
      const output = items.map((item) => view(item, item === items.at(-1) ? 'incomplete' : 'completed'));
      return head
        ? [event('response.failed', { response: toFailed(toDraft(head, toolsOf(head)), output, error) })]
        : [];
    },
  };
}

function toFailed(draft: JsonObject, output: JsonObject[], { code, message }: PromptgateError): JsonObject {
  return { ...draft, status: 'failed', error: { code, message }, output };
}
