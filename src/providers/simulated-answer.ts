/**
 * What the simulated provider answers: derived from the request alone, so the same request gets the same output. Text
 * begins with `[simulated <model>]`; JSON has the shape that was asked for. Tokens are estimated as a quarter of the
 * UTF-16 length, rounded up: near enough for a dashboard, and nobody is billed.
 */
import { createHash } from 'node:crypto';
import type { Json, JsonObject } from '../domain/json.ts';
import { isRecord } from './attempt-failure.ts';
import { joinText, readObject } from './wire.ts';

export interface SimulatedAnswer {
  readonly body: JsonObject;
  /** The same answer as server-sent events. */
  readonly events: readonly { readonly event?: string; readonly data: JsonObject | string }[];
}

export function answerOpenai(request: JsonObject, number: number): SimulatedAnswer {
  const format = isRecord(request.response_format) ? request.response_format : {};
  const schema = isRecord(format.json_schema) ? format.json_schema.schema : undefined;
  const asked = format.type === 'json_object' || format.type === 'json_schema';
  const limit = request.max_completion_tokens ?? request.max_tokens;
  const tool = readTool(request, (sent) => readObject(sent.function) ?? {}, 'parameters');
  const { text, cut, input, output } = answerText(request, asked ? (schema ?? {}) : undefined, limit, tool);
  const usage = {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0 },
  };
  const finish = cut ? 'length' : tool ? 'tool_calls' : 'stop';
  const call = tool && { id: `call_simulated_${number}`, type: 'function', function: tool };
  const head = {
    id: `chatcmpl-simulated-${number}`,
    created: 0,
    model: request.model ?? '',
    system_fingerprint: 'simulated',
  };
  const chunk = (choices: Json[], extra: JsonObject = {}) => ({
    data: { ...head, object: 'chat.completion.chunk', choices, ...extra },
  });
  const wantsUsage = isRecord(request.stream_options) && request.stream_options.include_usage === true;
  return {
    body: {
      ...head,
      object: 'chat.completion',
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: tool ? null : text,
            refusal: null,
            ...(call ? { tool_calls: [call] } : {}),
          },
          finish_reason: finish,
        },
      ],
      usage,
    },
    events: [
      chunk([{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }]),
      ...(call ? [chunk([toolDelta({ ...call, function: { ...call.function, arguments: '' } })])] : []),
      ...pieces(text).map((piece) =>
        chunk([
          call
            ? toolDelta({ function: { arguments: piece } })
            : { index: 0, delta: { content: piece }, finish_reason: null },
        ]),
      ),
      chunk([{ index: 0, delta: {}, finish_reason: finish }]),
      ...(wantsUsage ? [chunk([], { usage })] : []),
      { data: '[DONE]' },
    ],
  };
}

export function answerAnthropic(request: JsonObject, number: number): SimulatedAnswer {
  const config = isRecord(request.output_config) ? request.output_config : {};
  const schema = isRecord(config.format) ? config.format.schema : undefined;
  const tool = readTool(request, (sent) => sent, 'input_schema');
  const { text, cut, input, output } = answerText(request, schema, request.max_tokens, tool);
  const usage = { input_tokens: input, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
  const stop = cut ? 'max_tokens' : tool ? 'tool_use' : 'end_turn';
  const use = tool && { type: 'tool_use', id: `toolu_simulated_${number}`, name: tool.name };
  const head = {
    id: `msg_simulated_${number}`,
    type: 'message',
    role: 'assistant',
    model: request.model ?? '',
  };
  const event = (type: string, members: JsonObject) => ({ event: type, data: { type, ...members } });
  return {
    body: {
      ...head,
      content: [use ? { ...use, input: cut ? {} : (JSON.parse(text) as Json) } : { type: 'text', text }],
      stop_reason: stop,
      stop_sequence: null,
      usage: { ...usage, output_tokens: output, service_tier: 'standard' },
    },
    events: [
      event('message_start', {
        message: {
          ...head,
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: { ...usage, output_tokens: 1 },
        },
      }),
      event('content_block_start', {
        index: 0,
        content_block: use ? { ...use, input: {} } : { type: 'text', text: '' },
      }),
      ...pieces(text).map((piece) =>
        event('content_block_delta', {
          index: 0,
          delta: use
            ? { type: 'input_json_delta', partial_json: piece }
            : { type: 'text_delta', text: piece },
        }),
      ),
      event('content_block_stop', { index: 0 }),
      event('message_delta', {
        delta: { stop_reason: stop, stop_sequence: null },
        usage: { ...usage, output_tokens: output },
      }),
      event('message_stop', {}),
    ],
  };
}

interface SimulatedCall extends JsonObject {
  readonly name: string;
  readonly arguments: string;
}

/** With tools at hand the first one is called, until the conversation ends in a result. */
export function readTool(
  request: JsonObject,
  describe: (sent: JsonObject) => JsonObject,
  schemaName: string,
): SimulatedCall | undefined {
  const tools = (Array.isArray(request.tools) ? request.tools : []).map((one) => readObject(one) ?? {});
  const chosen = readChoice(request.tool_choice);
  const first = tools.find((tool) => !chosen.name || describe(tool).name === chosen.name);
  if (!first || chosen.none) return undefined;
  const last = readObject((Array.isArray(request.messages) ? request.messages : []).at(-1));
  const blocks: unknown[] = Array.isArray(last?.content) ? last.content : [];
  const answered = blocks.some((block) => isRecord(block) && block.type === 'tool_result');
  if (last?.role === 'tool' || answered) return undefined;
  const tool = describe(first);
  return { name: String(tool.name), arguments: JSON.stringify(exampleOf(tool[schemaName] ?? {})) };
}

/** Of any wire. */
function readChoice(choice: Json | undefined): { readonly none: boolean; readonly name: Json | undefined } {
  const said = isRecord(choice) ? choice : {};
  const named = isRecord(said.function) ? said.function : said;
  return { none: choice === 'none' || said.type === 'none', name: named.name as Json | undefined };
}

function toolDelta(call: JsonObject): JsonObject {
  return { index: 0, delta: { tool_calls: [{ index: 0, ...call }] }, finish_reason: null };
}

/** @param schema undefined asks for text, any object for JSON of that shape @param tool answers with its arguments */
export function answerText(
  request: JsonObject,
  schema: Json | undefined,
  limit: Json | undefined,
  tool: SimulatedCall | undefined,
) {
  const messages = (Array.isArray(request.messages) ? request.messages : []).map(
    (one) => readObject(one) ?? {},
  );
  const contents = [request.system, ...messages.map(({ content }) => content)].map(joinText);
  const last = joinText(messages.findLast(({ role }) => role === 'user')?.content);
  const said =
    schema === undefined
      ? `[simulated ${String(request.model)}] ${summarize(last)}`
      : JSON.stringify(exampleOf(schema));
  const whole = tool?.arguments ?? said;
  const budget = typeof limit === 'number' ? limit * 4 : Number.POSITIVE_INFINITY;
  const text = whole.length > budget ? whole.slice(0, budget) : whole;
  return {
    text,
    cut: text !== whole,
    input: estimateTokens(contents.join('')),
    output: estimateTokens(text),
  };
}

function summarize(text: string): string {
  if (text === '') return 'No model was called. There was no user message.';
  const line = text.replace(/\s+/g, ' ').trim();
  const quoted = line.length > 80 ? `${line.slice(0, 79)}…` : line;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 8);
  return `No model was called. The last user message has ${text.length} characters (${hash}): ${quoted}`;
}

function estimateTokens(text: string): number {
  return Math.ceil(text.length / 4);
}

export function pieces(text: string): string[] {
  return text.match(/[\s\S]{1,16}/gu) ?? [];
}

/** The smallest value that the types of a JSON schema allow; every property is filled, so that templates see them all. */
export function exampleOf(schema: Json, depth = 0): Json {
  if (!isRecord(schema) || depth > 16) return 'simulated';
  if (schema.const !== undefined) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0] ?? null;
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(alternatives)) return exampleOf(alternatives[0] ?? {}, depth + 1);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case 'string':
      return exampleString(schema);
    case 'integer':
    case 'number':
      return typeof schema.minimum === 'number' ? schema.minimum : 0;
    case 'boolean':
      return false;
    case 'null':
      return null;
    case 'array': {
      const length = typeof schema.minItems === 'number' ? Math.min(schema.minItems, 100) : 1;
      return Array.from({ length }, () => exampleOf(schema.items ?? {}, depth + 1));
    }
    default: {
      const properties = isRecord(schema.properties) ? schema.properties : undefined;
      if (!properties) return type === 'object' ? {} : { simulated: true };
      return Object.fromEntries(
        Object.entries(properties).map(([name, of]) => [name, exampleOf(of ?? {}, depth + 1)]),
      );
    }
  }
}

function exampleString(schema: Record<string, Json | undefined>): string {
  if (schema.format === 'date') return '2000-01-01';
  if (schema.format === 'date-time') return '2000-01-01T00:00:00Z';
  const shortest = typeof schema.minLength === 'number' ? Math.min(schema.minLength, 10_000) : 0;
  const longest = typeof schema.maxLength === 'number' ? schema.maxLength : Number.POSITIVE_INFINITY;
  return 'simulated'.padEnd(shortest, '.').slice(0, longest);
}
