/** Answers as OpenAI's Chat Completions API gives them, whole and as chunks. */
import { z } from '@hono/zod-openapi';
import type { Admission, Execution, FinishReason } from '../domain/execution.ts';
import type { JsonObject } from '../domain/json.ts';
import type { ToolCall } from '../domain/tool.ts';
import type { AnswerEvents, Dialect } from './dialect.ts';
import type { ServerSentEvent } from './event-stream.ts';
import { toOpenaiErrorBody } from './openai-error.ts';

export const chatCompletionSchema = z
  .looseObject({ id: z.string(), object: z.literal('chat.completion') })
  .openapi('ChatCompletion');
export const chatChunkSchema = z
  .looseObject({ id: z.string(), object: z.literal('chat.completion.chunk') })
  .openapi('ChatCompletionChunk');

/** @param options includeUsage: the last chunk of a stream tells the usage, as `stream_options.include_usage` asks */
export function createChatDialect(options: { includeUsage: boolean }): Dialect {
  return { toAnswer: toCompletion, createEvents: () => createChatEvents(options.includeUsage) };
}

function toCompletion(execution: Execution): JsonObject {
  const { rawOutput, finishReason, toolCalls } = execution;
  const refused = finishReason === 'refusal';
  const content = refused || (toolCalls.length > 0 && !rawOutput) ? null : (rawOutput ?? '');
  const message = {
    role: 'assistant',
    content,
    refusal: refused ? (rawOutput ?? '') : null,
    ...(toolCalls.length > 0 ? { tool_calls: toolCalls.map(toCall) } : {}),
  };
  return {
    ...toHead(execution, 'chat.completion'),
    model: execution.responseModel ?? execution.model ?? '',
    choices: [{ index: 0, message, logprobs: null, finish_reason: toFinish(finishReason) }],
    usage: toUsage(execution),
    service_tier: execution.serviceTier,
    system_fingerprint: execution.systemFingerprint,
  };
}

function toHead({ id, startedAt, model }: Admission, object: string): JsonObject {
  const created = Math.floor(startedAt.getTime() / 1000);
  return { id: `chatcmpl-${id}`, object, created, model: model ?? '' };
}

function toCall({ id, name, arguments: said }: ToolCall): JsonObject {
  return { id, type: 'function', function: { name, arguments: said } };
}

function toFinish(finish: FinishReason | null): string {
  return finish === null || finish === 'other' || finish === 'refusal' ? 'stop' : finish;
}

/** Null when the provider did not say: a zero would be read as a count. */
function toUsage(execution: Execution): JsonObject | null {
  const { promptTokens, completionTokens, cachedTokens, reasoningTokens } = execution;
  if (promptTokens === null || completionTokens === null) return null;
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens ?? 0 },
    completion_tokens_details: { reasoning_tokens: reasoningTokens ?? 0 },
  };
}

/** Reasoning is no part of the answer, and is not told. */
function createChatEvents(includeUsage: boolean): AnswerEvents {
  let head: JsonObject = {};
  const announced = new Set<number>();
  const chunk = (choices: JsonObject[], extra: JsonObject = {}): ServerSentEvent => ({
    data: { ...head, choices, ...extra },
  });
  const choice = (delta: JsonObject, finish: string | null = null) => [
    { index: 0, delta, logprobs: null, finish_reason: finish },
  ];

  /** The first piece of a call tells its id and name, the others only go on. */
  function toCallDelta(index: number, call: ToolCall): JsonObject {
    if (announced.has(index)) return { index, function: { arguments: call.arguments } };
    announced.add(index);
    return { index, ...toCall(call) };
  }

  return {
    begin(admission) {
      head = toHead(admission, 'chat.completion.chunk');
      return [chunk(choice({ role: 'assistant', content: '' }))];
    },
    piece(delta) {
      switch (delta.type) {
        case 'text':
          return [chunk(choice({ content: delta.text }))];
        case 'refusal':
          return [chunk(choice({ refusal: delta.text }))];
        case 'tool_call':
          return [chunk(choice({ tool_calls: [toCallDelta(delta.index, delta)] }))];
        default:
          return [];
      }
    },
    finish: (execution) => [
      chunk(choice({}, toFinish(execution.finishReason))),
      ...(includeUsage ? [chunk([], { usage: toUsage(execution) })] : []),
      { data: '[DONE]' },
    ],
    fail: (error) => [{ data: toOpenaiErrorBody(error) }],
  };
}
