/**
 * The events of a Responses stream, put together into the body that a call without streaming would have got. Every text
 * comes at least twice here, in pieces and whole: what the pieces left out is handed on when the whole is told.
 */
import type { StreamDelta } from '../application/provider.ts';
import { GrowingText } from '../domain/growing-text.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { isRecord } from './attempt-failure.ts';
import type { SseEvent } from './sse-parser.ts';
import { parseEvent, type StreamAssembler, StreamFault } from './stream.ts';
import { readObject, readString } from './wire.ts';

type Members = Record<string, Json | undefined>;

/** Texts inside items, and what they are called where they grow and where they stand whole. */
const textKinds = {
  output_text: { delta: 'text', member: 'text' },
  refusal: { delta: 'refusal', member: 'refusal' },
  reasoning_text: { delta: 'reasoning', member: 'text' },
  summary_text: { delta: 'reasoning', member: 'text' },
} as const;
type TextKind = keyof typeof textKinds;

interface Item {
  /** Position in the output, and the id that the item came with: some servers leave out one, some change the other. */
  readonly index: Json | undefined;
  readonly id: Json | undefined;
  /** As it was told last. */
  latest: JsonObject;
  /** By kind and position. */
  readonly texts: Map<string, { readonly kind: TextKind; readonly text: GrowingText }>;
  /** Position among the caller's tool calls; null for any other item. */
  call: number | null;
  /** Arguments of a call, as they were written. */
  said: string;
  /** Of reasoning, as it was handed on: the provider encrypts it anew for each event. */
  encrypted: string | null;
}

/** Complete means `response.completed` or `response.incomplete`. */
export function assembleResponsesStream(): StreamAssembler {
  const items: Item[] = [];
  let response: JsonObject = {};
  let calls = 0;

  /** Ids change between the events of one item on some proxies: the position counts first. */
  function find(event: Members): Item | undefined {
    const { output_index: index } = event;
    if (typeof index === 'number') return items.find((item) => item.index === index);
    const id = event.item_id ?? readObject(event.item)?.id;
    return items.find((item) => id !== undefined && item.id === id) ?? items.at(-1);
  }

  function open(event: Members, latest: JsonObject): Item {
    const { id } = latest;
    const item = {
      index: event.output_index,
      id,
      latest,
      texts: new Map(),
      call: null,
      said: '',
      encrypted: null,
    };
    items.push(item);
    return item;
  }

  function addText(event: Members, kind: TextKind, more: string): StreamDelta[] {
    const type = kind === 'output_text' || kind === 'refusal' ? 'message' : 'reasoning';
    const item = find(event) ?? open(event, { type });
    const key = `${kind} ${event.summary_index ?? event.content_index ?? 0}`;
    const known = item.texts.get(key)?.text ?? new GrowingText();
    // Paragraphs keep apart what the parts of reasoning kept apart.
    const follows =
      type === 'reasoning' && known.isEmpty() && [...item.texts.values()].some(({ text }) => !text.isEmpty());
    known.append(more);
    item.texts.set(key, { kind, text: known });
    return more === '' ? [] : [{ type: textKinds[kind].delta, text: follows ? `\n\n${more}` : more }];
  }

  function completeText(event: Members, kind: TextKind, whole: Json | undefined): StreamDelta[] {
    const key = `${kind} ${event.summary_index ?? event.content_index ?? 0}`;
    return addText(event, kind, missing(String(find(event)?.texts.get(key)?.text ?? ''), whole));
  }

  /** A part is whole when it is done, and may be so when it opens. */
  function completePart(event: Members, part: Json | undefined): StreamDelta[] {
    const { type, ...members } = readObject(part) ?? {};
    if (typeof type !== 'string' || !Object.hasOwn(textKinds, type)) return [];
    const kind = type as TextKind;
    return completeText(event, kind, members[textKinds[kind].member]);
  }

  function addArguments(item: Item, more: string): StreamDelta[] {
    const isNew = item.call === null;
    item.call ??= calls++;
    item.said += more;
    if (!isNew && more === '') return [];
    const { call_id: id, name } = item.latest;
    const named = { id: readString(id) ?? '', name: readString(name) ?? '' };
    return [{ type: 'tool_call', index: item.call, ...named, arguments: more }];
  }

  /** @param known the item, when an earlier event told of it */
  function takeItem(event: Members, known: Item | undefined): StreamDelta[] {
    const sent = readObject(event.item);
    if (!sent) return [];
    const item = known && known.latest.type === sent.type ? known : open(event, sent);
    item.latest = sent;
    if (isCall(sent)) return addArguments(item, missing(item.said, sent.arguments ?? sent.input));
    const at = { output_index: item.index, item_id: item.id };
    return [
      ...listOf(sent.content).flatMap((part, content_index) => completePart({ ...at, content_index }, part)),
      ...listOf(sent.summary).flatMap((part, summary_index) => completePart({ ...at, summary_index }, part)),
    ];
  }

  function endReasoning(event: Members): StreamDelta[] {
    const item = find(event);
    if (item?.latest.type !== 'reasoning') return [];
    const [encrypted, id] = [readString(item.latest.encrypted_content), readString(item.latest.id)];
    item.encrypted = encrypted;
    if (encrypted === null) return [{ type: 'reasoning_end' }];
    return [{ type: 'reasoning_end', encrypted, ...(id === null ? {} : { id }) }];
  }

  /** Some servers name the model only at the beginning. */
  function takeHead(event: Members): void {
    response = { ...response, ...readObject(event.response) };
  }

  /** Some servers leave items out of the whole; their ids may be others than before. */
  function takeResponse(event: Members): StreamDelta[] {
    takeHead(event);
    assembler.ended = true;
    return listOf(response.output).flatMap((sent, output_index) => {
      const { id, type } = readObject(sent) ?? {};
      const known =
        items.find((item) => item.index === output_index && item.latest.type === type) ??
        items.find((item) => item.id !== undefined && item.id === id);
      const isNew = !known && output_index >= items.length;
      return known || isNew ? takeItem({ output_index, item: sent }, known) : [];
    });
  }

  const readers: Record<string, (event: Members) => StreamDelta[]> = {
    'response.output_item.added': (event) =>
      takeItem(event, typeof event.output_index === 'number' ? find(event) : undefined),
    'response.output_item.done': (event) => [...takeItem(event, find(event)), ...endReasoning(event)],
    'response.content_part.added': (event) => completePart(event, event.part),
    'response.content_part.done': (event) => completePart(event, event.part),
    'response.output_text.delta': (event) => addText(event, 'output_text', textOf(event.delta)),
    'response.output_text.done': (event) => completeText(event, 'output_text', event.text),
    'response.refusal.delta': (event) => addText(event, 'refusal', textOf(event.delta)),
    'response.refusal.done': (event) => completeText(event, 'refusal', event.refusal),
    'response.reasoning_text.delta': (event) => addText(event, 'reasoning_text', textOf(event.delta)),
    'response.reasoning_text.done': (event) => completeText(event, 'reasoning_text', event.text),
    'response.reasoning_summary_part.done': (event) => completePart(event, event.part),
    'response.reasoning_summary_text.delta': (event) => addText(event, 'summary_text', textOf(event.delta)),
    'response.reasoning_summary_text.done': (event) => completeText(event, 'summary_text', event.text),
    'response.function_call_arguments.delta': (event) => addToCall(event, textOf(event.delta)),
    'response.function_call_arguments.done': (event) => completeCall(event, event.arguments),
    'response.custom_tool_call_input.delta': (event) => addToCall(event, textOf(event.delta)),
    'response.custom_tool_call_input.done': (event) => completeCall(event, event.input),
    'response.completed': takeResponse,
    'response.incomplete': takeResponse,
  };

  /** A call that was never announced has no name, and is nobody's. */
  function addToCall(event: Members, more: string): StreamDelta[] {
    const item = find(event);
    return item && isCall(item.latest) ? addArguments(item, more) : [];
  }

  function completeCall(event: Members, whole: Json | undefined): StreamDelta[] {
    return addToCall(event, missing(find(event)?.said ?? '', whole));
  }

  // Not an accessor: V8 keeps the members of an object that has one in a table.
  const assembler = {
    ended: false,
    push({ event, data }: SseEvent) {
      const members = parseEvent(data);
      const type = readString(members.type) ?? event;
      if (type === 'response.failed') {
        takeHead(members);
        throw new StreamFault('it reports an error', readObject(members.response) ?? members);
      }
      if (type === 'error' || isRecord(members.error)) throw new StreamFault('it reports an error', members);
      if (Object.hasOwn(readers, type)) return readers[type]?.(members);
      // The provider's own tools at work are progress; that the answer is still to come, is none.
      if (!waiting.has(type)) return type.startsWith('response.') ? [] : undefined;
      takeHead(members);
      return undefined;
    },
    body: () => ({ ...response, output: items.map(toItem) }),
  };
  return assembler;
}

const waiting: ReadonlySet<string> = new Set(['response.created', 'response.queued', 'response.in_progress']);

function isCall({ type }: JsonObject): boolean {
  return type === 'function_call' || type === 'custom_tool_call';
}

function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

function textOf(value: Json | undefined): string {
  return readString(value) ?? '';
}

/** What of a whole has not been said. Where it says something else, what was handed on stays as it is. */
function missing(said: string, whole: Json | undefined): string {
  const text = textOf(whole);
  return text.startsWith(said) ? text.slice(said.length) : '';
}

function toItem({ latest: sent, texts, said, encrypted }: Item): JsonObject {
  const latest = encrypted === null ? sent : { ...sent, encrypted_content: encrypted };
  if (isCall(latest)) {
    return { ...latest, [latest.type === 'custom_tool_call' ? 'input' : 'arguments']: said };
  }
  if (texts.size === 0) return latest;
  const parts = [...texts.values()].map(({ kind, text }) => ({
    type: kind,
    [textKinds[kind].member]: String(text),
  }));
  const summary = parts.filter(({ type }) => type === 'summary_text');
  const content = parts.filter(({ type }) => type !== 'summary_text');
  return { ...latest, ...(latest.type === 'reasoning' ? { summary } : {}), content };
}
