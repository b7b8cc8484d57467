import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OpenDelivery, type StreamReader } from '../../src/application/delivery.ts';
import type { StreamDelta } from '../../src/application/provider.ts';
import { controlOf } from '../support/provider-calls.ts';
import { intent } from '../support/records.ts';

const text = (value: string): StreamDelta => ({ type: 'text', text: value });

function open(room: () => Promise<void> | undefined = () => undefined) {
  let leave = () => {};
  const written: StreamDelta[] = [];
  const reader: StreamReader = {
    onGone(told) {
      leave = told;
    },
    admitted: vi.fn(),
    write(delta) {
      written.push(delta);
      return room();
    },
    drop: vi.fn(),
  };
  const delivery = new OpenDelivery(reader, intent(), () => performance.now());
  const stop = new AbortController();
  const control = delivery.control(controlOf({ signal: stop.signal }));
  return { reader, delivery, control, written, leave: () => leave(), stop };
}

describe('the delivery of a stream', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('counts the bytes of content, whatever its kind, and keeps the answer as far as it came', () => {
    const { control, delivery } = open();
    for (const delta of [text('Zoë'), { type: 'reasoning', text: 'hm' }, text('!')] as StreamDelta[]) {
      control.onDelta(delta);
    }
    control.onDelta({ type: 'tool_call', index: 0, id: 'a', name: 'f', arguments: '{}' });
    expect(delivery.close()).toMatchObject({
      partial: {
        output: 'Zoë!',
        toolCalls: [{ id: 'a', name: 'f', arguments: '{}' }],
        reasoning: [{ text: 'hm' }],
      },
      delivery: { deliveredBytes: 9, disconnectedAt: null, timeToFirstTokenMs: expect.any(Number) },
    });
  });

  it('announces the admission once the intent is durable, and only for the first attempt', async () => {
    const { control, reader } = open();
    await control.beforeAttempt(1, []);
    await control.beforeAttempt(2, []);
    expect(reader.admitted).toHaveBeenCalledTimes(1);
  });

  it('does not announce what could not be recorded', async () => {
    const { delivery, reader } = open();
    const control = delivery.control(controlOf({ beforeAttempt: () => Promise.reject(new Error('no')) }));
    await expect(control.beforeAttempt(1, [])).rejects.toThrow('no');
    expect(reader.admitted).not.toHaveBeenCalled();
  });

  it('gives up a reader that makes no room, and lets the provider end without it', async () => {
    const { control, delivery, reader, written } = open(() => new Promise(() => {}));
    let taken = false;
    void Promise.resolve(control.onDelta(text('a'))).then(() => {
      taken = true;
    });
    await vi.advanceTimersByTimeAsync(9_000);
    expect([taken, vi.mocked(reader.drop).mock.calls.length]).toEqual([false, 0]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect([taken, vi.mocked(reader.drop).mock.calls.length]).toEqual([true, 1]);
    expect(control.onDelta(text('b'))).toBeUndefined();
    expect(written).toHaveLength(1);
    expect(control.signal.aborted).toBe(false);
    expect(delivery.close()).toMatchObject({
      partial: { output: 'ab', toolCalls: [], reasoning: [] },
      delivery: { deliveredBytes: 1, disconnectedAt: expect.any(Date) },
    });
  });

  it('goes on at once when a reader leaves while room is awaited, and cancels after the drain', async () => {
    const { promise: room, resolve: settle } = Promise.withResolvers<void>();
    const { control, leave } = open(() => room);
    const taken = Promise.resolve(control.onDelta(text('a')));
    leave();
    settle();
    await taken;
    await vi.advanceTimersByTimeAsync(4_999);
    expect(control.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(control.signal.aborted).toBe(true);
  });

  it('cancels at once when the reader leaves before the first content', () => {
    const { control, leave, delivery } = open();
    leave();
    expect(control.signal.aborted).toBe(true);
    expect(delivery.close().delivery).toMatchObject({ timeToFirstTokenMs: null, deliveredBytes: 0 });
  });

  it('passes a stop of the gateway on, with its reason', () => {
    const { control, stop } = open();
    stop.abort('stopping');
    expect(control.signal.reason).toBe('stopping');
  });

  it('leaves no timer behind', () => {
    const { control, leave, delivery } = open();
    control.onDelta(text('a'));
    leave();
    delivery.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});
