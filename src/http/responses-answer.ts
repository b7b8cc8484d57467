/** Whole answers as OpenAI's Responses API gives them, and the parts that its events are made of. */
import type { Admission, Execution, FinishReason } from '../domain/execution.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { packProof, type ReasoningBlock } from '../domain/reasoning.ts';
import type { Tool, ToolCall } from '../domain/tool.ts';

export function toResponsesAnswer(execution: Execution, tools: readonly Tool[]): JsonObject {
  const { id, rawOutput, toolCalls } = execution;
  const thoughts = execution.reasoning.map((block, index) => toReasoningItem(id, index, block));
  const message = toMessage(id, [toPart(execution)], toItemStatus(execution));
  const calls = toolCalls.map((call, index) => toCallItem(id, index, call, 'completed'));
  const said = rawOutput || calls.length === 0 ? [message, ...calls] : calls;
  return toResponse(execution, [...thoughts, ...said], tools);
}

export type ContentPart =
  | { type: 'output_text'; text: string; annotations: never[]; logprobs: never[] }
  | { type: 'refusal'; refusal: string };

export function textPart(text: string): ContentPart {
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}

export function toPart({
  rawOutput,
  finishReason,
}: Pick<Execution, 'rawOutput' | 'finishReason'>): ContentPart {
  const text = rawOutput ?? '';
  return finishReason === 'refusal' ? { type: 'refusal', refusal: text } : textPart(text);
}

/** What an answer that was cut off was cut off by; null for a whole one. */
export function incompleteReason(finish: FinishReason | null): string | null {
  if (finish === 'length') return 'max_output_tokens';
  return finish === 'content_filter' ? 'content_filter' : null;
}

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

export function toItemStatus({ finishReason }: Pick<Execution, 'finishReason'>): ItemStatus {
  return incompleteReason(finishReason) ? 'incomplete' : 'completed';
}

export function toMessage(id: string, content: readonly ContentPart[], status: ItemStatus): JsonObject {
  return {
    id: `msg_${id}`,
    type: 'message',
    role: 'assistant',
    status,
    content: content.map((part) => ({ ...part })),
  };
}

/** @param index of the call among the calls of the answer */
export function toCallItem(id: string, index: number, call: ToolCall, status: ItemStatus): JsonObject {
  const { id: call_id, name, arguments: said } = call;
  return { id: `fc_${id}_${index}`, type: 'function_call', status, call_id, name, arguments: said };
}

/** What proves the thought, of whichever provider, is packed: what a client sends back is then what came. */
export function toReasoningItem(id: string, index: number, block: ReasoningBlock): JsonObject {
  const { text, ...proof } = block;
  const packed = packProof(proof);
  return {
    id: `rs_${id}_${index}`,
    type: 'reasoning',
    summary: text === '' ? [] : [{ type: 'summary_text', text }],
    ...(packed === undefined ? {} : { encrypted_content: packed }),
  };
}

export function toResponse(
  execution: Execution,
  output: readonly JsonObject[],
  tools: readonly Tool[],
): JsonObject {
  const reason = incompleteReason(execution.finishReason);
  return {
    ...toDraft(execution, tools),
    status: reason ? 'incomplete' : 'completed',
    incomplete_details: reason ? { reason } : null,
    model: execution.responseModel ?? execution.model ?? '',
    output: [...output],
    service_tier: execution.serviceTier,
    usage: toUsage(execution),
  };
}

/** The response before there is anything to tell: everything that the admission knows. */
export function toDraft(admission: Admission, tools: readonly Tool[]): JsonObject {
  const { temperature, topP, maxOutputTokens, reasoningEffort } = admission.parameters;
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
    prompt: toPromptView(admission),
    reasoning: { effort: reasoningEffort ?? null, summary: null },
    store: false,
    temperature: temperature ?? null,
    tool_choice: toChoiceView(admission),
    tools: tools.map(toFunctionTool),
    top_p: topP ?? null,
    truncation: 'disabled',
    usage: null,
  };
}

/** A raw call names none. */
function toPromptView({ promptName, promptVersion, inputPayload }: Admission): JsonObject | null {
  if (promptName === '') return null;
  return { id: promptName, version: String(promptVersion), variables: { ...inputPayload.variables } };
}

function toChoiceView({ inputPayload }: Admission): Json {
  const choice = inputPayload.overrides?.toolChoice ?? 'auto';
  return typeof choice === 'object' ? { type: 'function', name: choice.name } : choice;
}

function toFunctionTool({ name, description, inputSchema }: Tool): JsonObject {
  return { type: 'function', name, description, parameters: inputSchema, strict: false };
}

/** Null when the provider did not say: a zero would be read as a count. */
function toUsage(execution: Execution): JsonObject | null {
  const { promptTokens, completionTokens, cacheWriteTokens } = execution;
  if (promptTokens === null || completionTokens === null) return null;
  return {
    input_tokens: promptTokens,
    input_tokens_details: {
      cached_tokens: execution.cachedTokens ?? 0,
      ...(cacheWriteTokens === null ? {} : { cache_write_tokens: cacheWriteTokens }),
    },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: execution.reasoningTokens ?? 0 },
    total_tokens: promptTokens + completionTokens,
  };
}
