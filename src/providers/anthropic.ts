/** Anthropic's Messages wire. The only file that imports `@anthropic-ai/sdk`. */
import Anthropic, { APIError } from '@anthropic-ai/sdk';
import type { ProviderCall, ProviderSettings } from '../application/provider.ts';
import type { FinishReason } from '../domain/execution.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { type Message, textOf } from '../domain/message.ts';
import type { ReasoningBlock } from '../domain/reasoning.ts';
import { parseArguments, type Tool, type ToolCall } from '../domain/tool.ts';
import { toAnthropicBlocks, toAnthropicContent, toThinking } from './anthropic-content.ts';
import { assembleAnthropicStream } from './anthropic-stream.ts';
import { toAnthropicUsage } from './anthropic-usage.ts';
import { isRecord } from './attempt-failure.ts';
import type { HttpClient } from './http-client.ts';
import { createPost } from './sdk-post.ts';
import { joinText, type ReadAnswer, readObject, readString, sdkTimeoutMs, type WireClient } from './wire.ts';
import { createWireClient } from './wire-client.ts';

/** The wire demands a limit. This one fits every model; a definition that needs more says so. */
const defaultMaxTokens = 4096;

export function createAnthropicClient(settings: ProviderSettings, http: HttpClient): WireClient {
  const client = new Anthropic({
    apiKey: settings.apiKey,
    // The SDK would take a token from the environment and send it along.
    authToken: null,
    baseURL: settings.baseUrl,
    maxRetries: 0,
    timeout: sdkTimeoutMs,
    logLevel: 'off',
  });
  return createWireClient(settings, {
    send: createPost(client, '/v1/messages', http, APIError.generate),
    toRequest: toAnthropicRequest,
    streamed: { stream: true },
    assemble: assembleAnthropicStream,
    read: fromAnthropicBody,
  });
}

/** Sampling parameters are sent although newer models refuse them: the refusal is theirs to make. */
export function toAnthropicRequest(call: ProviderCall): JsonObject {
  const { parameters } = call;
  const system = call.messages.filter(({ role }) => role === 'system').map(({ content }) => textOf(content));
  const optional: Record<string, Json | undefined> = {
    system: toSystem(system),
    temperature: parameters.temperature,
    top_p: parameters.topP,
    top_k: parameters.topK,
    stop_sequences: parameters.stopSequences && [...parameters.stopSequences],
    output_config: toOutputConfig(call),
    tools: call.tools.length === 0 ? undefined : call.tools.map(toAnthropicTool),
    tool_choice: toAnthropicChoice(call.toolChoice),
  };
  return {
    model: call.route.model,
    max_tokens: parameters.maxOutputTokens ?? defaultMaxTokens,
    messages: toAnthropicMessages(call.messages.filter(({ role }) => role !== 'system')),
    ...(Object.fromEntries(
      Object.entries(optional).filter(([, value]) => value !== undefined),
    ) as JsonObject),
  };
}

function toAnthropicChoice(choice: ProviderCall['toolChoice']): JsonObject | undefined {
  if (choice === undefined) return undefined;
  if (typeof choice === 'object') return { type: 'tool', name: choice.name };
  return { type: choice === 'required' ? 'any' : choice };
}

/** The results of one turn have to come together, in one message of the user. */
function toAnthropicMessages(messages: readonly Message[]): Json[] {
  const sent: { role: string; content: string | Json[] }[] = [];
  let results: Json[] | undefined;
  for (const { role, content, toolCalls = [], toolCallId, reasoning = [] } of messages) {
    if (role === 'tool') {
      if (!results) {
        results = [];
        sent.push({ role: 'user', content: results });
      }
      results.push({
        type: 'tool_result',
        tool_use_id: toolCallId ?? '',
        content: toAnthropicContent(content),
      });
      continue;
    }
    results = undefined;
    const before = toThinking(reasoning);
    const plain = before.length + toolCalls.length === 0;
    const blocks = () => [...before, ...toAnthropicBlocks(content), ...toolCalls.map(toToolUse)];
    sent.push({ role, content: plain ? toAnthropicContent(content) : blocks() });
  }
  return sent;
}

function toToolUse({ id, name, arguments: said }: ToolCall): JsonObject {
  return { type: 'tool_use', id, name, input: parseArguments(said) ?? {} };
}

function toAnthropicTool({ name, description, inputSchema }: Tool): JsonObject {
  return { name, ...(description === null ? {} : { description }), input_schema: inputSchema };
}

/** Several system messages stay several blocks: joining them would invent a separator. */
function toSystem(contents: readonly string[]): Json | undefined {
  if (contents.length === 0) return undefined;
  return contents.length === 1 ? contents[0] : contents.map((text) => ({ type: 'text', text }));
}

/** JSON without a schema has no place on this wire: there the prompt alone asks for it. */
function toOutputConfig({ output, parameters }: ProviderCall): JsonObject | undefined {
  const format = output.format === 'json' && output.schema;
  if (!format && parameters.reasoningEffort === undefined) return undefined;
  return {
    ...(format ? { format: { type: 'json_schema', schema: format } } : {}),
    ...(parameters.reasoningEffort === undefined ? {} : { effort: parameters.reasoningEffort }),
  };
}

/** Proof of completeness: a message with a stop reason. */
export function fromAnthropicBody(body: unknown): ReturnType<ReadAnswer> {
  if (!isRecord(body) || body.type !== 'message') return { unusable: 'it is not a message' };
  const stop = readString(body.stop_reason);
  // Until the reason to stop is known the counts are those of a beginning.
  if (stop === null) return { unusable: 'nothing proves that it is complete: there is no stop_reason' };
  const rawUsage = readObject(body.usage);
  const bill = {
    usage: toAnthropicUsage(rawUsage),
    rawUsage,
    responseModel: readString(body.model),
    serviceTier: readString(rawUsage?.service_tier),
  };
  if (!Array.isArray(body.content)) return { unusable: 'it holds no content', bill };
  return {
    ...bill,
    output: joinText(body.content) || (stop === 'refusal' ? explainRefusal(body.stop_details) : ''),
    toolCalls: readToolCalls(body.content),
    reasoning: readReasoning(body.content),
    finishReason: toFinishReason(stop),
    systemFingerprint: null,
  };
}

/** Tools that the provider runs itself (`server_tool_use`) are no business of the caller. */
function readToolCalls(content: Json[]): ToolCall[] {
  return content
    .filter((block) => isRecord(block) && block.type === 'tool_use')
    .map((block) => {
      const { id, name, input } = block as JsonObject;
      const said = typeof input === 'string' ? input : JSON.stringify(input ?? {});
      return { id: readString(id) ?? '', name: readString(name) ?? '', arguments: said };
    });
}

function readReasoning(content: Json[]): ReasoningBlock[] {
  return content.flatMap((block): ReasoningBlock[] => {
    if (!isRecord(block)) return [];
    if (block.type === 'redacted_thinking') return [{ text: '', encrypted: readString(block.data) ?? '' }];
    if (block.type !== 'thinking') return [];
    const signature = readString(block.signature);
    const text = readString(block.thinking) ?? '';
    if (signature === null) return text === '' ? [] : [{ text }];
    return [{ text, signature }];
  });
}

function explainRefusal(details: Json | undefined): string {
  return isRecord(details) ? (readString(details.explanation) ?? '') : '';
}

function toFinishReason(stop: string): FinishReason {
  switch (stop) {
    case 'end_turn':
    case 'stop_sequence':
      return 'stop';
    case 'max_tokens':
    case 'model_context_window_exceeded':
      return 'length';
    case 'tool_use':
      return 'tool_calls';
    case 'refusal':
      return 'refusal';
    default:
      return 'other';
  }
}
