/** OpenAI's Responses wire, for OpenAI and for every server that speaks it. Nothing is kept there between calls. */
import type { ProviderCall, ProviderSettings } from '../application/provider.ts';
import type { FinishReason } from '../domain/execution.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import type { Message } from '../domain/message.ts';
import type { ReasoningBlock } from '../domain/reasoning.ts';
import type { Tool, ToolCall } from '../domain/tool.ts';
import type { Usage } from '../domain/usage.ts';
import { isRecord } from './attempt-failure.ts';
import type { HttpClient } from './http-client.ts';
import { toReasoningItems, toResponsesContent } from './openai-responses-content.ts';
import { assembleResponsesStream } from './openai-responses-stream.ts';
import { createOpenaiSdk } from './openai-sdk.ts';
import { isStrictSchema } from './strict-schema.ts';
import { type ReadAnswer, readCount, readObject, readString, type WireClient } from './wire.ts';
import { createWireClient } from './wire-client.ts';

export function createOpenaiResponsesClient(settings: ProviderSettings, http: HttpClient): WireClient {
  return createWireClient(settings, {
    send: createOpenaiSdk(settings, http, '/responses'),
    toRequest: toResponsesRequest,
    streamed: { stream: true },
    assemble: assembleResponsesStream,
    read: fromResponsesBody,
  });
}

/** Parameters are sent as the definition states them; a model that refuses one says so itself. */
export function toResponsesRequest(call: ProviderCall): JsonObject {
  const { parameters, toolChoice: choice } = call;
  const format = toTextFormat(call.output);
  const effort = parameters.reasoningEffort;
  const optional: Record<string, Json | undefined> = {
    max_output_tokens: parameters.maxOutputTokens,
    temperature: parameters.temperature,
    top_p: parameters.topP,
    reasoning: effort === undefined ? undefined : { effort },
    // Its thoughts come back unreadable, to be sent again with the results of tools. Models without any refuse this.
    include: effort === undefined ? undefined : ['reasoning.encrypted_content'],
    text: format && { format },
    tools: call.tools.length === 0 ? undefined : call.tools.map(toFunctionTool),
    tool_choice: typeof choice === 'object' ? { type: 'function', name: choice.name } : choice,
  };
  return {
    model: call.route.model,
    input: call.messages.flatMap(toInputItems),
    // The wire's default is to keep prompts and answers for weeks; our rows are the only copy that is governed.
    store: false,
    ...(Object.fromEntries(
      Object.entries(optional).filter(([, value]) => value !== undefined),
    ) as JsonObject),
  };
}

/** Calls and their results are items beside the messages. Without ids: with one, OpenAI looks for what it has not kept. */
function toInputItems({ role, content, toolCalls = [], toolCallId, reasoning = [] }: Message): JsonObject[] {
  const sent = toResponsesContent(content);
  if (role === 'tool') return [{ type: 'function_call_output', call_id: toolCallId ?? '', output: sent }];
  const calls = toolCalls.map(({ id, name, arguments: said }) => ({
    type: 'function_call',
    call_id: id,
    name,
    arguments: said || '{}',
  }));
  const said = content === '' && calls.length > 0 ? [] : [{ role, content: sent }];
  return [...toReasoningItems(reasoning), ...said, ...calls];
}

/** Not strict, as on the other wires: by default this one rewrites the schema and makes every argument required. */
function toFunctionTool({ name, description, inputSchema }: Tool): JsonObject {
  const described = description === null ? {} : { description };
  return { type: 'function', name, ...described, parameters: inputSchema, strict: false };
}

function toTextFormat({ format, schema }: ProviderCall['output']): JsonObject | undefined {
  if (format !== 'json') return undefined;
  if (!schema) return { type: 'json_object' };
  return { type: 'json_schema', name: 'output', schema, strict: isStrictSchema(schema) };
}

/** Proof of completeness: the status `completed`, or `incomplete`, which says that no more will come. */
export function fromResponsesBody(body: unknown): ReturnType<ReadAnswer> {
  if (!isRecord(body)) return { unusable: 'the body is not an object' };
  const { status } = body;
  const rawUsage = readObject(body.usage);
  const bill = {
    usage: toUsage(rawUsage),
    rawUsage,
    responseModel: readString(body.model),
    serviceTier: readString(body.service_tier),
  };
  if (status === 'failed') return { unusable: 'it reports an error', bill };
  if (status !== 'completed' && status !== 'incomplete') {
    const found = typeof status === 'string' ? 'its status is neither completed nor incomplete' : 'no status';
    return { unusable: `nothing proves that it is complete: ${found}` };
  }
  if (!Array.isArray(body.output)) return { unusable: 'it holds no output', bill };
  const items = recordsOf(body.output);
  const parts = items.flatMap(({ type, content }) => (type === 'message' ? recordsOf(content) : []));
  const text = joinParts(parts, 'output_text', 'text');
  const refusal = joinParts(parts, 'refusal', 'refusal');
  const toolCalls = items.flatMap(readToolCall);
  return {
    ...bill,
    output: text || refusal,
    toolCalls,
    reasoning: items.flatMap(readReasoning),
    finishReason: toFinishReason(body, refusal !== '', toolCalls.length > 0),
    systemFingerprint: null,
  };
}

function recordsOf(value: Json | undefined): Record<string, Json | undefined>[] {
  const list: unknown[] = Array.isArray(value) ? value : [];
  return list.filter(isRecord);
}

function joinParts(parts: readonly Record<string, Json | undefined>[], type: string, member: string): string {
  return parts.map((part) => (part.type === type ? (readString(part[member]) ?? '') : '')).join('');
}

/** Tools that the provider runs itself (`web_search_call` …) are no business of the caller. */
function readToolCall(item: Record<string, Json | undefined>): ToolCall[] {
  const said = item.type === 'custom_tool_call' ? item.input : item.arguments;
  if (item.type !== 'function_call' && item.type !== 'custom_tool_call') return [];
  return [
    {
      id: readString(item.call_id) ?? '',
      name: readString(item.name) ?? '',
      arguments: readString(said) ?? '{}',
    },
  ];
}

/** What it says of itself, as summary or in full; paragraphs keep apart what its parts kept apart. */
function readReasoning(item: Record<string, Json | undefined>): ReasoningBlock[] {
  if (item.type !== 'reasoning') return [];
  const parts = [...recordsOf(item.summary), ...recordsOf(item.content)];
  const text = parts.flatMap((part) => readString(part.text) ?? []).join('\n\n');
  const [encrypted, id] = [readString(item.encrypted_content), readString(item.id)];
  if (encrypted === null) return text === '' ? [] : [{ text }];
  return [{ text, encrypted, ...(id === null ? {} : { id }) }];
}

/** What is incomplete was cut off; some servers do not say by what, and then it was not a filter. */
function toFinishReason(
  { status, incomplete_details: details }: Record<string, Json | undefined>,
  refused: boolean,
  calls: boolean,
): FinishReason {
  if (refused) return 'refusal';
  if (status === 'incomplete') {
    return isRecord(details) && details.reason === 'content_filter' ? 'content_filter' : 'length';
  }
  return calls ? 'tool_calls' : 'stop';
}

/** `input_tokens` includes cached reads and cache writes; `output_tokens` includes reasoning. */
function toUsage(raw: JsonObject | null): Usage {
  const sent = raw ?? {};
  return {
    promptTokens: readCount(sent, 'input_tokens'),
    completionTokens: readCount(sent, 'output_tokens'),
    cachedTokens: readCount(sent.input_tokens_details, 'cached_tokens'),
    cacheWriteTokens: readCount(sent.input_tokens_details, 'cache_write_tokens'),
    reasoningTokens: readCount(sent.output_tokens_details, 'reasoning_tokens'),
  };
}
