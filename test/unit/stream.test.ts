import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { type ProviderSettings, type StreamDelta, type Wire, wires } from '../../src/application/provider.ts';
import { createProviders } from '../../src/providers/providers.ts';
import { callOf, controlOf, noWaits, settingsOf } from '../support/provider-calls.ts';
import { wireSpeech } from '../support/wire-speech.ts';

const encoder = new TextEncoder();
type Step = string | Uint8Array | 'reset' | 'hang' | (() => Promise<unknown>);

/** A response that does what the steps say: text is sent, `reset` breaks the connection, `hang` says nothing more. */
function answer(steps: readonly Step[], signal: AbortSignal, headers: Record<string, string> = {}): Response {
  const left = [...steps];
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const step = left.shift();
      if (step === undefined) return controller.close();
      if (step === 'reset') return controller.error(new Error('ECONNRESET'));
      if (step === 'hang') {
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        });
      }
      if (typeof step === 'function') {
        await step();
        return controller.enqueue(encoder.encode(': waited\n'));
      }
      controller.enqueue(typeof step === 'string' ? encoder.encode(step) : step);
    },
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream', ...headers } });
}

interface Run {
  readonly wire: Wire;
  readonly answers: readonly (readonly Step[])[];
  readonly settings?: Partial<ProviderSettings>;
  readonly headers?: Record<string, string>;
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  readonly onDelta?: (delta: StreamDelta) => Promise<void> | void;
}

async function run({ wire, answers, settings, headers, onDelta, ...control }: Run) {
  const deltas: StreamDelta[] = [];
  let requests = 0;
  const providers = createProviders([settingsOf(wire, 'http://127.0.0.1:9/v1', settings)], {
    ...noWaits,
    fetch: async (_url, init) =>
      answer(answers[Math.min(requests++, answers.length - 1)] ?? [], init?.signal as AbortSignal, headers),
  });
  const result = await providers.stream(callOf(wire, 'm'), {
    ...controlOf(control),
    onDelta(delta) {
      deltas.push(delta);
      return onDelta?.(delta);
    },
  });
  const text = deltas.map((delta) => ('text' in delta ? delta.text : '')).join('');
  return { result, text, requests };
}

/** Pings for as long as the stream is read. */
const pings: Step[] = Array.from({ length: 2_000 }, () => async () => {
  await new Promise((resolve) => setTimeout(resolve, 5));
});

describe.each(wires)('a stream over %s', (wire) => {
  const speech = wireSpeech[wire];
  const hello = speech.open + speech.text('Hel');
  const rest = speech.text('lo') + speech.close;
  const overloaded = speech.error('overloaded_error');

  it('is a success with its terminator, and hands on every piece', async () => {
    const { result, text } = await run({ wire, answers: [[hello, rest]] });
    expect(result).toMatchObject({ ok: true, answer: { output: 'Hello', finishReason: 'stop' } });
    expect(text).toBe('Hello');
  });

  it.each([
    ['ends without its terminator', [hello], 'provider_protocol_error'],
    ['breaks', [hello, 'reset'], 'provider_unavailable'],
    ['stalls', [hello, 'hang'], 'provider_timeout'],
    ['sends comments only', [hello, ...pings], 'provider_timeout'],
    ['sends pings only', [hello, ...pings.flatMap((ping) => [ping, speech.ping])], 'provider_timeout'],
    [
      'sends only events that say nothing',
      [hello, ...pings.flatMap((ping) => [ping, speech.nothing])],
      'provider_timeout',
    ],
    ['reports an error', [hello, overloaded, rest], 'provider_unavailable'],
    ['reports a rate limit', [hello, speech.error('rate_limit_error')], 'rate_limited'],
    ['holds what is not JSON', [hello, 'data: {"cut\n\n', rest], 'provider_protocol_error'],
    ['holds an event without an end', [hello, ...endless()], 'provider_protocol_error'],
  ] as [string, Step[], string][])(
    'that %s after content is that failure, and is not repeated',
    async (_what, steps, code) => {
      const { result, text, requests } = await run({
        wire,
        answers: [steps],
        settings: { idleTimeoutMs: 50 },
      });
      expect(result).toMatchObject({ ok: false, error: { code }, attempts: [{ httpStatus: 200 }] });
      expect([text, requests]).toEqual(['Hel', 1]);
      expect(result.ok || result.error.message).not.toContain('sk-');
    },
  );

  it.each([
    ['breaks', ['reset']],
    ['reports an error', [overloaded]],
    ['breaks after events that say nothing', [speech.open, speech.nothing, 'reset']],
  ] as [string, Step[]][])('that %s before any content is asked for again', async (_what, steps) => {
    const { result, text, requests } = await run({ wire, answers: [steps, [hello, rest]] });
    expect(result).toMatchObject({ ok: true, answer: { output: 'Hello' } });
    expect([text, requests]).toEqual(['Hello', 2]);
  });

  it.each([
    ['nothing', ['hang']],
    ['comments', pings],
    ['events without content', [speech.open, ...pings.flatMap((ping) => [ping, speech.nothing])]],
  ] as [string, Step[]][])(
    'that sends %s has no first content in time, and is not repeated',
    async (_what, steps) => {
      const { result, requests } = await run({
        wire,
        answers: [steps],
        settings: { firstTokenTimeoutMs: 50 },
      });
      expect(result).toMatchObject({ ok: false, error: { code: 'provider_timeout' } });
      expect(requests).toBe(1);
    },
  );

  it('ends at the deadline of the call, whatever it still sends', async () => {
    const drip = [speech.open, ...pings.flatMap((ping) => [ping, speech.text('.')])];
    const { result } = await run({ wire, answers: [drip], deadlineMs: 60 });
    expect(result).toMatchObject({ ok: false, error: { code: 'provider_timeout', message: /60 ms/ } });
  });

  it('is cancelled by its caller at once, and leaves no listener behind', async () => {
    const away = new AbortController();
    const { result } = await run({
      wire,
      answers: [[hello, 'hang']],
      signal: away.signal,
      onDelta: () => away.abort(),
    });
    expect(result).toMatchObject({ ok: false, error: { code: 'cancelled' } });
    expect(getEventListeners(away.signal, 'abort')).toHaveLength(0);
  });

  it('is not read ahead of a slow reader, whose time is not the provider’s', async () => {
    let sent = 0;
    const counted = Array.from({ length: 20 }, () => async () => {
      sent += 1;
    });
    const steps = [speech.open, ...counted.flatMap((count) => [count, speech.text('.')])];
    const { result } = await run({
      wire,
      answers: [[...steps, rest]],
      settings: { idleTimeoutMs: 30 },
      onDelta: async () => {
        const before = sent;
        await new Promise((resolve) => setTimeout(resolve, before < 3 ? 60 : 0));
        // What is buffered on the way may come; the rest waits.
        expect(sent - before).toBeLessThanOrEqual(1);
      },
    });
    expect(result.ok).toBe(true);
  });

  it('may answer whole where streaming is unknown', async () => {
    const headers = { 'content-type': 'application/json' };
    const { result, text } = await run({ wire, answers: [[JSON.stringify(speech.whole('Hello'))]], headers });
    expect(result).toMatchObject({ ok: true, answer: { output: 'Hello' } });
    expect(text).toBe('Hello');
    const failed = await run({ wire, answers: [['{"error":{"code":"overloaded_error"}}']], headers });
    expect(failed.result).toMatchObject({ ok: false, error: { code: 'provider_unavailable' } });
  });
});

function* endless(): Generator<Uint8Array> {
  yield encoder.encode('data: ');
  for (let i = 0; i < 40; i++) yield new Uint8Array(1024 * 1024).fill(120);
}
