/** How a provider says the same on each wire, whole and streamed, for tests of what is not specific to one. */
import type { Wire } from '../../src/application/provider.ts';

export interface WireSpeech {
  /** The events before a text, then one that says a piece of it. */
  readonly open: string;
  text(said: string): string;
  /** An event of the answer that says nothing. */
  readonly nothing: string;
  /** A sign of life that is no event of the answer. */
  readonly ping: string;
  /** The events after a text, with the terminator. */
  readonly close: string;
  /** An error in the middle, of a code or type that both OpenAI and Anthropic use so. */
  error(code: string): string;
  /** A whole answer that says this. */
  whole(said: string): object;
}

const event = (type: string, members: object = {}) =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...members })}\n\n`;
const chunk = (delta: object, finish_reason: string | null = null) =>
  `data: ${JSON.stringify({ id: 'c', model: 'm', choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
const message = 'busy sk-abcdefghijk';

export const wireSpeech: Readonly<Record<Wire, WireSpeech>> = {
  openai: {
    open: chunk({ role: 'assistant', content: '' }),
    text: (content) => chunk({ content }),
    nothing: chunk({}),
    ping: ': ping\n\n',
    close: `${chunk({}, 'stop')}data: [DONE]\n\n`,
    error: (code) => `data: ${JSON.stringify({ error: { code, message } })}\n\n`,
    whole: (content) => ({ model: 'm', choices: [{ message: { content }, finish_reason: 'stop' }] }),
  },
  'openai-responses': {
    open:
      event('response.created', { response: { id: 'resp_1', model: 'm', status: 'in_progress' } }) +
      event('response.output_item.added', { output_index: 0, item: { type: 'message', content: [] } }),
    text: (delta) => event('response.output_text.delta', { output_index: 0, content_index: 0, delta }),
    nothing: event('response.in_progress', { response: { status: 'in_progress' } }),
    ping: event('keepalive'),
    close: event('response.completed', { response: { status: 'completed' } }),
    error: (code) => event('error', { error: { code, message } }),
    whole: (text) => ({
      status: 'completed',
      model: 'm',
      output: [{ type: 'message', content: [{ type: 'output_text', text }] }],
    }),
  },
  anthropic: {
    open:
      event('message_start', { message: { id: 'msg_1', model: 'm', usage: {} } }) +
      event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
    text: (text) => event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } }),
    nothing: event('unheard_of'),
    ping: event('ping'),
    close: event('message_delta', { delta: { stop_reason: 'end_turn' } }) + event('message_stop'),
    error: (code) => event('error', { error: { type: code, message } }),
    whole: (text) => ({
      type: 'message',
      model: 'm',
      content: [{ type: 'text', text }],
      stop_reason: 'end_turn',
    }),
  },
};
