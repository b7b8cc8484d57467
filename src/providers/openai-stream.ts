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

/**
 * Complete means `[DONE]`, and before it a finish reason or, from servers that never send one, the final usage. An object
 * with methods: each stream has one.
 */
export class OpenaiStreamAssembler implements StreamAssembler {
  ended = false;
  readonly #head: Record<string, Json> = {};
  readonly #content = new GrowingText();
  readonly #refused = new GrowingText();
  readonly #thought = new GrowingText();
  #calls: Map<Json, ToolCall> | undefined;
  #finish: string | null = null;
  #usage: JsonObject | null = null;

  push({ event, data }: SseEvent): readonly StreamDelta[] | undefined {
    if (data.trim() === '[DONE]') {
      this.ended = true;
      return [];
    }
    const chunk = parseEvent(data);
    if (isRecord(chunk.error) || event === 'error') throw new StreamFault('it reports an error', chunk);
    return this.#readChunk(chunk);
  }

  #readChunk(chunk: Record<string, Json | undefined>): StreamDelta[] | undefined {
    // Routers name the model only after some chunks with an empty one.
    for (const name of ['id', 'model', 'system_fingerprint', 'service_tier']) {
      const value = readString(chunk[name]);
      if (value !== null) this.#head[name] = value;
    }
    const sentUsage = readObject(chunk.usage);
    if (sentUsage) this.#usage = sentUsage;
    const choice = firstChoice(chunk.choices);
    const sentFinish = readString(choice.finish_reason);
    if (sentFinish !== null) this.#finish = sentFinish;
    const deltas = this.#readDelta(readObject(choice.delta) ?? {});
    return deltas.length > 0 || sentFinish !== null || sentUsage ? deltas : undefined;
  }

  #readDelta(delta: JsonObject): StreamDelta[] {
    const deltas: StreamDelta[] = [];
    const text = joinText(delta.content);
    const refusal = readString(delta.refusal) ?? '';
    const reasoning = readString(delta.reasoning_content) ?? readString(delta.reasoning) ?? '';
    this.#thought.append(reasoning);
    this.#content.append(text);
    this.#refused.append(refusal);
    if (reasoning) deltas.push({ type: 'reasoning', text: reasoning });
    if (text) deltas.push({ type: 'text', text });
    if (refusal) deltas.push({ type: 'refusal', text: refusal });
    const sent = Array.isArray(delta.tool_calls) ? delta.tool_calls : [];
    for (const [position, call] of sent.entries())
      if (isRecord(call)) deltas.push(...this.#readCall(call, position));
    if (isRecord(delta.function_call)) deltas.push(...this.#readCall({ function: delta.function_call }, 0));
    return deltas;
  }

  /** Indexes may start anywhere or be absent, ids and names be repeated, arguments be null. */
  #readCall(sent: Record<string, Json | undefined>, position: number): StreamDelta[] {
    this.#calls ??= new Map();
    const calls = this.#calls;
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

  body(): JsonObject {
    const toolCalls = [...(this.#calls?.values() ?? [])].map(({ id, name, arguments: args }) => ({
      id,
      type: 'function',
      function: { name, arguments: args },
    }));
    return {
      ...this.#head,
      choices: [
        {
          message: {
            content: String(this.#content),
            refusal: String(this.#refused) || null,
            reasoning_content: String(this.#thought),
            tool_calls: toolCalls,
          },
          finish_reason: this.#finish ?? unstated(toolCalls.length > 0, this.#usage),
        },
      ],
      usage: this.#usage,
    };
  }
}

function firstChoice(choices: Json | undefined): Record<string, Json | undefined> {
  const all: unknown[] = Array.isArray(choices) ? choices : [];
  return all.filter(isRecord).find(({ index }) => index === 0 || index === undefined) ?? {};
}

function unstated(calls: boolean, usage: JsonObject | null): string | null {
  if (!usage) return null;
  return calls ? 'tool_calls' : 'unstated';
}
