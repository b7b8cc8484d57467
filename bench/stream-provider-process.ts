/**
 * A provider that streams on OpenAI's wire at a steady pace to any number of readers, in a process of its own. What it
 * says follows from the request, so that every stream can be checked. Arguments: tokens of an answer, their pause in
 * milliseconds, and what the first one takes where that is to be exact.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tokenOf } from './stream-content.ts';

const [tokens, pauseMs, firstMs] = process.argv.slice(2).map(Number) as [number, number, number?];
/** Streams are served in turns, a few at a time, as independent ones would be. */
const turns = 10;
const first = { role: 'assistant', content: '' };

interface Open {
  readonly response: ServerResponse;
  readonly seed: string;
  said: number;
}
const open: Set<Open>[] = Array.from({ length: turns }, () => new Set());
let opened = 0;

function chunk(delta: object, finish: string | null = null, more: object = {}): string {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  return `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'gpt-4o-mini', choices, ...more })}\n\n`;
}

function speak(stream: Open, turn: Set<Open>): void {
  const { response, seed } = stream;
  if (response.destroyed) return void turn.delete(stream);
  if (stream.said < tokens) {
    response.write(chunk({ content: tokenOf(seed, stream.said) }));
    stream.said += 1;
    return;
  }
  turn.delete(stream);
  const usage = { prompt_tokens: 10, completion_tokens: tokens, total_tokens: tokens + 10 };
  response.end(`${chunk({}, 'stop')}${chunk({}, null, { choices: [], usage })}data: [DONE]\n\n`);
}

let turn = 0;
setInterval(() => {
  turn = (turn + 1) % turns;
  const now = open[turn]!;
  for (const stream of now) speak(stream, now);
}, pauseMs / turns);

const server = createServer(async (request, response) => {
  let body = '';
  for await (const part of request) body += part;
  // Some look whether anyone answers before they are measured.
  if (!/"stream":\s*true/.test(body)) {
    const message = { role: 'assistant', content: 'ready' };
    const choices = [{ index: 0, message, finish_reason: 'stop' }];
    const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
    const whole = { id: 'c', object: 'chat.completion', created: 1, model: 'gpt-4o-mini', choices, usage };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(whole));
    return;
  }
  const seed = /seed:(\w+)/.exec(body)?.[1] ?? '';
  response.writeHead(200, { 'content-type': 'text/event-stream' }).write(chunk(first));
  const stream = { response, seed, said: 0 };
  const join = () => open[turn]!.add(stream);
  // The turn that comes last: without a timer of its own every stream waits about one pause for its first token.
  if (firstMs === undefined) join();
  else setTimeout(() => speak(stream, join()), firstMs);
  opened += 1;
});
server.listen(0, '127.0.0.1', () =>
  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }),
);
process.on('message', () => process.send?.({ opened }));
process.on('disconnect', () => process.exit(0));
