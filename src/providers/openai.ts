/** OpenAI's Chat Completions wire, for OpenAI and for every server that speaks it. */
import type { ProviderCall, ProviderSettings } from '../application/provider.ts';
import type { FinishReason } from '../domain/execution.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { type Message, textOf } from '../domain/message.ts';
import type { ReasoningBlock } from '../domain/reasoning.ts';
import type { Tool, ToolCall } from '../domain/tool.ts';
import type { Usage } from '../domain/usage.ts';
import { isRecord } from './attempt-failure.ts';
import type { HttpClient } from './http-client.ts';
import { toOpenaiContent } from './openai-content.ts';
import { createOpenaiSdk } from './openai-sdk.ts';
import { OpenaiStreamAssembler } from './openai-stream.ts';
import { isStrictSchema } from './strict-schema.ts';
import { joinText, type ReadAnswer, readCount, readObject, readString, type WireClient } from './wire.ts';
import { createWireClient } from './wire-client.ts';

export function createOpenaiClient(settings: ProviderSettings, http: HttpClient): WireClient {
  return createWireClient(settings, {
    send: createOpenaiSdk(settings, http, '/chat/completions'),
    toRequest: toOpenaiRequest,
    streamed: { stream: true, stream_options: { include_usage: true } },
    assemble: () => new OpenaiStreamAssembler(),
    read: fromOpenaiBody,
  });
}

/** Parameters are sent as the definition states them; a model that refuses one says so itself. */
export function toOpenaiRequest(call: ProviderCall): JsonObject {
  const { parameters } = call;
  const optional: Record<string, Json | undefined> = {
    [tokenLimitName(call)]: parameters.maxOutputTokens,
    temperature: parameters.temperature,
    top_p: parameters.topP,
    stop: parameters.stopSequences && [...parameters.stopSequences],
    frequency_penalty: parameters.frequencyPenalty,
    presence_penalty: parameters.presencePenalty,
    seed: parameters.seed,
    reasoning_effort: parameters.reasoningEffort,
    response_format: toResponseFormat(call.output),
    tools: call.tools.length === 0 ? undefined : call.tools.map(toOpenaiTool),
    tool_choice: toOpenaiChoice(call.toolChoice),
  };
  return {
    model: call.route.model,
    messages: call.messages.map(toOpenaiMessage),
    ...(Object.fromEntries(
      Object.entries(optional).filter(([, value]) => value !== undefined),
    ) as JsonObject),
  };
}

function toOpenaiMessage({ role, content, toolCalls, toolCallId }: Message): JsonObject {
  if (role === 'tool') return { role, tool_call_id: toolCallId ?? '', content: textOf(content) };
  if (!toolCalls?.length) return { role, content: toOpenaiContent(content) };
  const calls = toolCalls.map(({ id, name, arguments: said }) => ({
    id,
    type: 'function',
    function: { name, arguments: said || '{}' },
  }));
  return { role, content: textOf(content) || null, tool_calls: calls };
}

function toOpenaiTool({ name, description, inputSchema }: Tool): JsonObject {
  const described = description === null ? {} : { description };
  return { type: 'function', function: { name, ...described, parameters: inputSchema } };
}

function toOpenaiChoice(choice: ProviderCall['toolChoice']): Json | undefined {
  return typeof choice === 'object' ? { type: 'function', function: { name: choice.name } } : choice;
}

/** OpenAI has replaced `max_tokens`, and reasoning models refuse it; many compatible servers know nothing else. */
function tokenLimitName({ route }: ProviderCall): 'max_completion_tokens' | 'max_tokens' {
  const reasoning = /^(gpt-5|o\d)/.test(route.model);
  return route.provider === 'openai' || reasoning ? 'max_completion_tokens' : 'max_tokens';
}

function toResponseFormat({ format, schema }: ProviderCall['output']): JsonObject | undefined {
  if (format !== 'json') return undefined;
  if (!schema) return { type: 'json_object' };
  return { type: 'json_schema', json_schema: { name: 'output', schema, strict: isStrictSchema(schema) } };
}

/** Proof of completeness: a first choice with a finish reason. */
export function fromOpenaiBody(body: unknown): ReturnType<ReadAnswer> {
  if (!isRecord(body)) return { unusable: 'the body is not an object' };
  const rawUsage = readObject(body.usage);
  const bill = {
    usage: toUsage(rawUsage),
    rawUsage,
    responseModel: readString(body.model),
    serviceTier: readString(body.service_tier),
  };
  const choice = Array.isArray(body.choices) ? body.choices[0] : undefined;
  if (!isRecord(choice)) return { unusable: 'it holds no choice', bill };
  const finish = readFinish(choice);
  if (finish === null)
    return { unusable: 'nothing proves that it is complete: there is no finish_reason', bill };
  // A filtered answer may come without any message.
  if (!isRecord(choice.message) && finish !== 'content_filter')
    return { unusable: 'it holds no message', bill };
  const message = readObject(choice.message) ?? {};
  const output = joinText(message.content);
  const refusal = readString(message.refusal);
  return {
    ...bill,
    output: output || (refusal ?? ''),
    toolCalls: readToolCalls(message),
    reasoning: readReasoning(message),
    finishReason: toFinishReason(finish, refusal !== null, message),
    systemFingerprint: readString(body.system_fingerprint),
  };
}

/** OpenAI itself shows none here; its compatible servers do, under one of two names. */
function readReasoning(message: JsonObject): ReasoningBlock[] {
  const text = readString(message.reasoning_content) ?? readString(message.reasoning);
  return text === null ? [] : [{ text }];
}

/** The legacy form, one call without an id, comes from some compatible servers still. */
function readToolCalls(message: JsonObject): ToolCall[] {
  const sent: unknown[] = Array.isArray(message.tool_calls) ? [...message.tool_calls] : [];
  if (isRecord(message.function_call)) sent.push({ function: message.function_call });
  return sent.filter(isRecord).flatMap((call) => {
    const said = isRecord(call.function) ? call.function : undefined;
    if (!said) return [];
    const id = readString(call.id) ?? '';
    return [{ id, name: readString(said.name) ?? '', arguments: readString(said.arguments) ?? '{}' }];
  });
}

/** Vision previews answered with `finish_details` instead. */
function readFinish(choice: Record<string, Json | undefined>): string | null {
  const details = choice.finish_details;
  return readString(choice.finish_reason) ?? (isRecord(details) ? readString(details.type) : null);
}

function toFinishReason(finish: string, refused: boolean, message: JsonObject): FinishReason {
  if (refused) return 'refusal';
  const calls = Array.isArray(message.tool_calls) && message.tool_calls.length > 0;
  switch (finish) {
    case 'stop':
      return calls ? 'tool_calls' : 'stop';
    case 'length':
    case 'max_tokens':
      return 'length';
    case 'tool_calls':
    case 'function_call':
      return 'tool_calls';
    case 'content_filter':
      return 'content_filter';
    default:
      return 'other';
  }
}

/** `prompt_tokens` includes cached reads and cache writes; `completion_tokens` includes reasoning. */
function toUsage(raw: JsonObject | null): Usage {
  const sent = raw ?? {};
  return {
    promptTokens: readCount(sent, 'prompt_tokens'),
    completionTokens: readCount(sent, 'completion_tokens'),
    cachedTokens: readCount(sent.prompt_tokens_details, 'cached_tokens'),
    cacheWriteTokens: readCount(sent.prompt_tokens_details, 'cache_write_tokens'),
    reasoningTokens: readCount(sent.completion_tokens_details, 'reasoning_tokens'),
  };
}
