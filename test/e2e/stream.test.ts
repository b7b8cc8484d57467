import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/domain/canonical-json.ts';
import { SseParser } from '../../src/providers/sse-parser.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

interface Event {
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what the wire carries
  readonly data: any;
}

describe.each(databases)('a streamed execution over HTTP, on $name', ({ create }) => {
  let database: TestDatabase;
  let gateway: TestGateway;

  beforeAll(async () => {
    database = await create();
    gateway = await startGateway(database, {
      environment: { PROMPTGATE_FIRST_TOKEN_TIMEOUT_MS: '1500', PROMPTGATE_IDLE_TIMEOUT_MS: '700' },
    });
  });
  afterAll(async () => {
    await gateway?.close();
    await database?.drop();
  });
  beforeEach(() => gateway.fault(null));
  // Whatever happened to the client, every admitted call has ended in a row.
  afterEach(() =>
    expect
      .poll(() => gateway.query('select count(*)::int as n from ai_execution_intents'))
      .toEqual([{ n: 0 }]),
  );

  const open = (name: string, more: { signal?: AbortSignal; requestId?: string; body?: object } = {}) =>
    fetch(`${gateway.url}/v1/prompts/${name}/executions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${gateway.keys.execute}`,
        'x-request-id': more.requestId ?? 'stream',
      },
      body: JSON.stringify({ variables: { name: 'Ada' }, stream: true, ...more.body }),
      ...(more.signal ? { signal: more.signal } : {}),
    });

  /** Events until the end, or until `enough` says so. */
  async function read(response: Response, enough = (_: Event[]) => false): Promise<Event[]> {
    const parser = new SseParser();
    const events: Event[] = [];
    for await (const bytes of response.body ?? []) {
      events.push(...parser.push(bytes).map(({ event, data }) => ({ event, data: JSON.parse(data) })));
      if (enough(events)) return events;
    }
    return events;
  }

  const textOf = (events: readonly Event[]) =>
    events.map(({ event, data }) => (event === 'delta' ? data.text : '')).join('');
  const namesOf = (events: readonly Event[]) => [...new Set(events.map(({ event }) => event))];
  const row = async (id: string) => (await gateway.call('GET', `/v1/executions/${id}`)).body;

  /** The only row of a request id, once it is there. */
  async function rowOfRequest(requestId: string) {
    const query = `select id from ai_executions where request_id = '${requestId}'`;
    await expect.poll(() => gateway.query(query), { timeout: 10_000 }).toHaveLength(1);
    return row((await gateway.query(query))[0].id);
  }

  it.each(['greet', 'chat'])('hands on %s in pieces that are the output of its row', async (name) => {
    const response = await open(name);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const events = await read(response);
    expect(namesOf(events)).toEqual(['execution', 'delta', 'done']);
    const [head, done] = [events[0]?.data, events.at(-1)?.data];
    expect(head).toEqual({ id: done.id, prompt: name, version: 1 });
    expect(response.headers.get('x-promptgate-execution-id')).toBe(done.id);
    expect(events.filter(({ event }) => event === 'delta').length).toBeGreaterThan(3);
    expect(done).toMatchObject({
      status: 'succeeded',
      finish_reason: 'stop',
      output: textOf(events),
      response_hash: sha256(textOf(events)),
      attempts: 1,
    });
    expect(done.usage.prompt_tokens).toBeGreaterThan(0);
    const kept = await row(done.id);
    expect(kept).toMatchObject({
      ...done,
      stream: { delivered_bytes: Buffer.byteLength(done.output), disconnected_at: null },
    });
    expect(kept.stream.time_to_first_token_ms).toBeGreaterThan(0);
    expect(kept.stream.time_to_first_token_ms).toBeLessThanOrEqual(kept.latency_ms);
  });

  it('is the same answer as without streaming', async () => {
    const whole = await gateway.execute('greet', { variables: { name: 'Ada' } });
    const done = (await read(await open('greet'))).at(-1)?.data;
    expect(done.response_hash).toBe(whole.body.response_hash);
    expect(done.usage).toEqual(whole.body.usage);
    expect((await row(whole.body.id)).stream).toBeNull();
  });

  it.each([
    ['invalid_variables', 'greet', { variables: {} }, 422],
    ['not_found', 'nobody', {}, 404],
    ['invalid_request', 'greet', { stream: 'yes' }, 400],
  ])('refuses with %s and a status before anything is streamed', async (code, name, body, status) => {
    const before = await gateway.providerRequests();
    const response = await open(name, { body });
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { code } });
    expect((await row(response.headers.get('x-promptgate-execution-id') ?? '')).stream).toBeNull();
    expect(await gateway.providerRequests()).toBe(before);
  });

  it.each([
    ['rate_limit', { retryAfter: 0 }, 429, 'rate_limited', 3],
    ['stream_error', { after: 0 }, 503, 'provider_unavailable', 3],
    ['stream_truncate', { after: 1 }, 502, 'provider_protocol_error', 1],
    ['stream_stall', { after: 1 }, 504, 'provider_timeout', 1],
    ['html', {}, 502, 'provider_protocol_error', 1],
  ])(
    'answers the fault %s before the first content with its status, as without streaming',
    async (kind, extra, status, code, attempts) => {
      for (const name of ['greet', 'chat']) {
        await gateway.fault({ kind, ...extra });
        const response = await open(name);
        expect(response.status).toBe(status);
        expect(await response.json()).toMatchObject({ error: { code } });
        const id = response.headers.get('x-promptgate-execution-id') ?? '';
        expect(await row(id)).toMatchObject({
          error: { code },
          attempts,
          output: null,
          stream: { time_to_first_token_ms: null, delivered_bytes: 0, disconnected_at: null },
        });
      }
    },
  );

  it('recovers from a fault before the first content, and the client sees one answer', async () => {
    await gateway.fault({ kind: 'stream_reset', after: 1, times: 2 });
    const events = await read(await open('greet'));
    expect(events.at(-1)).toMatchObject({ event: 'done', data: { attempts: 3, output: textOf(events) } });
  });

  it.each([
    ['stream_truncate', 'provider_protocol_error'],
    ['stream_stall', 'provider_timeout'],
    ['stream_reset', 'provider_unavailable'],
    ['stream_error', 'provider_unavailable'],
  ])('ends with an error event at the fault %s after content, once, with what came', async (kind, code) => {
    for (const name of ['greet', 'chat']) {
      const before = await gateway.providerRequests();
      await gateway.fault({ kind, after: 4 });
      const response = await open(name);
      const events = await read(response);
      expect(namesOf(events)).toEqual(['execution', 'delta', 'error']);
      const id = events[0]?.data.id;
      expect(events.at(-1)?.data.error).toMatchObject({ code, execution_id: id, request_id: 'stream' });
      expect(await gateway.providerRequests()).toBe(before + 1);
      expect(await row(id)).toMatchObject({
        status: 'failed',
        error: { code },
        output: textOf(events),
        response_hash: null,
        cost: null,
        attempts: 1,
        stream: { delivered_bytes: Buffer.byteLength(textOf(events)), disconnected_at: null },
      });
    }
  });

  it('cancels the call of a client that leaves before the first content', async () => {
    await gateway.fault({ kind: 'slow', delayMs: 250 });
    const before = await gateway.providerRequests();
    const away = new AbortController();
    const opening = open('greet', { signal: away.signal, requestId: 'left-early' });
    await expect.poll(() => gateway.providerRequests()).toBe(before + 1);
    away.abort();
    await expect(opening).rejects.toThrow();
    const kept = await rowOfRequest('left-early');
    expect(kept).toMatchObject({ status: 'cancelled', error: { code: 'cancelled' }, output: null });
    expect(kept.stream).toMatchObject({ time_to_first_token_ms: null, delivered_bytes: 0 });
    expect(kept.stream.disconnected_at).not.toBeNull();
  });

  it('keeps the whole outcome of a client that leaves in the middle, with what it got and when it left', async () => {
    await gateway.fault({ kind: 'stream_slow', delayMs: 30 });
    const away = new AbortController();
    const response = await open('greet', { signal: away.signal, requestId: 'left-midway' });
    const events = await read(response, (seen) => textOf(seen) !== '');
    away.abort();
    const kept = await rowOfRequest('left-midway');
    expect(kept).toMatchObject({ status: 'succeeded', finish_reason: 'stop', error: null });
    expect(kept.usage.completion_tokens).toBeGreaterThan(0);
    expect(kept.output.startsWith(textOf(events))).toBe(true);
    expect(kept.stream.delivered_bytes).toBeGreaterThanOrEqual(Buffer.byteLength(textOf(events)));
    expect(kept.stream.delivered_bytes).toBeLessThan(Buffer.byteLength(kept.output));
    expect(Date.parse(kept.stream.disconnected_at)).toBeGreaterThan(Date.parse(kept.started_at));
  });

  it('gives a provider a bounded time for a client that left, then cancels and keeps what came', async () => {
    await gateway.fault({ kind: 'stream_slow', delayMs: 600 });
    const away = new AbortController();
    const response = await open('greet', { signal: away.signal, requestId: 'left-forever' });
    await read(response, (seen) => textOf(seen) !== '');
    away.abort();
    const kept = await rowOfRequest('left-forever');
    expect(kept).toMatchObject({ status: 'cancelled', error: { code: 'cancelled' }, response_hash: null });
    expect(kept.output).not.toBe('');
    expect(kept.latency_ms).toBeGreaterThan(4_000);
    expect(kept.latency_ms).toBeLessThan(9_000);
  });
});
