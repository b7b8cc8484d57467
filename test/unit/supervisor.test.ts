import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PromptgateError } from '../../src/domain/errors.ts';
import type { FromWorker, ToWorker } from '../../src/workers/message.ts';
import { createSupervisor, type WorkerProcess } from '../../src/workers/supervisor.ts';

interface FakeWorker extends WorkerProcess {
  readonly heard: ToWorker[];
  say(message: FromWorker): void;
  end(code: number | null, signal?: string): void;
}

/** Workers that are only spoken for, by the test. */
function startFakes(workers: number) {
  const spawned: FakeWorker[] = [];
  const spawn = () => {
    let [hear, ended]: [(message: FromWorker) => void, (code: number | null, signal: string | null) => void] =
      [() => {}, () => {}];
    const heard: ToWorker[] = [];
    const worker: FakeWorker = {
      pid: 1_000 + spawned.length,
      heard,
      send: (message) => void heard.push(message),
      onMessage: (listener) => {
        hear = listener;
      },
      onExit: (listener) => {
        ended = listener;
      },
      kill: () => ended(null, 'SIGKILL'),
      say: (message) => hear(message),
      end: (code, signal) => ended(code, signal ?? null),
    };
    spawned.push(worker);
    return worker;
  };
  const log = { info: vi.fn(), warn: vi.fn() };
  const supervisor = createSupervisor({ workers, spawn, log, stopTimeoutMs: 5_000 });
  const worker = (index: number) => spawned[index] as FakeWorker;
  const ready = (index: number) =>
    worker(index).say({ type: 'ready', url: 'http://here', gatewayId: `gateway-${index}` });
  const askedOf = (index: number) => {
    const question = worker(index).heard.find(({ type }) => type === 'question');
    return question?.type === 'question' ? question.id : 0;
  };
  return { supervisor, spawned, worker, ready, askedOf, log };
}

async function startTwo() {
  const fakes = startFakes(2);
  const started = fakes.supervisor.start();
  fakes.ready(0);
  fakes.ready(1);
  expect(await started).toBe('http://here');
  return fakes;
}

describe('a supervisor', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
  afterEach(() => void vi.useRealTimers());

  it('has started when every worker serves, not before', async () => {
    const { supervisor, ready } = startFakes(2);
    const listening = vi.fn();
    const started = supervisor.start().then(listening);
    ready(0);
    await Promise.resolve();
    expect(listening).not.toHaveBeenCalled();
    ready(1);
    await started;
    expect(listening).toHaveBeenCalledWith('http://here');
  });

  it('does not start with some of its workers: says what the first failure said, once, and leaves none', async () => {
    const { supervisor, ready, worker, log } = startFakes(3);
    const started = supervisor.start();
    ready(0);
    const failure = { code: 'invalid_request', message: '127.0.0.1:1 is in use.', issues: [] } as const;
    worker(1).say({ type: 'failed', failure });
    worker(2).say({ type: 'failed', failure: { ...failure, message: 'another' } });
    const thrown = await started.catch((error) => error);
    expect(thrown).toBeInstanceOf(PromptgateError);
    expect([thrown.code, thrown.message]).toEqual(['invalid_request', '127.0.0.1:1 is in use.']);
    expect(log.warn).not.toHaveBeenCalled();
  });

  it('replaces a worker at once and tells the next whose place it has; those that die again wait longer', async () => {
    const { spawned, worker, ready, log } = await startTwo();
    worker(0).say({ type: 'answer', id: 0, answer: [], heirloom: ['never asked'] });
    worker(0).end(null, 'SIGKILL');
    await vi.advanceTimersByTimeAsync(0);
    expect(spawned).toHaveLength(3);
    expect(worker(2).heard[0]).toEqual({
      type: 'begin',
      worker: 1,
      wanted: 2,
      predecessor: 'gateway-0',
      heirloom: null,
    });
    const waits = [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000];
    for (const [death, waitMs] of waits.entries()) {
      worker(2 + death).end(1);
      await vi.advanceTimersByTimeAsync(waitMs - 1);
      expect(spawned).toHaveLength(3 + death);
      await vi.advanceTimersByTimeAsync(1);
      expect(spawned).toHaveLength(4 + death);
      // None of them served, so the last one that did is still to be recovered.
      expect(worker(3 + death).heard[0]).toMatchObject({ worker: 1, predecessor: 'gateway-0' });
    }
    ready(10);
    await vi.advanceTimersByTimeAsync(10_001);
    worker(10).end(1);
    await vi.advanceTimersByTimeAsync(0);
    expect(worker(11).heard[0]).toMatchObject({ worker: 1, predecessor: 'gateway-10' });
    expect(log.warn).toHaveBeenCalledTimes(10);
  });

  it('asks every worker that serves; who dies or keeps silent holds nobody up', async () => {
    const { worker, askedOf } = await startTwo();
    worker(0).say({ type: 'ask', id: 7, question: 'metrics' });
    worker(1).say({ type: 'answer', id: askedOf(1), answer: 'of 1', heirloom: 'left by 1' });
    worker(0).say({ type: 'answer', id: askedOf(0), answer: 'of 0', heirloom: 'left by 0' });
    await vi.advanceTimersByTimeAsync(0);
    const common = { type: 'answers', wanted: 2 };
    expect(worker(0).heard.at(-1)).toEqual({
      ...common,
      ...{ id: 7, answers: ['of 1', 'of 0'], heirlooms: [], replaced: 0 },
    });
    worker(0).say({ type: 'ask', id: 8, question: 'readiness' });
    await vi.advanceTimersByTimeAsync(3_000);
    expect(worker(0).heard.at(-1)).toMatchObject({ ...common, id: 8, answers: [undefined, undefined] });
    worker(0).say({ type: 'ask', id: 9, question: 'metrics' });
    worker(1).end(null, 'SIGKILL');
    await vi.advanceTimersByTimeAsync(3_000);
    // What the dead one counted is told by the supervisor until its successor, which inherits it, serves.
    expect(worker(0).heard.at(-1)).toMatchObject({
      ...common,
      ...{ id: 9, answers: [undefined], heirlooms: ['left by 0', 'left by 1'], replaced: 1 },
    });
    expect(worker(2).heard[0]).toMatchObject({ worker: 2, heirloom: 'left by 1' });
  });

  it('stops all, replaces none of them, and ends with the worst of their exit codes', async () => {
    const { supervisor, spawned, worker } = await startTwo();
    const ended = supervisor.stop();
    expect([worker(0).heard.at(-1), worker(1).heard.at(-1)]).toEqual([{ type: 'stop' }, { type: 'stop' }]);
    supervisor.hurry();
    expect(worker(1).heard.at(-1)).toEqual({ type: 'hurry' });
    worker(0).end(16);
    worker(1).end(0);
    expect(await ended).toBe(16);
    expect(spawned).toHaveLength(2);
  });

  it('kills a worker that does not end in its time, and says with its exit code that something may be left', async () => {
    const { supervisor, worker } = await startTwo();
    const ended = supervisor.stop();
    worker(0).end(0);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await ended).toBe(16);
  });
});
