/** The events of a Messages stream, put together into the body that a call without streaming would have got. */
import type { StreamDelta } from '../application/provider.ts';
import { GrowingText } from '../domain/growing-text.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { toAnthropicUsage } from './anthropic-usage.ts';
import { isRecord } from './attempt-failure.ts';
import type { SseEvent } from './sse-parser.ts';
import { parseEvent, type StreamAssembler, StreamFault } from './stream.ts';
import { readObject, readString } from './wire.ts';

type Members = Record<string, Json | undefined>;

interface Block {
  readonly start: JsonObject;
  /** What it says, or thinks. */
  readonly text: GrowingText;
  signature: string;
  /** Arguments of a call, as they were written; empty when there were none. */
  input: string;
  /** Position among the caller's tool calls; null for any other block, the provider's own tools among them. */
  readonly call: number | null;
}

/** Complete means `message_stop`. What follows it, a second message after a tool that the provider ran, is not read. */
export function assembleAnthropicStream(): StreamAssembler {
  const blocks = new Map<Json, Block>();
  const stop: Record<string, Json> = {};
  let head: JsonObject | null = null;
  let usage: JsonObject = {};
  let calls = 0;
  /** The explanation of a refusal has been handed on. */
  let told = false;

  const readers: Record<string, (event: Members) => StreamDelta[]> = {
    message_start(event) {
      // Some proxies send it twice.
      if (head) return [];
      head = readObject(event.message) ?? {};
      addUsage(head.usage);
      return [];
    },
    content_block_start(event) {
      const start = readObject(event.content_block) ?? {};
      const isCall = start.type === 'tool_use';
      const isThought = start.type === 'thinking';
      const block: Block = {
        start,
        text: new GrowingText(),
        signature: readString(start.signature) ?? '',
        input: isCall ? whole(start.input) : '',
        call: isCall ? calls++ : null,
      };
      blocks.set(event.index ?? 0, block);
      const text = readString(isThought ? start.thinking : start.text) ?? '';
      block.text.append(text);
      if (block.call !== null) return [toolCall(block, block.call, block.input)];
      return text === '' ? [] : [{ type: isThought ? 'reasoning' : 'text', text }];
    },
    content_block_delta(event) {
      const block = blocks.get(event.index ?? 0);
      const delta = readObject(event.delta) ?? {};
      switch (delta.type) {
        case 'text_delta': {
          const text = readString(delta.text) ?? '';
          block?.text.append(text);
          return text === '' || !block ? [] : [{ type: 'text', text }];
        }
        case 'thinking_delta': {
          const text = readString(delta.thinking) ?? '';
          block?.text.append(text);
          return text === '' || !block ? [] : [{ type: 'reasoning', text }];
        }
        case 'signature_delta':
          if (block) block.signature += readString(delta.signature) ?? '';
          return [];
        case 'input_json_delta': {
          const more = readString(delta.partial_json) ?? '';
          if (block?.call == null || more === '') return [];
          block.input += more;
          return [toolCall(block, block.call, more)];
        }
        default:
          return [];
      }
    },
    content_block_stop(event) {
      const { start, signature } = blocks.get(event.index ?? 0) ?? {};
      if (start?.type === 'thinking') return [{ type: 'reasoning_end', ...(signature ? { signature } : {}) }];
      if (start?.type !== 'redacted_thinking') return [];
      return [{ type: 'reasoning_end', encrypted: readString(start.data) ?? '' }];
    },
    message_delta(event) {
      for (const [name, value] of Object.entries(readObject(event.delta) ?? {})) stop[name] = value;
      addUsage(event.usage);
      // Of a refusal that says nothing the explanation is the answer.
      const said = [...blocks.values()].some(({ start, text }) => start.type === 'text' && !text.isEmpty());
      const explained = isRecord(stop.stop_details) ? readString(stop.stop_details.explanation) : null;
      if (said || explained === null || stop.stop_reason !== 'refusal' || told) return [];
      told = true;
      return [{ type: 'refusal', text: explained }];
    },
    message_stop() {
      assembler.ended = true;
      return [];
    },
  };

  /** Counts are cumulative: later ones replace, and one that is left out stays as it was. */
  function addUsage(sent: Json | undefined): void {
    const stated = Object.entries(readObject(sent) ?? {}).filter(([, value]) => value !== null);
    usage = { ...usage, ...Object.fromEntries(stated) };
  }

  // Not an accessor: V8 keeps the members of an object that has one in a table.
  const assembler = {
    ended: false,
    push({ event, data }: SseEvent) {
      const members = parseEvent(data);
      const type = readString(members.type) ?? event;
      if (type === 'error' || isRecord(members.error)) throw new StreamFault('it reports an error', members);
      const read = Object.hasOwn(readers, type) ? readers[type] : undefined;
      return read?.(members);
    },
    usage: () => (Object.keys(usage).length > 0 ? toAnthropicUsage(usage) : null),
    body: () => ({
      ...head,
      type: 'message',
      content: [...blocks.values()].map(({ start, text, signature, input }) => {
        if (start.type === 'text') return { ...start, text: String(text) };
        if (start.type === 'thinking') return { ...start, thinking: String(text), signature };
        return input === '' ? start : { ...start, input };
      }),
      stop_reason: stop.stop_reason ?? null,
      stop_details: stop.stop_details ?? null,
      usage: Object.keys(usage).length > 0 ? usage : null,
    }),
  };
  return assembler;
}

/** A call that the provider's own code makes comes with its arguments at once; any other begins with `{}`. */
function whole(input: Json | undefined): string {
  return isRecord(input) && Object.keys(input).length > 0 ? JSON.stringify(input) : '';
}

function toolCall({ start }: Block, index: number, more: string): StreamDelta {
  const { id, name } = start;
  return {
    type: 'tool_call',
    index,
    id: readString(id) ?? '',
    name: readString(name) ?? '',
    arguments: more,
  };
}
