/** Answers as OpenAI's Responses API gives them, whole and as events. */
import type { PromptgateError } from '../domain/errors.ts';
import type { Admission, Execution, FinishReason } from '../domain/execution.ts';
import type { JsonObject } from '../domain/json.ts';
import type { AnswerEvents, Dialect } from './dialect.ts';
import type { ServerSentEvent } from './event-stream.ts';

export const responsesDialect: Dialect = {
  toAnswer: (execution) => toResponse(execution, [toMessage(execution.id, [toPart(execution)], execution)]),
  createEvents: createResponsesEvents,
};

type ContentPart =
  | { type: 'output_text'; text: string; annotations: never[]; logprobs: never[] }
  | { type: 'refusal'; refusal: string };

function textPart(text: string): ContentPart {
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}

function toPart({ rawOutput, finishReason }: Pick<Execution, 'rawOutput' | 'finishReason'>): ContentPart {
  const text = rawOutput ?? '';
  return finishReason === 'refusal' ? { type: 'refusal', refusal: text } : textPart(text);
}

/** What an answer that was cut off was cut off by; null for a whole one. */
function incompleteReason(finish: FinishReason | null): string | null {
  if (finish === 'length') return 'max_output_tokens';
  return finish === 'content_filter' ? 'content_filter' : null;
}

function toMessage(
  id: string,
  content: readonly ContentPart[],
  end: Pick<Execution, 'finishReason'> | null,
): JsonObject {
  const status =
    end === null ? 'in_progress' : incompleteReason(end.finishReason) ? 'incomplete' : 'completed';
  return {
    id: `msg_${id}`,
    type: 'message',
    role: 'assistant',
    status,
    content: content.map((part) => ({ ...part })),
  };
}

function toResponse(execution: Execution, output: readonly JsonObject[]): JsonObject {
  const reason = incompleteReason(execution.finishReason);
  return {
    ...toDraft(execution),
    status: reason ? 'incomplete' : 'completed',
    incomplete_details: reason ? { reason } : null,
    model: execution.responseModel ?? execution.model ?? '',
    output: [...output],
    service_tier: execution.serviceTier,
    usage: toUsage(execution),
  };
}

/** The response before there is anything to tell: everything that the admission knows. */
function toDraft(admission: Admission): JsonObject {
  const { temperature, topP, maxOutputTokens } = admission.parameters;
  return {
    id: `resp_${admission.id}`,
    object: 'response',
    created_at: Math.floor(admission.startedAt.getTime() / 1000),
    status: 'in_progress',
    background: false,
    error: null,
    incomplete_details: null,
    instructions: null,
    max_output_tokens: maxOutputTokens ?? null,
    metadata: { ...admission.metadata },
    model: admission.model ?? '',
    output: [],
    parallel_tool_calls: true,
    previous_response_id: null,
    prompt: {
      id: admission.promptName,
      version: String(admission.promptVersion),
      variables: { ...admission.inputPayload.variables },
    },
    store: false,
    temperature: temperature ?? null,
    tool_choice: 'auto',
    tools: [],
    top_p: topP ?? null,
    truncation: 'disabled',
    usage: null,
  };
}

/** Null when the provider did not say: a zero would be read as a count. */
function toUsage(execution: Execution): JsonObject | null {
  const { promptTokens, completionTokens } = execution;
  if (promptTokens === null || completionTokens === null) return null;
  return {
    input_tokens: promptTokens,
    input_tokens_details: {
      cached_tokens: execution.cachedTokens ?? 0,
      cache_write_tokens: execution.cacheWriteTokens ?? 0,
    },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: execution.reasoningTokens ?? 0 },
    total_tokens: promptTokens + completionTokens,
  };
}

/** One message with one part of text or refusal at a time; reasoning and its like have no place in it. */
function createResponsesEvents(): AnswerEvents {
  const parts: ContentPart[] = [];
  let sequence = 0;
  let head: Admission | undefined;

  const event = (type: string, members: object): ServerSentEvent => ({
    event: type,
    data: { type, sequence_number: sequence++, ...members },
  });
  const place = () => ({ item_id: `msg_${head?.id}`, output_index: 0, content_index: parts.length - 1 });

  function openPart(type: ContentPart['type']): ServerSentEvent[] {
    const opening =
      parts.length === 0 && head
        ? [event('response.output_item.added', { output_index: 0, item: toMessage(head.id, [], null) })]
        : closePart();
    parts.push(type === 'refusal' ? { type, refusal: '' } : textPart(''));
    return [...opening, event('response.content_part.added', { ...place(), part: { ...parts.at(-1) } })];
  }

  function closePart(): ServerSentEvent[] {
    const part = parts.at(-1);
    if (!part) return [];
    const said =
      part.type === 'refusal'
        ? event('response.refusal.done', { ...place(), refusal: part.refusal })
        : event('response.output_text.done', { ...place(), text: part.text, logprobs: [] });
    return [said, event('response.content_part.done', { ...place(), part: { ...part } })];
  }

  function add(type: ContentPart['type'], text: string): ServerSentEvent[] {
    const opened = parts.at(-1)?.type === type ? [] : openPart(type);
    const part = parts.at(-1)!;
    if (part.type === 'refusal') part.refusal += text;
    else part.text += text;
    const kind = type === 'refusal' ? 'response.refusal.delta' : 'response.output_text.delta';
    const logprobs = type === 'refusal' ? {} : { logprobs: [] };
    return [...opened, event(kind, { ...place(), delta: text, ...logprobs })];
  }

  return {
    begin(admission) {
      head = admission;
      const response = toDraft(admission);
      return [event('response.created', { response }), event('response.in_progress', { response })];
    },
    piece(delta) {
      if (delta.type === 'text') return add('output_text', delta.text);
      return delta.type === 'refusal' ? add('refusal', delta.text) : [];
    },
    finish(execution) {
      const opened = parts.length === 0 ? openPart(toPart(execution).type) : [];
      const item = toMessage(execution.id, parts, execution);
      const kind = incompleteReason(execution.finishReason) ? 'response.incomplete' : 'response.completed';
      return [
        ...opened,
        ...closePart(),
        event('response.output_item.done', { output_index: 0, item }),
        event(kind, { response: toResponse(execution, [item]) }),
      ];
    },
    fail: (error) => [event('response.failed', { response: toFailed(head, parts, error) })],
  };
}

function toFailed(
  head: Admission | undefined,
  parts: readonly ContentPart[],
  { code, message }: PromptgateError,
): JsonObject {
  if (!head) return {};
  const output = parts.length === 0 ? [] : [{ ...toMessage(head.id, parts, null), status: 'incomplete' }];
  return { ...toDraft(head), status: 'failed', error: { code, message }, output };
}
