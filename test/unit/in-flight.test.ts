import { describe, expect, it } from 'vitest';
import { createGateway } from '../../src/application/gateway.ts';
import { createInFlight } from '../../src/application/in-flight.ts';

const untilAborted = (signal: AbortSignal) =>
  new Promise<unknown>((resolve) => signal.addEventListener('abort', () => resolve(signal.reason)));

describe('executions in flight', () => {
  it('end by themselves within the bound, and nothing new begins', async () => {
    const inFlight = createInFlight();
    const gate = Promise.withResolvers<string>();
    const running = inFlight.run(undefined, () => gate.promise);
    inFlight.stop();
    await expect(inFlight.run(undefined, async () => 'late')).rejects.toMatchObject({
      code: 'audit_unavailable',
      retryAfterMs: expect.any(Number),
    });
    const drained = inFlight.drain(60_000);
    gate.resolve('done');
    expect(await running).toBe('done');
    await drained;
    expect(inFlight.size()).toBe(0);
  });

  it.each(['the bound', 'a second signal'])('are cancelled, and waited for, at %s', async (when) => {
    const inFlight = createInFlight();
    const running = inFlight.run(undefined, untilAborted);
    const hurry = new AbortController();
    const drained = inFlight.drain(when === 'the bound' ? 1 : 60_000, hurry.signal);
    if (when !== 'the bound') hurry.abort();
    expect(await running).toMatchObject({ code: 'cancelled' });
    await drained;
  });

  it('are batches of replays too: a gateway that stops waits for their report', async () => {
    const inFlight = createInFlight();
    const found = Promise.withResolvers<undefined>();
    const replays = { findRun: () => found.promise };
    const gateway = createGateway({ inFlight, replays } as unknown as Parameters<typeof createGateway>[0]);
    const actor = { name: 'key:ci', keyId: 'key_ci', scopes: ['admin'] } as const;
    const { signal } = new AbortController();
    const request = { actor, draw: { resume: 'run' }, concurrency: 1, requestId: 'r', signal };
    const batch = expect(gateway.replayExecutions(request)).rejects.toMatchObject({ code: 'not_found' });
    let isDrained = false;
    const drained = inFlight.drain(60_000).then(() => {
      isDrained = true;
    });
    await new Promise((done) => setImmediate(done));
    expect([inFlight.size(), isDrained]).toEqual([1, false]);
    found.resolve(undefined);
    await Promise.all([batch, drained]);
    expect(inFlight.size()).toBe(0);
  });

  it('hear of a caller that leaves', async () => {
    const caller = new AbortController();
    const running = createInFlight().run(caller.signal, untilAborted);
    caller.abort('left');
    expect(await running).toBe('left');
  });
});
