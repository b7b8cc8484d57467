/** Answers as Anthropic's Messages API gives them, whole and as events. */
import type { Admission, Execution, FinishReason } from '../domain/execution.ts';
import type { JsonObject } from '../domain/json.ts';
import { packProof, type ReasoningBlock } from '../domain/reasoning.ts';
import { parseArguments } from '../domain/tool.ts';
import { noUsage, type Usage } from '../domain/usage.ts';
import { toAnthropicErrorBody } from './anthropic-error.ts';
import type { AnswerEvents, Dialect } from './dialect.ts';
import type { ServerSentEvent } from './event-stream.ts';

export const messagesDialect: Dialect = {
  toAnswer: (execution) => ({
    ...toDraft(execution),
    model: execution.responseModel ?? execution.model ?? '',
    content: toContent(execution),
    stop_reason: toStopReason(execution.finishReason),
    usage: toUsage(execution),
  }),
  createEvents: createMessagesEvents,
};

function toDraft(admission: Admission, counted: Usage = noUsage): JsonObject {
  const usage = toUsage(counted);
  return {
    id: `msg_${admission.id}`,
    type: 'message',
    role: 'assistant',
    model: admission.model ?? '',
    content: [],
    stop_reason: null,
    stop_sequence: null,
    // Anthropic counts the input before it answers, other providers at the end; then those counts replace these.
    usage: { ...usage, input_tokens: usage.input_tokens ?? 0, output_tokens: usage.output_tokens ?? 0 },
  };
}

function toContent({ rawOutput, toolCalls, reasoning }: Execution): JsonObject[] {
  return [
    ...reasoning.map(toThought),
    ...(rawOutput ? [{ type: 'text', text: rawOutput }] : []),
    // Arguments that are not JSON cannot be said in this shape; the row has them.
    ...toolCalls.map(({ id, name, arguments: said }) => ({
      type: 'tool_use',
      id,
      name,
      input: parseArguments(said) ?? {},
    })),
  ];
}

/** What other providers prove their reasoning with is packed, so that it comes back whole. */
function toThought(block: ReasoningBlock): JsonObject {
  const { text, signature, encrypted, id } = block;
  if (encrypted !== undefined && text === '' && signature === undefined) {
    return { type: 'redacted_thinking', data: id === undefined ? encrypted : (packProof(block) ?? '') };
  }
  return { type: 'thinking', thinking: text, signature: signatureOf(block) };
}

function signatureOf({ signature, encrypted, id }: Partial<ReasoningBlock>): string {
  if (encrypted === undefined && id === undefined) return signature ?? '';
  return (
    packProof({ ...(signature === undefined ? {} : { signature }), encrypted, id } as ReasoningBlock) ?? ''
  );
}

function toStopReason(finish: FinishReason | null): string {
  switch (finish) {
    case 'length':
      return 'max_tokens';
    case 'tool_calls':
      return 'tool_use';
    case 'refusal':
    case 'content_filter':
      return 'refusal';
    default:
      return 'end_turn';
  }
}

/** Anthropic counts cached reads and writes apart from the input; a count that nobody reported is null. */
function toUsage(execution: Usage): JsonObject {
  const { promptTokens, cachedTokens, cacheWriteTokens, reasoningTokens } = execution;
  return {
    input_tokens: promptTokens === null ? null : promptTokens - (cachedTokens ?? 0) - (cacheWriteTokens ?? 0),
    cache_read_input_tokens: cachedTokens,
    cache_creation_input_tokens: cacheWriteTokens,
    output_tokens: execution.completionTokens,
    ...(reasoningTokens === null ? {} : { output_tokens_details: { thinking_tokens: reasoningTokens } }),
  };
}

/** A refusal is text whose stop reason says so. */
function createMessagesEvents(): AnswerEvents {
  /** What the block that is open holds: text, a thought, or the tool call of an index; null when none is. */
  let open: 'text' | 'thinking' | number | null = null;
  let index = -1;
  const event = (type: string, members: object = {}): ServerSentEvent => ({
    event: type,
    data: { type, ...members },
  });

  function close(): ServerSentEvent[] {
    if (open === null) return [];
    open = null;
    return [event('content_block_stop', { index })];
  }

  function enter(block: 'text' | 'thinking' | number, content: object): ServerSentEvent[] {
    if (open === block) return [];
    const closing = close();
    open = block;
    index += 1;
    return [...closing, event('content_block_start', { index, content_block: content })];
  }

  function think(text: string): ServerSentEvent[] {
    const opening = enter('thinking', { type: 'thinking', thinking: '', signature: '' });
    const said = { type: 'thinking_delta', thinking: text };
    return text === '' ? opening : [...opening, event('content_block_delta', { index, delta: said })];
  }

  /** @param proof of the thought that is open, or of one that has no text */
  function endThought(proof: Omit<ReasoningBlock, 'text'>): ServerSentEvent[] {
    const whole = toThought({ text: '', ...proof });
    if (open !== 'thinking' && whole.type === 'redacted_thinking') {
      const closing = close();
      index += 1;
      const block = event('content_block_start', { index, content_block: whole });
      return [...closing, block, event('content_block_stop', { index })];
    }
    const signature = signatureOf(proof);
    if (signature === '') return open === 'thinking' ? close() : [];
    const opening = think('');
    const signed = { type: 'signature_delta', signature };
    return [...opening, event('content_block_delta', { index, delta: signed }), ...close()];
  }

  return {
    begin: (admission, counted) => [event('message_start', { message: toDraft(admission, counted) })],
    piece(delta) {
      if (delta.type === 'reasoning') return think(delta.text);
      if (delta.type === 'reasoning_end') return endThought(delta);
      if (delta.type === 'tool_call') {
        const { id, name } = delta;
        const opening = enter(delta.index, { type: 'tool_use', id, name, input: {} });
        const said = { type: 'input_json_delta', partial_json: delta.arguments };
        return [
          ...opening,
          ...(delta.arguments ? [event('content_block_delta', { index, delta: said })] : []),
        ];
      }
      const opening = enter('text', { type: 'text', text: '' });
      const said = { type: 'text_delta', text: delta.text };
      return [...opening, event('content_block_delta', { index, delta: said })];
    },
    finish: (execution) => [
      ...close(),
      event('message_delta', {
        delta: { stop_reason: toStopReason(execution.finishReason), stop_sequence: null },
        usage: toUsage(execution),
      }),
      event('message_stop'),
    ],
    fail: (error, requestId) => [{ event: 'error', data: toAnthropicErrorBody(error, requestId) }],
  };
}
