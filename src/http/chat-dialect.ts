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
    ...toReasoning(execution),
    ...(toolCalls.length > 0 ? { tool_calls: toolCalls.map(toCall) } : {}),
  };
  return {
    ...toHead(execution, 'chat.completion'),
    ...toIdentity(execution),
    choices: [{ index: 0, message, logprobs: null, finish_reason: toFinish(finishReason) }],
    usage: toUsage(execution),
  };
}

/** Who answered. */
function toIdentity(execution: Execution): JsonObject {
  return {
    model: execution.responseModel ?? execution.model ?? '',
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

/** OpenAI has no place for it; this is the name that its compatible servers gave it. Proofs have none at all. */
function toReasoning({ reasoning }: Execution): JsonObject {
  const text = reasoning.flatMap((block) => block.text || []).join('\n\n');
  return text === '' ? {} : { reasoning_content: text };
}

/** Null when the provider did not say: a zero would be read as a count. */
function toUsage(execution: Execution): JsonObject | null {
  const { promptTokens, completionTokens, cachedTokens, cacheWriteTokens, reasoningTokens } = execution;
  if (promptTokens === null || completionTokens === null) return null;
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: {
      ...(cachedTokens === null ? {} : { cached_tokens: cachedTokens }),
      ...(cacheWriteTokens === null ? {} : { cache_write_tokens: cacheWriteTokens }),
    },
    completion_tokens_details: reasoningTokens === null ? {} : { reasoning_tokens: reasoningTokens },
  };
}

function createChatEvents(includeUsage: boolean): AnswerEvents {
  let head: JsonObject = {};
  let begun = false;
  let roleTold = false;
  const announced = new Set<number>();
  let refused = false;
  /** Blocks of reasoning so far, and whether the latest may still grow. */
  const thought = { blocks: 0, open: false };
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

  /** The first chunk tells the role; the first of what is said, whether there is a text to come. */
  function enter(content: '' | null): ServerSentEvent[] {
    if (begun) return [];
    begun = true;
    return [chunk(choice({ ...tellRole(), content }))];
  }

  function tellRole(): JsonObject {
    if (roleTold) return {};
    roleTold = true;
    return { role: 'assistant' };
  }

  /** Paragraphs keep apart what its blocks kept apart. */
  function toReasoningDelta(text: string): JsonObject {
    const follows = !thought.open && thought.blocks > 0;
    if (!thought.open) thought.blocks += 1;
    thought.open = true;
    return { reasoning_content: follows ? `\n\n${text}` : text };
  }

  /** What a refusal says may have come as text, or not in pieces at all. */
  function endRefusal({ finishReason, rawOutput }: Execution): ServerSentEvent[] {
    return finishReason === 'refusal' && !refused ? [chunk(choice({ refusal: rawOutput ?? '' }))] : [];
  }

  return {
    begin(admission) {
      head = toHead(admission, 'chat.completion.chunk');
      return [];
    },
    piece(delta) {
      if (delta.type === 'reasoning') {
        return [chunk(choice({ ...tellRole(), ...toReasoningDelta(delta.text) }))];
      }
      thought.open = false;
      switch (delta.type) {
        case 'text':
          return [...enter(''), chunk(choice({ content: delta.text }))];
        case 'refusal':
          refused = true;
          return [...enter(null), chunk(choice({ refusal: delta.text }))];
        case 'tool_call':
          return [...enter(null), chunk(choice({ tool_calls: [toCallDelta(delta.index, delta)] }))];
        default:
          return [];
      }
    },
    finish(execution) {
      const opening = enter('');
      // Which model answered is known only now; a client keeps what it heard last.
      head = { ...head, ...toIdentity(execution) };
      return [
        ...opening,
        ...endRefusal(execution),
        chunk(choice({}, toFinish(execution.finishReason))),
        ...(includeUsage ? [chunk([], { usage: toUsage(execution) })] : []),
        { data: '[DONE]' },
      ];
    },
    fail: (error) => [{ data: toOpenaiErrorBody(error) }],
  };
}
