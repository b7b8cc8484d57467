/**
 * How one family of clients hears an answer or a failure. A dialect is pure: it turns what the gateway knows into bodies
 * and events, and knows neither sockets nor verbs. What its requests look like is the business of its routes.
 */
import type { Executed } from '../application/execute-prompt.ts';
import type { StreamDelta } from '../application/provider.ts';
import type { PromptgateError } from '../domain/errors.ts';
import type { Admission } from '../domain/execution.ts';
import type { Usage } from '../domain/usage.ts';
import type { ServerSentEvent } from './event-stream.ts';

export interface Dialect {
  toAnswer(execution: Executed): object;
  /** Made anew for each streamed answer: it may remember what it has said. */
  createEvents(): AnswerEvents;
}

/** An answer as events: `begin`, then `piece` …, then one of `finish` and `fail`. */
export interface AnswerEvents {
  /** @param counted what is known of the usage by now */
  begin(admission: Admission, counted?: Usage): readonly ServerSentEvent[];
  piece(delta: StreamDelta): readonly ServerSentEvent[];
  finish(execution: Executed): readonly ServerSentEvent[];
  fail(error: PromptgateError, requestId: string): readonly ServerSentEvent[];
}
