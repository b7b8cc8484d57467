import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/domain/canonical-json.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

describe.each(databases)('executing a prompt over HTTP, on $name', ({ create }) => {
  let database: TestDatabase;
  let gateway: TestGateway;

  beforeAll(async () => {
    database = await create();
    gateway = await startGateway(database, {
      environment: { PROMPTGATE_FIRST_BYTE_TIMEOUT_MS: '1000' },
    });
  });
  afterAll(async () => {
    await gateway?.close();
    await database?.drop();
  });
  beforeEach(() => gateway.fault(null));

  const rowOf = async (answer: { headers: Headers }) => {
    const id = answer.headers.get('x-promptgate-execution-id');
    return (await gateway.call('GET', `/v1/executions/${id}`)).body;
  };

  it.each(['greet', 'chat'])(
    'answers %s with its version, tokens, hash and latency, and keeps the same in its row',
    async (name) => {
      const answer = await gateway.execute(name, { variables: { name: 'Ada' }, metadata: { team: 'web' } });
      expect(answer.status).toBe(200);
      expect(answer.body).toMatchObject({
        prompt: name,
        version: 1,
        label: 'production',
        status: 'succeeded',
        finish_reason: 'stop',
        simulated: true,
        cost: null,
        attempts: 1,
        response_hash: sha256(answer.body.output),
        error: null,
      });
      expect(answer.body.output).toContain('simulated');
      expect(answer.body.usage.prompt_tokens).toBeGreaterThan(0);
      expect(answer.body.usage.completion_tokens).toBeGreaterThan(0);
      expect(answer.body.latency_ms).toBeGreaterThanOrEqual(answer.body.overhead_ms);
      const row = await rowOf(answer);
      expect(row).toMatchObject({
        ...answer.body,
        input: { variables: { name: 'Ada' } },
        metadata: { team: 'web' },
      });
      expect(row.attempt_details).toHaveLength(1);
      expect(row.rendered_hash).toMatch(/^[0-9a-f]{64}$/);
      expect(row.request_id).toBe(answer.headers.get('x-request-id'));
    },
  );

  it('puts the history where the definition says, and records it', async () => {
    const messages = [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello {{name}}' },
    ];
    const answer = await gateway.execute('chat', { variables: { name: 'Ada' }, messages });
    expect(answer.status).toBe(200);
    expect((await rowOf(answer)).input).toEqual({
      variables: { name: 'Ada' },
      definition: null,
      overrides: null,
      messages,
    });
  });

  it('takes over the trace id and the request id of the caller', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const answer = await gateway.execute(
      'greet',
      { variables: { name: 'Ada' } },
      {
        headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-01`, 'x-request-id': 'order-17' },
      },
    );
    expect(answer.headers.get('x-request-id')).toBe('order-17');
    expect(await rowOf(answer)).toMatchObject({ trace_id: traceId, request_id: 'order-17' });
  });

  it.each([
    // Waits of 0 keep the retries of these cases quick; the waiting itself is tested with the policy.
    ['rate_limit', { retryAfter: 0 }, 429, 'rate_limited', 3],
    ['server_error', {}, 503, 'provider_unavailable', 3],
    ['overloaded', {}, 503, 'provider_unavailable', 3],
    ['malformed_json', {}, 502, 'provider_protocol_error', 1],
    ['html', {}, 502, 'provider_protocol_error', 1],
    ['error_body', {}, 503, 'provider_unavailable', 3],
    ['empty', {}, 502, 'provider_protocol_error', 1],
    ['reset', {}, 503, 'provider_unavailable', 3],
    ['unauthorized', {}, 502, 'provider_misconfigured', 1],
    ['insufficient_quota', {}, 502, 'provider_misconfigured', 1],
  ])(
    'turns the fault %s into its status, code, attempts and row',
    async (kind, extra, status, code, attempts) => {
      for (const name of ['greet', 'chat']) {
        const before = await gateway.providerRequests();
        await gateway.fault({ kind, ...extra });
        const answer = await gateway.execute(name, { variables: { name: 'Ada' } });
        expect([answer.status, answer.body.error.code]).toEqual([status, code]);
        expect(answer.headers.get('x-should-retry')).toBe('false');
        expect((await gateway.providerRequests()) - before).toBe(attempts);
        const row = await rowOf(answer);
        expect(row).toMatchObject({
          status: 'failed',
          error: { code },
          attempts,
          output: null,
          cost: null,
          simulated: true,
        });
        expect(row.attempt_details.map((attempt: { number: number }) => attempt.number)).toEqual(
          Array.from({ length: attempts }, (_, index) => index + 1),
        );
      }
    },
  );

  it('recovers within its attempts, and the row tells how many it took', async () => {
    await gateway.fault({ kind: 'server_error', times: 2 });
    const answer = await gateway.execute('greet', { variables: { name: 'Ada' } });
    expect(answer.body).toMatchObject({ status: 'succeeded', attempts: 3 });
    const row = await rowOf(answer);
    expect(row.attempt_details.map((attempt: { http_status: number }) => attempt.http_status)).toEqual([
      500, 500, 200,
    ]);
  });

  it.each(['stall', 'slow'])(
    'ends a provider that is too slow (%s) at the deadline of the definition',
    async (kind) => {
      await gateway.fault({ kind, delayMs: 2_000 });
      const answer = await gateway.execute('hasty', { variables: { name: 'Ada' } });
      expect([answer.status, answer.body.error.code]).toEqual([504, 'provider_timeout']);
      const row = await rowOf(answer);
      expect(row).toMatchObject({ status: 'failed', error: { code: 'provider_timeout' }, attempts: 1 });
      expect(row.latency_ms).toBeLessThan(1_500);
    },
  );

  it('records a caller who went away as cancelled', async () => {
    await gateway.fault({ kind: 'slow', delayMs: 5_000 });
    const away = new AbortController();
    const before = await gateway.providerRequests();
    const call = gateway.execute('greet', { variables: { name: 'gone' } }, { signal: away.signal });
    await expect.poll(() => gateway.providerRequests()).toBe(before + 1);
    away.abort();
    await expect(call).rejects.toThrow();
    await expect
      .poll(async () => (await gateway.call('GET', '/v1/executions?status=cancelled')).body.data)
      .toMatchObject([{ prompt: 'greet', error: { code: 'cancelled' }, attempts: 1 }]);
  });

  it('leaves no intent behind', async () => {
    await expect
      .poll(() => gateway.query('select count(*)::int as n from ai_execution_intents'))
      .toEqual([{ n: 0 }]);
  });
});
