/** A provider on OpenAI's wire that does nothing by itself: a test says each of its steps, so nothing has to be waited for. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Exchange {
  /** Sends the headers and the first chunk, which holds no content. */
  open(): void;
  say(text: string): void;
  /** Sends the finish reason, the usage and the terminator. */
  finish(): void;
  /** Bytes that were said and that the gateway has not taken. */
  waiting(): number;
  /** Resolves when the connection is closed, by whichever side. */
  readonly closed: Promise<unknown>;
}

export interface SteppedProvider {
  readonly url: string;
  readonly requests: number;
  /** The next request that comes, or has come and was not asked for yet. */
  next(): Promise<Exchange>;
  close(): Promise<void>;
}

export async function startSteppedProvider(): Promise<SteppedProvider> {
  let requests = 0;
  const arrived: Exchange[] = [];
  const awaited: ((exchange: Exchange) => void)[] = [];
  const server = createServer((request, response) => {
    request.resume();
    requests += 1;
    const exchange = toExchange(response);
    const asked = awaited.shift();
    if (asked) asked(exchange);
    else arrived.push(exchange);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get requests() {
      return requests;
    },
    next() {
      const exchange = arrived.shift();
      return exchange ? Promise.resolve(exchange) : new Promise((resolve) => awaited.push(resolve));
    },
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function toExchange(response: ServerResponse): Exchange {
  const send = (choices: object[], more: object = {}) => {
    const chunk = { id: 'c', object: 'chat.completion.chunk', model: 'gpt-4o-mini', choices, ...more };
    response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  };
  const choice = (delta: object, finish_reason: string | null = null) => [{ index: 0, delta, finish_reason }];
  return {
    open() {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      send(choice({ role: 'assistant', content: '' }));
    },
    say: (content) => send(choice({ content })),
    finish() {
      send(choice({}, 'stop'));
      send([], { usage: { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 } });
      response.end('data: [DONE]\n\n');
    },
    waiting: () => response.writableLength,
    closed: new Promise((resolve) => response.once('close', resolve)),
  };
}
