import type { JsonObject } from './json.ts';
import type { ToolCall } from './tool.ts';

export type Role = 'system' | 'user' | 'assistant';

/** Where a stretch of a message's content came from; offsets are UTF-16 units into `content`, end exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
  /** Path of the variable whose value this is, e.g. `article.title` or `items[2].name`. */
  readonly variable: string;
}

export interface Message {
  /** `tool`: the result of a call, as the caller's tool gave it. */
  readonly role: Role | 'tool';
  readonly content: string;
  /** Of the assistant: what it asked for; absent when nothing. */
  readonly toolCalls?: readonly ToolCall[];
  /** Of a result: the call that it answers. */
  readonly toolCallId?: string;
}

/** What of a message is sent, for hashes. */
export function toSent({ role, content, toolCalls, toolCallId }: Message): JsonObject {
  return {
    role,
    content,
    ...(toolCalls ? { toolCalls: toolCalls.map((call) => ({ ...call })) } : {}),
    ...(toolCallId === undefined ? {} : { toolCallId }),
  };
}

/** A message made by rendering: what the template wrote is not covered by any span. */
export interface RenderedMessage extends Message {
  readonly origin: 'template' | 'history';
  readonly spans: readonly Span[];
}
