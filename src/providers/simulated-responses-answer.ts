/** What the simulated provider answers over OpenAI's Responses wire: the same as over the others, in items and events. */
import type { Json, JsonObject } from '../domain/json.ts';
import { isRecord } from './attempt-failure.ts';
import { answerText, pieces, readTool, type SimulatedAnswer } from './simulated-answer.ts';
import { readObject } from './wire.ts';

export function answerResponses(request: JsonObject, number: number): SimulatedAnswer {
  const text = isRecord(request.text) ? request.text : {};
  const format = readObject(text.format) ?? {};
  const asked = format.type === 'json_object' || format.type === 'json_schema';
  const conversation = { model: request.model ?? '', messages: toMessages(request) };
  const tool = readTool(
    { ...conversation, tools: request.tools ?? [], tool_choice: request.tool_choice ?? null },
    (sent) => sent,
    'parameters',
  );
  const schema = asked ? (format.schema ?? {}) : undefined;
  const said = answerText(conversation, schema, request.max_output_tokens, tool);
  const status = said.cut ? 'incomplete' : 'completed';
  const head = {
    id: `resp_simulated_${number}`,
    object: 'response',
    created_at: 0,
    model: request.model ?? '',
    store: false,
  };
  const item = tool ? callItem(number, tool.name) : messageItem(number);
  const done = { ...item, status, ...(tool ? { arguments: said.text } : { content: [textPart(said.text)] }) };
  const body = {
    ...head,
    status,
    error: null,
    incomplete_details: said.cut ? { reason: 'max_output_tokens' } : null,
    output: [done],
    usage: {
      input_tokens: said.input,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: said.output,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: said.input + said.output,
    },
  };
  const draft = { ...head, status: 'in_progress', error: null, output: [], usage: null };
  return {
    body,
    events: numbered([
      ['response.created', { response: draft }],
      ['response.in_progress', { response: draft }],
      ['response.output_item.added', { output_index: 0, item: { ...item, status: 'in_progress' } }],
      ...(tool ? callEvents(item.id, said.text) : textEvents(item.id, said.text)),
      ['response.output_item.done', { output_index: 0, item: done }],
      [`response.${status}`, { response: body }],
    ]),
  };
}

type Event = readonly [type: string, members: JsonObject];

function numbered(events: readonly Event[]): SimulatedAnswer['events'] {
  return events.map(([type, members], sequence_number) => ({
    event: type,
    data: { type, sequence_number, ...members },
  }));
}

function textEvents(item_id: string, text: string): Event[] {
  const at = { item_id, output_index: 0, content_index: 0 };
  return [
    ['response.content_part.added', { ...at, part: textPart('') }],
    ...pieces(text).map((delta): Event => ['response.output_text.delta', { ...at, delta }]),
    ['response.output_text.done', { ...at, text }],
    ['response.content_part.done', { ...at, part: textPart(text) }],
  ];
}

function callEvents(item_id: string, said: string): Event[] {
  const at = { item_id, output_index: 0 };
  return [
    ...pieces(said).map((delta): Event => ['response.function_call_arguments.delta', { ...at, delta }]),
    ['response.function_call_arguments.done', { ...at, arguments: said }],
  ];
}

function messageItem(number: number) {
  return { type: 'message', id: `msg_simulated_${number}`, role: 'assistant', content: [] };
}

function callItem(number: number, name: string) {
  return {
    type: 'function_call',
    id: `fc_simulated_${number}`,
    call_id: `call_simulated_${number}`,
    name,
    arguments: '',
  };
}

function textPart(text: string): JsonObject {
  return { type: 'output_text', text, annotations: [] };
}

/** Items as the messages that they would be on the other wires; parts of text are called otherwise here. */
function toMessages({ instructions, input }: JsonObject): Json[] {
  const items: readonly Json[] = Array.isArray(input) ? input : [{ role: 'user', content: input ?? '' }];
  const messages = items.map((item) => {
    const { type, role, content, output } = readObject(item) ?? {};
    if (type === 'function_call_output') return { role: 'tool', content: toParts(output) };
    return { role: role ?? 'assistant', content: toParts(content) };
  });
  return instructions === undefined ? messages : [{ role: 'system', content: instructions }, ...messages];
}

function toParts(content: Json | undefined): Json {
  if (!Array.isArray(content)) return content ?? '';
  return content.map((part) =>
    isRecord(part) && typeof part.text === 'string' ? { type: 'text', text: part.text } : part,
  );
}
