/** The local journal of the mode `spool`, when the gateway dies in the middle of it and when there is no room for it. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { countStatuses } from '../support/fault-rig.ts';
import { randomBetween, report, scaled } from '../support/fault-run.ts';
import { type Call, runLoad } from '../support/gateway-process.ts';
import { type OutageRig, startOutageRig } from '../support/outage.ts';

const environment = { PROMPTGATE_AUDIT_MODE: 'spool', PROMPTGATE_AUDIT_TIMEOUT_MS: '1000' };
/** Longer than all waits of the rig together: what was waited for in vain is then told by the wait itself. */
const timeout = scaled(240_000, 900_000);
/** Far more than fill a journal: who gets no answer that ends the load does not ask for ever. */
const mostCalls = 500;

let rig: OutageRig;
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail' && rig) reportState(rig);
  await rig?.close();
});

/** Where it stood when it failed: beside all the other tests nobody sees it again. */
function reportState({ gateway, provider }: OutageRig): void {
  const directory = join(gateway.directory, '.promptgate', 'spool');
  const journal = existsSync(directory) ? readdirSync(directory) : null;
  const log = gateway.isRunning ? gateway.log().slice(-2_000) : null;
  report('state at failure', { provider: provider.count, running: gateway.isRunning, journal, log });
}

describe('a gateway that spools and is killed', () => {
  it('while it writes its journal, and while it replays it, loses nothing and replays once', {
    timeout,
  }, async () => {
    rig = await startOutageRig(environment);
    const { begin, end } = rig.outages.stopped;
    const rounds = scaled(1, 20);
    const calls = [];
    for (let round = 0; round < rounds; round++) {
      await begin();
      let stopped = false;
      const prefix = `spool${round}`;
      const load = runLoad(rig.gateway, { concurrency: 8, prefix, until: () => stopped });
      await expect.poll(() => rig.provider.count, { timeout: 10_000 }).toBeGreaterThan(round * 10 + 10);
      await delay(randomBetween(0, 300));
      stopped = true;
      await rig.gateway.kill();
      calls.push(...(await load));
      await end();
      // The first commit of the replay is made, and the gateway dies before it hears so.
      const committed = rig.proxy.freezeAtCommit();
      await Promise.all([rig.restart(), committed]);
      await rig.gateway.kill();
      rig.proxy.thaw();
      await rig.restart();
      await rig.expectReplayed();
    }
    const trail = await rig.expectNothingWrong(calls);
    report('SIGKILL mid-spool and mid-replay', { rounds, calls: calls.length, ...countStatuses(trail) });
    expect(calls.filter(({ status }) => status === 200).length).toBeGreaterThan(0);
  });
});

describe('a gateway whose journal is full', () => {
  it('by its bound admits nothing more (503), and what it admitted has its outcome', {
    timeout,
  }, async () => {
    rig = await startOutageRig({
      ...environment,
      // On a busy machine the bound has to be what refuses, and not the time that a call may wait.
      PROMPTGATE_AUDIT_TIMEOUT_MS: '20000',
      PROMPTGATE_SPOOL_MAX_BYTES: String(1024 * 1024),
    });
    const calls = await expectFull();
    const refused = calls.filter(({ status }) => status === 503);
    expect(refused.filter(({ message }) => !message?.includes('The spool is full'))).toEqual([]);
  });

  it('because the disk is full answers 503, and what it admitted has its outcome', {
    timeout,
  }, async (test) => {
    rig = await startOutageRig(environment);
    await rig.gateway.stop();
    const directory = join(rig.gateway.directory, '.promptgate', 'spool');
    mkdirSync(directory, { recursive: true });
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=700', 'tmpfs', directory], {
        stdio: 'ignore',
      });
    } catch {
      return test.skip('mounting a small disk needs root');
    }
    try {
      await rig.gateway.start();
      await expectFull();
      await rig.gateway.stop();
    } finally {
      execFileSync('umount', ['-l', directory]);
    }
  });

  async function expectFull(): Promise<Call[]> {
    await rig.outages.stopped.begin();
    let refused = 0;
    const calls = await runLoad(rig.gateway, {
      concurrency: 4,
      count: mostCalls,
      prefix: 'full',
      padding: 'x'.repeat(40_000),
      until: () => refused >= 10,
      onCall: ({ status }) => {
        if (status === 503) refused += 1;
      },
    });
    await rig.outages.stopped.end();
    await rig.expectReplayed();
    const trail = await rig.expectNothingWrong(calls);
    report('full journal', { calls: calls.length, ...countStatuses(trail) });
    expect(calls.filter(({ status }) => status === 200).length).toBeGreaterThan(2);
    expect(calls.every(({ status }) => status === 200 || status === 503)).toBe(true);
    return calls;
  }
});
