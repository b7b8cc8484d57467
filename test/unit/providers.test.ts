import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/domain/errors.ts';
import { PromptgateError } from '../../src/domain/errors.ts';
import { type ClosableProviders, createProviders } from '../../src/providers/providers.ts';
import type { Fault } from '../../src/providers/simulated-fault.ts';
import { type SimulatedProvider, startSimulatedProvider } from '../../src/providers/simulated-provider.ts';
import { callOf, controlOf, noWaits, settingsOf } from '../support/provider-calls.ts';

let simulated: SimulatedProvider;
let providers: ClosableProviders;

beforeAll(async () => {
  simulated = await startSimulatedProvider();
  providers = createProviders(
    [
      settingsOf('openai', `${simulated.url}/v1`),
      settingsOf('openai-responses', `${simulated.url}/v1`),
      settingsOf('anthropic', simulated.url),
    ],
    noWaits,
  );
});
afterEach(() => simulated.reset());
afterAll(async () => {
  await providers.close();
  await simulated.close();
});

const wires = [
  ['openai', 'gpt-4o-mini'],
  ['openai-responses', 'gpt-4o-mini'],
  ['anthropic', 'claude-haiku-4-5'],
] as const;

describe.each(wires)('over the %s wire', (wire, model) => {
  const call = callOf(wire, model);

  test('an answer comes with output, usage, ids and one attempt', async () => {
    const result = await providers.call(call, controlOf());
    expect(result).toMatchObject({
      ok: true,
      answer: {
        output: expect.stringMatching(`^\\[simulated ${model}\\]`),
        finishReason: 'stop',
        responseModel: model,
        providerRequestId: 'req_simulated_1',
        usage: { promptTokens: 5, completionTokens: expect.any(Number), cachedTokens: 0 },
      },
      attempts: [{ number: 1, httpStatus: 200, errorCode: null, providerRequestId: 'req_simulated_1' }],
    });
  });

  const faults: [Fault, ErrorCode, number, (number | null)?][] = [
    [{ kind: 'rate_limit' }, 'rate_limited', 3, 429],
    [{ kind: 'server_error' }, 'provider_unavailable', 3, 500],
    [{ kind: 'overloaded' }, 'provider_unavailable', 3, 529],
    [{ kind: 'reset' }, 'provider_unavailable', 3, null],
    [{ kind: 'error_body' }, 'provider_unavailable', 3, 200],
    [{ kind: 'malformed_json' }, 'provider_protocol_error', 1, 200],
    [{ kind: 'html' }, 'provider_protocol_error', 1, 200],
    [{ kind: 'empty' }, 'provider_protocol_error', 1, 200],
    [{ kind: 'rejected' }, 'provider_rejected', 1, 400],
    [{ kind: 'unauthorized' }, 'provider_misconfigured', 1, 401],
    [{ kind: 'insufficient_quota' }, 'provider_misconfigured', 1, wire === 'anthropic' ? 402 : 429],
    [{ kind: 'redirect' }, 'provider_misconfigured', 1, null],
  ];
  test.each(faults)('%o ends as %s after %i request(s)', async (fault, code, requests, status) => {
    simulated.setFault(fault);
    const result = await providers.call(call, controlOf());
    expect(result.ok ? null : result.error.code).toBe(code);
    expect(simulated.requestCount).toBe(requests);
    expect(result.attempts).toHaveLength(requests);
    expect(result.attempts.at(-1)).toMatchObject({ httpStatus: status, errorCode: code });
    expect(JSON.stringify([result.attempts, result.ok || result.error.message])).not.toMatch(
      /sk-test|simulat\*+/,
    );
  });

  test.each([
    ['stream_truncate', 'provider_protocol_error'],
    ['stream_reset', 'provider_unavailable'],
    ['stream_error', 'provider_unavailable'],
  ] as const)('%s strikes after some of the text, ends as %s, and is not repeated', async (kind, code) => {
    const whole = await providers.call(call, controlOf());
    simulated.reset();
    simulated.setFault({ kind });
    let text = '';
    const result = await providers.stream(call, {
      ...controlOf(),
      onDelta(delta) {
        text += 'text' in delta ? delta.text : '';
      },
    });
    expect(result).toMatchObject({ ok: false, error: { code } });
    expect(text).not.toBe('');
    expect(whole.ok && whole.answer.output.startsWith(text)).toBe(true);
    expect(whole.ok && whole.answer.output).not.toBe(text);
    expect(simulated.requestCount).toBe(1);
  });

  test('a fault that passes is retried into an answer, and every attempt is on record', async () => {
    simulated.setFault({ kind: 'server_error', times: 2 });
    const seen: number[] = [];
    const result = await providers.call(
      call,
      controlOf({
        beforeAttempt: async (number, earlier) => {
          seen.push(number, earlier.length);
        },
      }),
    );
    expect(result.ok).toBe(true);
    expect(result.attempts.map(({ httpStatus }) => httpStatus)).toEqual([500, 500, 200]);
    expect(seen).toEqual([1, 0, 2, 1, 3, 2]);
  });

  test('the deadline aborts a request in flight: provider_timeout, no further request', async () => {
    simulated.setFault({ kind: 'silent' });
    const result = await providers.call(call, controlOf({ deadlineMs: 250 }));
    expect(result).toMatchObject({ ok: false, error: { code: 'provider_timeout' } });
    expect(result.attempts).toMatchObject([{ httpStatus: null, errorCode: 'provider_timeout' }]);
    expect(simulated.requestCount).toBe(1);
  });

  test('the deadline aborts a body that stalls', async () => {
    simulated.setFault({ kind: 'stall' });
    const result = await providers.call(call, controlOf({ deadlineMs: 250 }));
    expect(result).toMatchObject({ ok: false, error: { code: 'provider_timeout' } });
    expect(simulated.requestCount).toBe(1);
  });

  test('a caller who leaves aborts the request in flight: cancelled, no further request', async () => {
    simulated.setFault({ kind: 'silent' });
    const caller = new AbortController();
    const pending = providers.call(call, controlOf({ signal: caller.signal }));
    await expect.poll(() => simulated.requestCount).toBe(1);
    caller.abort();
    expect(await pending).toMatchObject({ ok: false, error: { code: 'cancelled' } });
    expect(simulated.requestCount).toBe(1);
  });

  test('a caller who left before the call causes no request and no intent', async () => {
    let intents = 0;
    const control = controlOf({
      signal: AbortSignal.abort(),
      beforeAttempt: async () => {
        intents += 1;
      },
    });
    expect(await providers.call(call, control)).toMatchObject({ ok: false, error: { code: 'cancelled' } });
    expect([intents, simulated.requestCount]).toEqual([0, 0]);
  });

  test('when the intent cannot be written no request is made', async () => {
    const control = controlOf({
      beforeAttempt: () => Promise.reject(new PromptgateError('audit_unavailable', 'no database')),
    });
    const result = await providers.call(call, control);
    expect(result).toMatchObject({ ok: false, error: { code: 'audit_unavailable' }, attempts: [] });
    expect(simulated.requestCount).toBe(0);
  });

  test('when the intent of a retry cannot be written the retry is not made', async () => {
    simulated.setFault({ kind: 'server_error' });
    const control = controlOf({
      beforeAttempt: async (number) => {
        if (number === 2) throw new PromptgateError('audit_unavailable', 'no database');
      },
    });
    const result = await providers.call(call, control);
    expect(result).toMatchObject({ ok: false, error: { code: 'audit_unavailable' } });
    expect(result.attempts).toHaveLength(1);
    expect(simulated.requestCount).toBe(1);
  });

  test('a wait that does not fit the deadline is not begun; the caller learns how long it was', async () => {
    simulated.setFault({ kind: 'rate_limit', retryAfter: 60 });
    const result = await providers.call(call, controlOf());
    expect(result).toMatchObject({ ok: false, error: { code: 'rate_limited', retryAfterMs: 60_000 } });
    expect(simulated.requestCount).toBe(1);
  });

  test('JSON output with a schema is asked for on the wire and answered', async () => {
    const schema = {
      type: 'object',
      properties: { title: { type: 'string' }, score: { type: 'number' } },
      required: ['title', 'score'],
      additionalProperties: false,
    };
    const result = await providers.call({ ...call, output: { format: 'json', schema } }, controlOf());
    expect(result.ok && JSON.parse(result.answer.output)).toEqual({ title: 'simulated', score: 0 });
  });
});

test('a provider that nobody listens at is provider_unavailable after three attempts', async () => {
  const dead = await startSimulatedProvider();
  await dead.close();
  const unreachable = createProviders([settingsOf('openai', `${dead.url}/v1`)], noWaits);
  const result = await unreachable.call(callOf('openai', 'gpt-4o-mini'), controlOf());
  expect(result).toMatchObject({ ok: false, error: { code: 'provider_unavailable' } });
  expect(result.attempts).toHaveLength(3);
  await unreachable.close();
});

test('headers that do not come in time are provider_timeout, and are not asked for again', async () => {
  const impatient = createProviders(
    [settingsOf('openai', `${simulated.url}/v1`, { firstByteTimeoutMs: 20 })],
    noWaits,
  );
  simulated.setFault({ kind: 'silent' });
  const result = await impatient.call(callOf('openai', 'gpt-4o-mini'), controlOf());
  expect(result).toMatchObject({ ok: false, error: { code: 'provider_timeout' } });
  expect(simulated.requestCount).toBe(1);
  await impatient.close();
});

test('a parameter that the wire cannot carry is refused before any request', async () => {
  const call = callOf('anthropic', 'claude-haiku-4-5', { parameters: { seed: 7 } });
  const result = await providers.call(call, controlOf());
  expect(result).toMatchObject({ ok: false, error: { code: 'provider_rejected' }, attempts: [] });
  expect(result.ok || result.error.message).toContain('seed');
  expect(simulated.requestCount).toBe(0);
});

test('a route to a provider that is not configured is a result, not a throw', async () => {
  const result = await providers.call(callOf('nowhere', 'm'), controlOf());
  expect(result).toMatchObject({ ok: false, error: { code: 'provider_misconfigured' }, attempts: [] });
});

describe('routing', () => {
  const { route } = createProviders([
    settingsOf('openai', 'https://api.openai.com/v1'),
    settingsOf('anthropic', 'https://api.anthropic.com'),
    settingsOf('openai', 'http://localhost:1/v1', {
      name: 'local',
      modelPrefixes: ['gpt-4o-local', 'llama'],
    }),
  ]);
  test.each([
    ['gpt-4o-mini', 'openai', 'gpt-4o-mini'],
    ['claude-haiku-4-5', 'anthropic', 'claude-haiku-4-5'],
    ['gpt-4o-local-7b', 'local', 'gpt-4o-local-7b'],
    ['local/gpt-4o-mini', 'local', 'gpt-4o-mini'],
    ['local/meta/llama-3', 'local', 'meta/llama-3'],
    ['openai/claude-haiku-4-5', 'openai', 'claude-haiku-4-5'],
  ])('%s goes to %s as %s', (name, provider, model) => {
    expect(route(name)).toMatchObject({ provider, model, simulated: false });
  });
  test.each(['mistral-large', 'local/', '/gpt-4o', 'meta/llama-3', ''])('%j goes nowhere', (name) => {
    expect(route(name)).toBeUndefined();
  });
});

test('ids and names that a provider made up are short and writable, so that no paid answer is lost for them', async () => {
  const strange = `\0\ud800${'x'.repeat(5_000)}`;
  const body = {
    id: strange,
    model: strange,
    system_fingerprint: strange,
    service_tier: strange,
    choices: [{ message: { content: strange }, finish_reason: 'stop' }],
  };
  const fetch = async () => Response.json(body);
  const hostile = createProviders([settingsOf('openai', 'http://127.0.0.1')], { ...noWaits, fetch });
  const result = await hostile.call(callOf('openai', 'gpt-4o-mini'), controlOf());
  const name = `\ufffd\ufffd${'x'.repeat(198)}`;
  expect(result).toMatchObject({
    ok: true,
    // The output is normalised, and said to be, where it is recorded.
    answer: {
      output: strange,
      responseModel: name,
      systemFingerprint: name,
      serviceTier: name,
      providerRequestId: name,
    },
  });
});
