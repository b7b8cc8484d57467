/** Answers as Anthropic's Messages API gives them, whole and as events. */
import type { Admission, Execution, FinishReason } from '../domain/execution.ts';
import type { JsonObject } from '../domain/json.ts';
import { toAnthropicErrorBody } from './anthropic-error.ts';
import type { AnswerEvents, Dialect } from './dialect.ts';
import type { ServerSentEvent } from './event-stream.ts';

export const messagesDialect: Dialect = {
  toAnswer: (execution) => ({
    ...toDraft(execution),
    model: execution.responseModel ?? execution.model ?? '',
    content: execution.rawOutput ? [{ type: 'text', text: execution.rawOutput }] : [],
    stop_reason: toStopReason(execution.finishReason),
    usage: toUsage(execution),
  }),
  createEvents: createMessagesEvents,
};

function toDraft(admission: Admission): JsonObject {
  return {
    id: `msg_${admission.id}`,
    type: 'message',
    role: 'assistant',
    model: admission.model ?? '',
    content: [],
    stop_reason: null,
    stop_sequence: null,
    // Anthropic counts the input before it answers; here the counts come at the end, and replace these.
    usage: {
      input_tokens: 0,
      cache_read_input_tokens: null,
      cache_creation_input_tokens: null,
      output_tokens: 0,
    },
  };
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
function toUsage(execution: Execution): JsonObject {
  const { promptTokens, cachedTokens, cacheWriteTokens } = execution;
  return {
    input_tokens: promptTokens === null ? null : promptTokens - (cachedTokens ?? 0) - (cacheWriteTokens ?? 0),
    cache_read_input_tokens: cachedTokens,
    cache_creation_input_tokens: cacheWriteTokens,
    output_tokens: execution.completionTokens,
  };
}

/** One block of text; a refusal is text whose stop reason says so. */
function createMessagesEvents(): AnswerEvents {
  let isOpen = false;
  const event = (type: string, members: object = {}): ServerSentEvent => ({
    event: type,
    data: { type, ...members },
  });
  return {
    begin: (admission) => [event('message_start', { message: toDraft(admission) })],
    piece(delta) {
      if (delta.type !== 'text' && delta.type !== 'refusal') return [];
      const opening = isOpen
        ? []
        : [event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } })];
      isOpen = true;
      const said = { index: 0, delta: { type: 'text_delta', text: delta.text } };
      return [...opening, event('content_block_delta', said)];
    },
    finish: (execution) => [
      ...(isOpen ? [event('content_block_stop', { index: 0 })] : []),
      event('message_delta', {
        delta: { stop_reason: toStopReason(execution.finishReason), stop_sequence: null },
        usage: toUsage(execution),
      }),
      event('message_stop'),
    ],
    fail: (error, requestId) => [{ event: 'error', data: toAnthropicErrorBody(error, requestId) }],
  };
}
