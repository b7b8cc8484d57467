/** A batch of replays whose gateway is killed half-way: what was paid for, what is gone on with, and what the cap lets through. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ReplayBatchView } from '../../src/http/replay-batch-view.ts';
import { type Rig, startRig } from '../support/fault-rig.ts';
import { isLong, report } from '../support/fault-run.ts';
import { runLoad } from '../support/gateway-process.ts';

const count = 200;
const concurrency = 16;
const prices = 'prices:\n  - { provider: openai, model: "*", input: 1000, output: 1000 }\n';

// What the calls of any run do when their gateway dies, every run of the tests shows: test/fault/evaluation.
describe.skipIf(!isLong).each(['PostgreSQL', 'PGlite'] as const)('a batch of replays on %s', (kind) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig(kind);
    await writeFile(join(rig.gateway.directory, 'promptgate.yaml'), prices);
    await rig.gateway.start();
    await runLoad(rig.gateway, { concurrency, prefix: 'replay', count });
  });
  afterAll(() => rig.close());

  const post = (body: object, key = rig.gateway.key) =>
    fetch(`${rig.gateway.url}/v1/replays`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify({ concurrency, ...body }),
    });
  const replay = async (body: object, key?: string) =>
    (await (await post(body, key)).json()) as ReplayBatchView;
  const newKey = async () => {
    const headers = { authorization: `Bearer ${rig.gateway.key}` };
    const body = JSON.stringify({ name: 'operator', scopes: ['admin'] });
    const made = await fetch(`${rig.gateway.url}/v1/keys`, { method: 'POST', headers, body });
    return ((await made.json()) as { secret: string }).secret;
  };
  /** Its longest answer is bounded, so what a call costs at most is known. */
  const draw = { prompt: 'greet', to: { parameters: { maxOutputTokens: 60 } }, sample: count, seed: 'kill' };
  const rowsOf = async (run: string, filter = '') => {
    const { text } = await rig.gateway.get(`/v1/executions?run=${run}&limit=200${filter}`);
    return (JSON.parse(text) as { data: { cost: string | null }[] }).data;
  };

  it('keeps its cap, and after SIGKILL half-way is gone on with as if nothing had been, paying for nothing twice', {
    timeout: 240_000,
  }, async () => {
    const { provider, gateway } = rig;
    const whole = await replay(draw);
    expect([whole.compared, whole.call_count]).toEqual([count, count]);
    const costs = whole.pairs.map(({ after }) => Number(after?.cost));
    const mean = Number(whole.cost) / count;

    const cap = (count / 3) * mean;
    let before = provider.count;
    const capped = await replay({ ...draw, budget: cap.toFixed(6) });
    const cost = (await rowsOf(capped.run_id)).reduce((sum, row) => sum + Number(row.cost), 0);
    const made = provider.count - before;
    expect([capped.stopped, capped.call_count, cost > 0, cost <= cap]).toEqual(['budget', made, true, true]);

    before = provider.count;
    await provider.behave({ delayMs: 5, holdAt: 'request', holdFrom: before + count / 2 + 1 });
    const cut = await post({ ...draw, stream: true });
    const began = new TextDecoder().decode((await cut.body!.getReader().read()).value);
    const run = /"run_id":"([\w-]+)"/.exec(began)?.[1] ?? '';
    // The worst moment there is: every place is taken by a call that is paid for and not answered.
    await expect.poll(() => provider.held, { timeout: 30_000, interval: 5 }).toBe(concurrency);
    await gateway.kill();
    await provider.release();
    await provider.behave({});
    await rig.restart();

    // At once, and with another key: what they cost nobody knows, and the cap takes each for the most that it may have cost.
    const room = (count - 2) * mean;
    const careful = await replay({ resume: run, budget: room.toFixed(6) }, await newKey());
    const paid = (provider.count - before) * Math.max(...costs);
    expect([careful.stopped, careful.cost, paid <= room]).toEqual(['budget', null, true]);
    const [unknown, refused] = [await rowsOf(run, '&status=unknown'), await rowsOf(run, '&status=refused')];
    expect([unknown.length, refused.length]).toEqual([concurrency, 0]);

    const resumed = await replay({ resume: run });
    const own = provider.ledger().slice(before);
    expect([own.length, new Set(own.map(({ token }) => token)).size]).toEqual([count, count]);
    const lost = resumed.pairs.filter(({ after }) => after?.ok !== true);
    expect([lost.length, resumed.compared, resumed.stopped]).toEqual([
      concurrency,
      count - concurrency,
      null,
    ]);
    for (const { reason } of lost) expect(reason).toContain('it may have been paid for');

    const asked = await replay({ resume: run, retry_unanswered: true });
    expect(provider.count - before).toBe(count + concurrency);
    expect(essence(asked)).toEqual(essence(whole));
    expect(JSON.parse((await gateway.get('/v1/audit/verify')).text)).toMatchObject({ sound: true });
    report(`replay on ${kind}`, { sample: count, cappedCalls: made, inFlight: lost.length });
  });
});

/** What a report says, without what is of this run alone: ids of its calls, and time. */
function essence({ pairs, movements, equal, mean_change, failures, costs, sample, seed }: ReplayBatchView) {
  return {
    ...{ equal, mean_change, failures, costs, sample, seed },
    movements: movements
      .filter(({ name }) => name !== 'latency_ms')
      .map(({ name, before, after }) => [name, before, after]),
    pairs: pairs.map(({ execution_id, change, equal: same, reproduced, reason, after }) => [
      ...[execution_id, change, same, reproduced, reason],
      ...[after?.outcome, after?.length, after?.cost],
    ]),
  };
}
