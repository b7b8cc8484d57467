export type Role = 'system' | 'user' | 'assistant';

/** Where a stretch of a message's content came from; offsets are UTF-16 units into `content`, end exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
  /** Path of the variable whose value this is, e.g. `article.title` or `items[2].name`. */
  readonly variable: string;
}

export interface Message {
  readonly role: Role;
  readonly content: string;
}

/** A message made by rendering: what the template wrote is not covered by any span. */
export interface RenderedMessage extends Message {
  readonly origin: 'template' | 'history';
  readonly spans: readonly Span[];
}
