import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createEventStream } from '../../src/http/event-stream.ts';

const open = () => {
  const onGone = vi.fn();
  const events = createEventStream({ keepAliveMs: 1_000, onGone });
  const reader = events.body.getReader();
  const read = async () => new TextDecoder().decode((await reader.read()).value);
  return { events, onGone, reader, read };
};

describe('an event stream', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('frames each event by itself, line ends inside the data escaped', async () => {
    const { events, read } = open();
    void events.send({ event: 'delta', data: { text: 'a\n\ndata: b' } });
    expect(await read()).toBe('event: delta\ndata: {"text":"a\\n\\ndata: b"}\n\n');
  });

  it('sends a text as it is, and no name where the wire has none', async () => {
    const { events, read } = open();
    void events.send({ data: '[DONE]' });
    expect(await read()).toBe('data: [DONE]\n\n');
  });

  it('promises room when the buffer is full, and makes it when it is read', async () => {
    const { events, read } = open();
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
    const { events, read } = open();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await read()).toBe(': keep-alive\n\n');
    void events.send({ event: 'delta', data: { text: 'x'.repeat(20_000) } });
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await read()).toContain('event: delta');
    events.end();
    expect(await read()).toBe('');
  });

  it('tells when the client has gone, releases whoever waits for room, and forgets what is sent after', async () => {
    const { events, onGone, reader } = open();
    const room = events.send({ event: 'delta', data: { text: 'x'.repeat(20_000) } });
    await reader.cancel();
    await room;
    expect(onGone).toHaveBeenCalledTimes(1);
    expect(events.send({ event: 'done', data: {} })).toBeUndefined();
    events.end();
    expect(vi.getTimerCount()).toBe(0);
  });
});
