import { getEventListeners } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ProviderSettings, StreamDelta } from '../../src/application/provider.ts';
import { createProviders } from '../../src/providers/providers.ts';
import { callOf, controlOf, noWaits, settingsOf } from '../support/provider-calls.ts';

const encoder = new TextEncoder();
const chunk = (delta: object, more: object = {}) =>
  `data: ${JSON.stringify({ id: 'c', model: 'm', choices: [{ index: 0, delta, finish_reason: null, ...more }] })}\n\n`;
const hello = chunk({ content: 'Hel' });
const rest = `${chunk({ content: 'lo' }, { finish_reason: 'stop' })}data: [DONE]\n\n`;
const overloaded =
  'data: {"error":{"type":"server_error","code":"overloaded","message":"busy sk-abcdefghijk"}}\n\n';

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
  readonly answers: readonly (readonly Step[])[];
  readonly settings?: Partial<ProviderSettings>;
  readonly headers?: Record<string, string>;
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  readonly onDelta?: (delta: StreamDelta) => Promise<void> | void;
}

async function run({ answers, settings, headers, onDelta, ...control }: Run) {
  const deltas: StreamDelta[] = [];
  let requests = 0;
  const providers = createProviders([settingsOf('openai', 'http://127.0.0.1:9/v1', settings)], {
    ...noWaits,
    fetch: async (_url, init) =>
      answer(answers[Math.min(requests++, answers.length - 1)] ?? [], init?.signal as AbortSignal, headers),
  });
  const result = await providers.stream(callOf('openai', 'gpt-4o-mini'), {
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

describe('a stream of a provider', () => {
  it('is a success with its terminator, and hands on every piece', async () => {
    const { result, text } = await run({ answers: [[hello, rest]] });
    expect(result).toMatchObject({ ok: true, answer: { output: 'Hello', finishReason: 'stop' } });
    expect(text).toBe('Hello');
  });

  it.each([
    ['ends without its terminator', [hello], 'provider_protocol_error'],
    ['breaks', [hello, 'reset'], 'provider_unavailable'],
    ['stalls', [hello, 'hang'], 'provider_timeout'],
    ['sends comments only', [hello, ...pings], 'provider_timeout'],
    ['sends empty chunks only', [hello, ...pings.flatMap((ping) => [ping, chunk({})])], 'provider_timeout'],
    ['reports an error', [hello, overloaded, rest], 'provider_unavailable'],
    [
      'reports a rate limit',
      [hello, overloaded.replace('overloaded', 'rate_limit_exceeded')],
      'rate_limited',
    ],
    ['holds what is not JSON', [hello, 'data: {"cut\n\n', rest], 'provider_protocol_error'],
    ['holds an event without an end', [hello, ...endless()], 'provider_protocol_error'],
  ] as [string, Step[], string][])(
    'that %s after content is that failure, and is not repeated',
    async (_what, steps, code) => {
      const { result, text, requests } = await run({ answers: [steps], settings: { idleTimeoutMs: 50 } });
      expect(result).toMatchObject({ ok: false, error: { code }, attempts: [{ httpStatus: 200 }] });
      expect([text, requests]).toEqual(['Hel', 1]);
      expect(result.ok || result.error.message).not.toContain('sk-');
    },
  );

  it.each([
    ['breaks', ['reset']],
    ['reports an error', [overloaded]],
    ['breaks after chunks that say nothing', [chunk({ role: 'assistant', content: '' }), 'reset']],
  ] as [string, Step[]][])('that %s before any content is asked for again', async (_what, steps) => {
    const { result, text, requests } = await run({ answers: [steps, [hello, rest]] });
    expect(result).toMatchObject({ ok: true, answer: { output: 'Hello' } });
    expect([text, requests]).toEqual(['Hello', 2]);
  });

  it.each([
    ['nothing', ['hang']],
    ['comments', pings],
    ['chunks without content', pings.flatMap((ping) => [ping, chunk({ role: 'assistant', content: '' })])],
  ] as [string, Step[]][])(
    'that sends %s has no first content in time, and is not repeated',
    async (_what, steps) => {
      const { result, requests } = await run({ answers: [steps], settings: { firstTokenTimeoutMs: 50 } });
      expect(result).toMatchObject({ ok: false, error: { code: 'provider_timeout' } });
      expect(requests).toBe(1);
    },
  );

  it('ends at the deadline of the call, whatever it still sends', async () => {
    const drip = pings.flatMap((ping) => [ping, hello]);
    const { result } = await run({ answers: [drip], deadlineMs: 60 });
    expect(result).toMatchObject({ ok: false, error: { code: 'provider_timeout', message: /60 ms/ } });
  });

  it('is cancelled by its caller at once, and leaves no listener behind', async () => {
    const away = new AbortController();
    const { result } = await run({
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
    const steps = counted.flatMap((count) => [count, hello]);
    const { result } = await run({
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
    const body = { model: 'm', choices: [{ message: { content: 'Hello' }, finish_reason: 'stop' }] };
    const headers = { 'content-type': 'application/json' };
    const { result, text } = await run({ answers: [[JSON.stringify(body)]], headers });
    expect(result).toMatchObject({ ok: true, answer: { output: 'Hello' } });
    expect(text).toBe('Hello');
    const failed = await run({ answers: [['{"error":{"code":"overloaded_error"}}']], headers });
    expect(failed.result).toMatchObject({ ok: false, error: { code: 'provider_unavailable' } });
  });
});

describe('a stream over a socket', () => {
  let server: Server;
  let url: string;
  let requests = 0;
  beforeAll(async () => {
    server = createServer((request, response) => {
      requests += 1;
      if (request.url?.startsWith('/moved')) {
        response.writeHead(307, { location: `${url}/elsewhere` }).end();
        return;
      }
      response.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' });
      // 64 MiB of content in some kilobytes.
      const piece = chunk({ content: ' '.repeat(1024 * 1024) });
      response.end(gzipSync(piece.repeat(64)));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it.each([
    ['/moved', 'provider_misconfigured', 0],
    ['/bomb', 'provider_protocol_error', 32 * 1024 * 1024],
  ])('%s ends as %s, asked for once, and what is kept is bounded', async (path, code, most) => {
    requests = 0;
    let kept = 0;
    const providers = createProviders([settingsOf('openai', `${url}${path}`)], noWaits);
    const result = await providers.stream(callOf('openai', 'gpt-4o-mini'), {
      ...controlOf({ deadlineMs: 30_000 }),
      onDelta(delta) {
        kept += 'text' in delta ? delta.text.length : 0;
      },
    });
    await providers.close();
    expect(result).toMatchObject({ ok: false, error: { code } });
    expect(requests).toBe(1);
    expect(kept).toBeLessThanOrEqual(most);
  });
});

function* endless(): Generator<Uint8Array> {
  yield encoder.encode('data: ');
  for (let i = 0; i < 40; i++) yield new Uint8Array(1024 * 1024).fill(120);
}
