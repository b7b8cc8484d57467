/** A provider that refuses everyone: attempts and waits stay within bounds, and each attempt is on record. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Rig, startRig } from '../support/fault-rig.ts';
import { report, scaled } from '../support/fault-run.ts';
import { type Call, runLoad } from '../support/gateway-process.ts';
import type { Trail } from '../support/trail.ts';

const attemptsMax = 3;
/** Deadline of the prompt `hasty`, and what a busy machine may add to it. */
const deadlineMs = 2_000;
const slackMs = 1_500;

const retryAfters: Record<string, string> = {
  'a-day': '86400',
  minus: '-1',
  nan: 'NaN',
  'past-date': 'Wed, 21 Oct 2015 07:28:00 GMT',
  'far-date': 'Fri, 31 Dec 2999 23:59:59 GMT',
};

describe('a storm of 429', () => {
  let rig: Rig;
  let trail: Trail;
  let calls: Call[];

  beforeAll(async () => {
    rig = await startRig('PostgreSQL');
    await rig.gateway.start();
    await rig.provider.behave({ status: 429, retryAfter: retryAfters });
    const options = { concurrency: 8, count: scaled(10, 300), prompt: 'hasty' } as const;
    const storms = [...Object.keys(retryAfters), 'no-wish'].map((prefix) =>
      runLoad(rig.gateway, { ...options, prefix }),
    );
    calls = (await Promise.all(storms)).flat();
    trail = await rig.expectNothingWrong(calls);
  }, 120_000);
  afterAll(() => rig.close());

  it.each([...Object.keys(retryAfters), 'no-wish'])(
    'with Retry-After: %s holds no caller past the deadline',
    (prefix) => {
      const made = calls.filter(({ token }) => token.startsWith(`call-${prefix}`));
      const slowestMs = Math.round(Math.max(...made.map(({ ms }) => ms)));
      const requests = rig.provider.ledger().filter(({ token }) => token.startsWith(`call-${prefix}`));
      report(`429 with Retry-After ${prefix}`, { calls: made.length, requests: requests.length, slowestMs });
      // On a busy machine the deadline can come before the last refusal.
      const codes = new Set(['rate_limited', 'provider_timeout']);
      expect(made.filter(({ code }) => code === null || !codes.has(code))).toEqual([]);
      expect(slowestMs).toBeLessThan(deadlineMs + slackMs);
      expect(requests.length).toBeGreaterThanOrEqual(made.length);
      expect(requests.length).toBeLessThanOrEqual(attemptsMax * made.length);
    },
  );

  it('leaves a record of every attempt, and makes at most three', () => {
    const requests = Map.groupBy(rig.provider.ledger(), ({ token }) => token);
    const code = new Map(calls.map((call) => [call.token, call.code]));
    const sent = (token: string) => requests.get(token)?.length ?? 0;
    // On a busy machine the deadline can come between the record of an attempt and its request.
    const isLate = (token: string, attempts: number) =>
      code.get(token) === 'provider_timeout' && attempts === sent(token) + 1;
    const wrong = trail.executions.filter(
      ({ token, attempts }) => attempts !== sent(token) && !isLate(token, attempts),
    );
    expect(wrong).toEqual([]);
    expect(new Set(trail.executions.map(({ token }) => token))).toEqual(new Set(requests.keys()));
    expect(Math.max(...trail.executions.map(({ attempts }) => attempts))).toBeLessThanOrEqual(attemptsMax);
  });
});
