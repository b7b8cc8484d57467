import type { Json, JsonObject } from './json.ts';
import type { MediaPart } from './media.ts';
import { type ReasoningBlock, toReasoningJson } from './reasoning.ts';
import type { ToolCall } from './tool.ts';

export type Role = 'system' | 'user' | 'assistant';

export interface TextPart {
  readonly type: 'text';
  readonly text: string;
}

export type ContentPart = TextPart | MediaPart;

/** Text alone is a string, always; with an image or a file it is parts in order, of which no text is empty. */
export type Content = string | readonly ContentPart[];

/** Where a stretch of a message's content came from; offsets are UTF-16 units into the text, end exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
  /** Path of the variable whose value this is, e.g. `article.title` or `items[2].name`. */
  readonly variable: string;
  /** Of a content of parts: which one; an image or a file is covered whole. */
  readonly part?: number;
}

export interface Message {
  /** `tool`: the result of a call, as the caller's tool gave it. */
  readonly role: Role | 'tool';
  /** Images and files stand in what the user says and in results of tools, nowhere else. */
  readonly content: Content;
  /** Of the assistant: what it asked for; absent when nothing. */
  readonly toolCalls?: readonly ToolCall[];
  /** Of a result: the call that it answers. */
  readonly toolCallId?: string;
  /** Of the assistant: what it thought before; absent when that is not known. */
  readonly reasoning?: readonly ReasoningBlock[];
}

/** The content in its shortest form. Texts side by side stay apart: joining them would invent a separator. */
export function toContent(parts: readonly ContentPart[]): Content {
  const said = parts.filter((part) => part.type !== 'text' || part.text !== '');
  if (said.some((part) => part.type !== 'text')) return said;
  return textOf(said);
}

/** What is text in it; paragraphs keep apart what its parts kept apart. */
export function textOf(content: Content): string {
  if (typeof content === 'string') return content;
  return content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n\n');
}

export function partsOf(content: Content): readonly ContentPart[] {
  if (typeof content !== 'string') return content;
  return content === '' ? [] : [{ type: 'text', text: content }];
}

/** What of a message is sent, for hashes. */
export function toSent({ role, content, toolCalls, toolCallId, reasoning }: Message): JsonObject {
  return {
    role,
    content: toJson(content),
    ...(toolCalls ? { toolCalls: toolCalls.map((call) => ({ ...call })) } : {}),
    ...(toolCallId === undefined ? {} : { toolCallId }),
    ...(reasoning ? { reasoning: toReasoningJson(reasoning) } : {}),
  };
}

function toJson(content: Content): Json {
  return typeof content === 'string' ? content : content.map((part) => ({ ...part }) as JsonObject);
}

/** A message made by rendering: what the template wrote is not covered by any span. */
export interface RenderedMessage extends Message {
  readonly origin: 'template' | 'history';
  readonly spans: readonly Span[];
}
