import { EventEmitter, once } from 'node:events';
import { Agent, createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Hono } from 'hono';
import { afterEach, beforeEach, describe, expect, it, test, vi } from 'vitest';
import type { HttpContext, HttpEnvironment } from '../../src/http/context.ts';
import type { AnswerEvents } from '../../src/http/dialect.ts';
import { EventStream, keepAliveMs } from '../../src/http/event-stream.ts';
import { respondWithStream } from '../../src/http/stream-execution.ts';
import { intent } from '../support/records.ts';

/** @param outgoing left out: the reader is in this process */
async function answer(handle: (c: HttpContext) => Response, outgoing?: ServerResponse): Promise<Response> {
  const app = new Hono<HttpEnvironment>().get('/', handle);
  return app.request('/', {}, outgoing ? { outgoing } : {});
}

async function open() {
  const onGone = vi.fn();
  let events!: EventStream;
  const response = await answer((c) => {
    events = new EventStream(c.env.outgoing, onGone);
    return events.begin(c);
  });
  const reader = response.body!.getReader();
  const read = async () => new TextDecoder().decode((await reader.read()).value);
  return { events, onGone, reader, read, response };
}

describe('an event stream to a reader in this process', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('frames each event by itself, line ends inside the data escaped', async () => {
    const { events, read } = await open();
    void events.send({ event: 'delta', data: { text: 'a\n\ndata: b' } });
    expect(await read()).toBe('event: delta\ndata: {"text":"a\\n\\ndata: b"}\n\n');
  });

  it('sends a text as it is, and no name where the wire has none', async () => {
    const { events, read } = await open();
    void events.send({ data: '[DONE]' });
    expect(await read()).toBe('data: [DONE]\n\n');
  });

  it('promises room when the buffer is full, and makes it when it is read', async () => {
    const { events, read } = await open();
    const big = { text: 'x'.repeat(20_000) };
    await Promise.resolve();
    expect(events.send({ event: 'delta', data: { text: 'a' } })).toBeUndefined();
    const room = events.send({ event: 'delta', data: big });
    expect(room).toBeInstanceOf(Promise);
    await read();
    await read();
    await room;
  });

  it('says that it lives while it is silent, but not to a client that does not read', async () => {
    const { events, read } = await open();
    await vi.advanceTimersByTimeAsync(keepAliveMs);
    expect(await read()).toBe(': keep-alive\n\n');
    void events.send({ event: 'delta', data: { text: 'x'.repeat(20_000) } });
    await vi.advanceTimersByTimeAsync(5 * keepAliveMs);
    expect(await read()).toContain('event: delta');
    events.end();
    expect(await read()).toBe('');
  });

  it('tells when the client has gone, releases whoever waits for room, and forgets what is sent after', async () => {
    const { events, onGone, reader } = await open();
    const room = events.send({ event: 'delta', data: { text: 'x'.repeat(20_000) } });
    await reader.cancel();
    await room;
    expect(onGone).toHaveBeenCalledTimes(1);
    expect(events.send({ event: 'done', data: {} })).toBeUndefined();
    events.end();
    expect(vi.getTimerCount()).toBe(0);
  });
});

/** As much of Node's side of a connection as is used; it takes what is written and never makes room by itself. */
class Connection extends EventEmitter {
  destroyed = false;
  writableNeedDrain = false;
  head: unknown[] = [];
  written: string[] = [];

  writeHead(...head: unknown[]): void {
    this.head = head;
  }
  flushHeaders(): void {}
  write(text: string): void {
    this.written.push(text);
  }
  end(): void {
    this.written.push('(end)');
    this.emit('close');
  }
}

describe('an event stream to a connection', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  async function connect(connection = new Connection()) {
    const onGone = vi.fn();
    let events!: EventStream;
    const handle = (c: HttpContext) => {
      events = new EventStream(c.env.outgoing, onGone);
      c.header('x-request-id', 'r1');
      return events.begin(c);
    };
    await answer(handle, connection as unknown as ServerResponse);
    return { connection, events, onGone };
  }

  it('sends the headers of the context with its own, then what is sent, then its end', async () => {
    const { connection, events, onGone } = await connect();
    void events.send({ data: 'a' });
    events.end();
    const headers = { 'x-request-id': 'r1', 'content-type': expect.stringContaining('text/event-stream') };
    expect(connection.head).toEqual([200, expect.objectContaining(headers)]);
    expect(connection.written).toEqual(['data: a\n\n', '(end)']);
    expect(onGone).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('promises room while the socket is full, and says nothing meanwhile', async () => {
    const { connection, events } = await connect();
    connection.writableNeedDrain = true;
    const room = events.send({ data: 'a' });
    await vi.advanceTimersByTimeAsync(3 * keepAliveMs);
    expect(connection.written).toEqual(['data: a\n\n']);
    connection.writableNeedDrain = false;
    connection.emit('drain');
    await room;
    await vi.advanceTimersByTimeAsync(keepAliveMs);
    expect(connection.written.at(-1)).toBe(': keep-alive\n\n');
  });

  it('tells once that the client has gone, releases whoever waits, and writes nothing more', async () => {
    const { connection, events, onGone } = await connect();
    connection.writableNeedDrain = true;
    const room = events.send({ data: 'a' });
    connection.emit('close');
    await room;
    void events.send({ data: 'b' });
    events.end();
    expect(onGone).toHaveBeenCalledTimes(1);
    expect(connection.written).toEqual(['data: a\n\n']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('tells at once that a client had gone before, and leaves no timer', async () => {
    const gone = Object.assign(new Connection(), { destroyed: true });
    const { onGone } = await connect(gone);
    expect(onGone).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});

test('a stream that begins and ends at once is whole, and its connection is used again', async () => {
  const server = createServer((_, outgoing) => {
    void answer((c) => {
      const events = new EventStream(c.env.outgoing, () => {});
      const response = events.begin(c);
      void events.send({ data: 'a' });
      events.end();
      return response;
    }, outgoing);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const { port } = server.address() as AddressInfo;
  for (let i = 0; i < 3; i++) {
    const asking = get({ port, host: '127.0.0.1', agent });
    const [response] = (await once(asking, 'response')) as [IncomingMessage];
    expect(await text(response)).toBe('data: a\n\n');
    expect(asking.reusedSocket).toBe(i > 0);
  }
  agent.destroy();
  await new Promise((closed) => server.close(closed));
});

describe('a streamed execution before its first content', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('gives a sign of life in time, also on a wire that begins without an event', async () => {
    const connection = new Connection();
    const silent: AnswerEvents = { begin: () => [], piece: () => [], finish: () => [], fail: () => [] };
    const app = new Hono<HttpEnvironment>().get('/', (c) =>
      respondWithStream(
        c,
        () => {},
        silent,
        (reader) => {
          reader.admitted(intent());
          return new Promise(() => {});
        },
      ),
    );
    const answered = app.request('/', {}, { outgoing: connection as unknown as ServerResponse });
    await vi.advanceTimersByTimeAsync(keepAliveMs - 1);
    expect([connection.head, connection.written]).toEqual([[], []]);
    await vi.advanceTimersByTimeAsync(1);
    await answered;
    expect(connection.head[0]).toBe(200);
    expect(connection.written).toEqual([': keep-alive\n\n']);
    connection.emit('close');
    expect(vi.getTimerCount()).toBe(0);
  });
});
