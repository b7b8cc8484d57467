import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ProviderAnswer } from '../../src/application/provider.ts';
import { PromptgateError } from '../../src/domain/errors.ts';
import { noUsage } from '../../src/domain/usage.ts';
import { AttemptFailure } from '../../src/providers/attempt-failure.ts';
import { callWithRetries, defaultRetryPolicy, type Request } from '../../src/providers/retry.ts';
import { readRetryAfter } from '../../src/providers/retry-after.ts';
import { controlOf } from '../support/provider-calls.ts';

const answer: ProviderAnswer = {
  output: 'Hello.',
  toolCalls: [],
  reasoning: [],
  finishReason: 'stop',
  usage: noUsage,
  rawUsage: null,
  responseModel: null,
  systemFingerprint: null,
  serviceTier: null,
  providerRequestId: 'req_1',
  responseId: 'chatcmpl-1',
};
const success = { answer, httpStatus: 200 };

function failure(retryAfterMs?: number, retryable = true): AttemptFailure {
  const options = retryAfterMs === undefined ? {} : { retryAfterMs };
  return new AttemptFailure(new PromptgateError('rate_limited', 'limited', options), {
    retryable,
    httpStatus: 429,
  });
}

/** A request that fails with each of the failures in turn, then succeeds; and the waits that were asked for. */
function scripted(...failures: AttemptFailure[]) {
  const waits: number[] = [];
  let made = 0;
  const request: Request = async () => {
    const next = failures[made++];
    if (next) throw next;
    return success;
  };
  const wait = async (ms: number) => {
    waits.push(ms);
  };
  return { request, wait, waits, made: () => made };
}

describe('attempts', () => {
  test('at most three requests are made', async () => {
    const script = scripted(...Array.from({ length: 9 }, () => failure()));
    const result = await callWithRetries(script.request, controlOf({ deadlineMs: 60_000 }), script);
    expect(result).toMatchObject({ ok: false, error: { code: 'rate_limited' } });
    expect([script.made(), result.attempts.length]).toEqual([3, 3]);
  });

  test('a failure that another attempt cannot help is not repeated', async () => {
    const script = scripted(failure(undefined, false));
    const result = await callWithRetries(script.request, controlOf(), script);
    expect([result.ok, script.made(), script.waits]).toEqual([false, 1, []]);
  });

  test('waits grow from 500 ms, jittered over the whole interval, and never pass 8 s', async () => {
    const policy = { ...defaultRetryPolicy, attemptsMax: 8 };
    const waitsAt = async (random: number) => {
      const script = scripted(...Array.from({ length: 7 }, () => failure()));
      await callWithRetries(script.request, controlOf({ deadlineMs: 600_000 }), {
        wait: script.wait,
        random: () => random,
        policy,
      });
      return script.waits;
    };
    expect(await waitsAt(0.9999999)).toEqual([499, 999, 1999, 3999, 7999, 7999, 7999]);
    expect(await waitsAt(0)).toEqual([0, 0, 0, 0, 0, 0, 0]);
  });

  test('the wait that the provider asks for is kept; a wish of 0 ms is none', async () => {
    const script = scripted(failure(1234), failure(0));
    const result = await callWithRetries(script.request, controlOf(), { ...script, random: () => 0.5 });
    expect(result.ok).toBe(true);
    expect(script.waits).toEqual([1234, 500]);
    expect(result.attempts.map((attempt) => attempt.retryAfterMs)).toEqual([1234, 0, null]);
  });

  test('each attempt records when it began, by the injected clock', async () => {
    const at = new Date('2026-01-02T03:04:05Z');
    const script = scripted();
    const result = await callWithRetries(script.request, controlOf(), { now: () => at });
    expect(result.attempts).toEqual([
      {
        number: 1,
        startedAt: at,
        latencyMs: expect.any(Number),
        httpStatus: 200,
        errorCode: null,
        errorMessage: null,
        providerRequestId: 'req_1',
        retryAfterMs: null,
      },
    ]);
  });

  test('a request that throws something unforeseen is an internal error that leaks nothing, made once', async () => {
    let made = 0;
    const request: Request = async () => {
      made += 1;
      throw new TypeError('secret detail');
    };
    const result = await callWithRetries(request, controlOf());
    expect(result).toMatchObject({ ok: false, error: { code: 'internal' } });
    expect(JSON.stringify([result.attempts, result.ok || result.error.message])).not.toContain('secret');
    expect(made).toBe(1);
  });
});

describe('deadline and abort', () => {
  test('a wait longer than the time left ends the call at once, with the wait in the error', async () => {
    const script = scripted(failure(86_400_000));
    const result = await callWithRetries(script.request, controlOf({ deadlineMs: 1_000 }), script);
    expect(result).toMatchObject({ ok: false, error: { code: 'rate_limited', retryAfterMs: 86_400_000 } });
    expect([script.made(), script.waits]).toEqual([1, []]);
  });

  test('a caller who leaves during a wait ends it: cancelled, no further request', async () => {
    const caller = new AbortController();
    const script = scripted(failure(3_000));
    const pending = callWithRetries(script.request, controlOf({ signal: caller.signal }));
    await expect.poll(script.made).toBe(1);
    caller.abort();
    const result = await pending;
    expect(result).toMatchObject({ ok: false, error: { code: 'cancelled' } });
    expect(result.attempts).toMatchObject([{ errorCode: 'rate_limited' }]);
    expect(script.made()).toBe(1);
  });

  test('a success that comes together with the abort is kept', async () => {
    const caller = new AbortController();
    const request: Request = async () => {
      caller.abort();
      return success;
    };
    const result = await callWithRetries(request, controlOf({ signal: caller.signal }));
    expect(result).toMatchObject({ ok: true, answer: { output: 'Hello.' } });
  });

  test('a success that comes a moment after the abort is kept: it is paid for', async () => {
    const caller = new AbortController();
    const request: Request = (signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => setImmediate(() => resolve(success)));
        caller.abort();
      });
    expect(await callWithRetries(request, controlOf({ signal: caller.signal }))).toMatchObject({ ok: true });
  });

  test('a transport that ignores its signal does not hold the caller', async () => {
    const request: Request = () => new Promise(() => {});
    const result = await callWithRetries(request, controlOf({ deadlineMs: 10 }));
    expect(result).toMatchObject({ ok: false, error: { code: 'provider_timeout' } });
    expect(result.attempts).toMatchObject([{ errorCode: 'provider_timeout' }]);
  });

  test('a deadline that passes while the intent is written makes no request', async () => {
    const script = scripted();
    const control = controlOf({
      deadlineMs: 5,
      beforeAttempt: () => new Promise((resolve) => setTimeout(resolve, 20)),
    });
    const result = await callWithRetries(script.request, control);
    expect(result).toMatchObject({ ok: false, error: { code: 'provider_timeout' }, attempts: [] });
    expect(script.made()).toBe(0);
  });

  test('an answer that was read before the abort keeps its own error', async () => {
    const caller = new AbortController();
    const request: Request = async () => {
      caller.abort();
      throw failure(undefined, false);
    };
    const result = await callWithRetries(request, controlOf({ signal: caller.signal }));
    expect(result).toMatchObject({ ok: false, error: { code: 'rate_limited' } });
  });
});

describe('retry-after', () => {
  const now = Date.parse('2026-11-20T12:00:00Z');
  const read = (headers: Record<string, string>) => readRetryAfter(new Headers(headers), now);

  test.each([
    [{ 'retry-after-ms': '250', 'retry-after': '9' }, 250],
    [{ 'retry-after-ms': '0', 'retry-after': '1' }, 0],
    [{ 'retry-after-ms': 'NaN', 'retry-after': '2' }, 2_000],
    [{ 'retry-after': '1.5' }, 1_500],
    [{ 'retry-after': '86400' }, 86_400_000],
    [{ 'retry-after': 'Fri, 20 Nov 2026 12:00:30 GMT' }, 30_000],
    [{ 'retry-after': 'Fri, 20 Nov 2026 11:00:00 GMT' }, 0],
    [{ 'retry-after': '99999999999999999999' }, 7 * 86_400_000],
    [{ 'retry-after': '-1' }, null],
    [{ 'retry-after': 'NaN' }, null],
    [{ 'retry-after': '' }, null],
    [{ 'retry-after': 'soon' }, null],
    [{ 'retry-after': '1e3' }, null],
    [{ 'retry-after': '2026' }, 2_026_000],
    [{}, null],
  ])('%o is %j ms', (headers, expected) => {
    expect(read(headers as Record<string, string>)).toBe(expected);
  });

  test('whatever the header says, the result is null or a wait that a timer can hold', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[\x20-\x7e]{0,40}$/), (value) => {
        const ms = read({ 'retry-after': value, 'retry-after-ms': value });
        expect(ms === null || (Number.isInteger(ms) && ms >= 0 && ms < 2 ** 31)).toBe(true);
      }),
    );
  });
});
