/**
 * PostgreSQL goes away under load, in four ways, and comes back. Strictly: no call goes out meanwhile, and everyone
 * hears so in time. With a spool: calls go on, and their records arrive once.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countStatuses } from '../support/fault-rig.ts';
import { report, scaled } from '../support/fault-run.ts';
import { type Call, runLoad } from '../support/gateway-process.ts';
import { loadThrough, type OutageRig, outageNames, startOutageRig } from '../support/outage.ts';

const auditTimeoutMs = 700;
/** Everyone is answered here, so a disk that syncs slowly beside the other tests must not pass for an audit that is away. */
const spoolTimeoutMs = 2_000;
/** Longer than a call waits for its outcome and the next one for its intent: some begin and end while it lasts. */
const outageMs = scaled(2_000, 30_000);
/** What a busy machine may add to a deadline. */
const slackMs = 1_500;
const recoveryMs = 5_000;
const timeout = 60_000 + 3 * outageMs;

const environment = { PROMPTGATE_AUDIT_TIMEOUT_MS: String(auditTimeoutMs) };
const cases = outageNames.map((name, number) => ({ name, prefix: `outage${number}` }));
const slowestOf = (calls: readonly Call[]) => Math.round(Math.max(...calls.map(({ ms }) => ms)));

describe('a strict gateway, while PostgreSQL is', () => {
  let rig: OutageRig;
  beforeAll(async () => {
    rig = await startOutageRig(environment);
  });
  afterAll(() => rig.close());

  it.each(cases)(
    '$name, calls no provider, answers 503 in time, and is back within 5 s',
    {
      timeout,
    },
    async ({ name, prefix }) => {
      // Calls at full speed would only heat the machine: before and after an outage they have to be there.
      await rig.provider.behave({ delayMs: 20 });
      const { calls, during, recoveredMs } = await loadThrough(rig, { name, prefix, outageMs });
      const trail = await rig.expectNothingWrong(calls);
      const slowestMs = slowestOf(calls);
      const figures = { seconds: outageMs / 1000, refused: during.length, slowestMs, recoveredMs };
      report(`${name}, strict`, { ...figures, ...countStatuses(trail, prefix) });
      expect(during.length).toBeGreaterThan(0);
      expect(new Set(during.map(({ status, code }) => `${status} ${code}`))).toEqual(
        new Set(['503 audit_unavailable']),
      );
      const refused = new Set(during.map(({ token }) => token));
      expect(rig.provider.ledger().filter(({ token }) => refused.has(token))).toEqual([]);
      // Once for the intent, once for the outcome.
      expect(slowestMs).toBeLessThan(2 * auditTimeoutMs + slackMs);
      expect(recoveredMs).toBeLessThan(recoveryMs);
    },
  );
});

describe('a gateway with a spool, while PostgreSQL is', () => {
  let rig: OutageRig;
  beforeAll(async () => {
    rig = await startOutageRig({
      PROMPTGATE_AUDIT_TIMEOUT_MS: String(spoolTimeoutMs),
      PROMPTGATE_AUDIT_MODE: 'spool',
    });
  });
  afterAll(() => rig.close());

  it.each(cases)(
    '$name, executes on, and has every record once when it is back',
    {
      timeout,
    },
    async ({ name, prefix }) => {
      await rig.provider.behave({ delayMs: 50 });
      const { calls, during, recoveredMs } = await loadThrough(rig, { name, prefix, outageMs });
      await rig.expectReplayed();
      const trail = await rig.expectNothingWrong(calls);
      const slowestMs = slowestOf(calls);
      const figures = { seconds: outageMs / 1000, during: during.length, slowestMs, recoveredMs };
      report(`${name}, spool`, { ...figures, ...countStatuses(trail, prefix) });
      expect(during.length).toBeGreaterThan(0);
      expect(new Set(calls.map(({ status }) => status))).toEqual(new Set([200]));
      expect(slowestMs).toBeLessThan(2 * spoolTimeoutMs + slackMs);
      expect(recoveredMs).toBeLessThan(recoveryMs);
    },
  );
});

describe('a gateway whose connections are ended again and again', () => {
  let rig: OutageRig;
  beforeAll(async () => {
    rig = await startOutageRig(environment);
  });
  afterAll(() => rig.close());

  it('lives, loses nothing, and keeps every key of which it said that it is made', { timeout }, async () => {
    await rig.provider.behave({ delayMs: 20 });
    let stopped = false;
    const until = () => stopped;
    const load = runLoad(rig.gateway, { concurrency: 4, prefix: 'ended', until });
    const keys = Promise.all([makeKeys(rig, 'a', until), makeKeys(rig, 'b', until)]);
    const rounds = scaled(10, 500);
    for (let round = 0; round < rounds; round++) {
      const before = rig.provider.count;
      await expect.poll(() => rig.provider.count, { timeout: 20_000 }).toBeGreaterThan(before + 10);
      if (round % 2 === 0) rig.proxy.reset();
      else await rig.endBackends();
    }
    stopped = true;
    const [calls, made] = await Promise.all([load, keys]);
    const trail = await rig.expectNothingWrong(calls);
    report('connections ended', { rounds, keys: made.flat().length, ...countStatuses(trail, 'ended') });
    expect(made.flat().length).toBeGreaterThan(0);
    const written = await rig.query(`select name from api_keys where name like 'ended-%'`);
    expect(written.map(({ name }) => name)).toEqual(expect.arrayContaining(made.flat()));
  });
});

/** Each a transaction. @returns the names of those of which it was said that they are made */
async function makeKeys({ gateway }: OutageRig, prefix: string, until: () => boolean): Promise<string[]> {
  const made: string[] = [];
  for (let count = 0; !until(); count++) {
    const name = `ended-${prefix}-${count}`;
    const response = await fetch(`${gateway.url}/v1/keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${gateway.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name, scopes: ['execute'] }),
    });
    await response.arrayBuffer();
    if (response.ok) made.push(name);
  }
  return made;
}
