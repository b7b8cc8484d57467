/**
 * The chunks of a Chat Completions stream, put together into the body that a call without streaming would have got.
 * Choices but the first are left out: no more is ever asked for.
 */
import type { StreamDelta } from '../application/provider.ts';
import { GrowingText } from '../domain/growing-text.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { isRecord } from './attempt-failure.ts';
import type { SseEvent } from './sse-parser.ts';
import { parseEvent, type StreamAssembler, StreamFault } from './stream.ts';
import { joinText, readObject, readString } from './wire.ts';

interface ToolCall {
  id: string;
  name: string;
  arguments: string;
}

/** Complete means `[DONE]`, and before it a finish reason or, from servers that never send one, the final usage. */
export function assembleOpenaiStream(): StreamAssembler {
  const head: Record<string, Json> = {};
  const content = new GrowingText();
  const refused = new GrowingText();
  const thought = new GrowingText();
  const calls = new Map<Json, ToolCall>();
  let finish: string | null = null;
  let usage: JsonObject | null = null;
  let ended = false;

  function readChunk(chunk: Record<string, Json | undefined>): StreamDelta[] | undefined {
    // Routers name the model only after some chunks with an empty one.
    for (const name of ['id', 'model', 'system_fingerprint', 'service_tier']) {
      const value = readString(chunk[name]);
      if (value !== null) head[name] = value;
    }
    const sentUsage = readObject(chunk.usage);
    if (sentUsage) usage = sentUsage;
    const choice = firstChoice(chunk.choices);
    const sentFinish = readString(choice.finish_reason);
    if (sentFinish !== null) finish = sentFinish;
    const deltas = readDelta(readObject(choice.delta) ?? {});
    return deltas.length > 0 || sentFinish !== null || sentUsage ? deltas : undefined;
  }

  function readDelta(delta: JsonObject): StreamDelta[] {
    const deltas: StreamDelta[] = [];
    const text = joinText(delta.content);
    const refusal = readString(delta.refusal) ?? '';
    const reasoning = readString(delta.reasoning_content) ?? readString(delta.reasoning) ?? '';
    thought.append(reasoning);
    content.append(text);
    refused.append(refusal);
    if (reasoning) deltas.push({ type: 'reasoning', text: reasoning });
    if (text) deltas.push({ type: 'text', text });
    if (refusal) deltas.push({ type: 'refusal', text: refusal });
    const sent = Array.isArray(delta.tool_calls) ? delta.tool_calls : [];
    for (const [position, call] of sent.entries())
      if (isRecord(call)) deltas.push(...readCall(call, position));
    if (isRecord(delta.function_call)) deltas.push(...readCall({ function: delta.function_call }, 0));
    return deltas;
  }

  /** Indexes may start anywhere or be absent, ids and names be repeated, arguments be null. */
  function readCall(sent: Record<string, Json | undefined>, position: number): StreamDelta[] {
    const key = sent.index ?? sent.id ?? position;
    const known = calls.get(key);
    const call = known ?? { id: '', name: '', arguments: '' };
    calls.set(key, call);
    const named = isRecord(sent.function) ? sent.function : {};
    const more = readString(named.arguments) ?? '';
    call.id ||= readString(sent.id) ?? '';
    call.name ||= readString(named.name) ?? '';
    call.arguments += more;
    if (known && more === '') return [];
    const index = [...calls.keys()].indexOf(key);
    return [{ type: 'tool_call', index, id: call.id, name: call.name, arguments: more }];
  }

  return {
    get ended() {
      return ended;
    },
    push({ event, data }: SseEvent) {
      if (data.trim() === '[DONE]') {
        ended = true;
        return [];
      }
      const chunk = parseEvent(data);
      if (isRecord(chunk.error) || event === 'error') throw new StreamFault('it reports an error', chunk);
      return readChunk(chunk);
    },
    body() {
      const toolCalls = [...calls.values()].map(({ id, name, arguments: args }) => ({
        id,
        type: 'function',
        function: { name, arguments: args },
      }));
      return {
        ...head,
        choices: [
          {
            message: {
              content: String(content),
              refusal: String(refused) || null,
              reasoning_content: String(thought),
              tool_calls: toolCalls,
            },
            finish_reason: finish ?? unstated(toolCalls.length > 0, usage),
          },
        ],
        usage,
      };
    },
  };
}

function firstChoice(choices: Json | undefined): Record<string, Json | undefined> {
  const all: unknown[] = Array.isArray(choices) ? choices : [];
  return all.filter(isRecord).find(({ index }) => index === 0 || index === undefined) ?? {};
}

function unstated(calls: boolean, usage: JsonObject | null): string | null {
  if (!usage) return null;
  return calls ? 'tool_calls' : 'unstated';
}
