/** The two ends of Node's cluster: the address is one, connections are dealt out in turn. */
import cluster, { type Worker } from 'node:cluster';
import type {
  FellowWorkers,
  WorkerAnswer,
  WorkerAnswers,
  WorkerQuestion,
} from '../application/fellow-workers.ts';
import { toPromptgateError } from '../domain/errors.ts';
import type { Begin, FromWorker, ToWorker } from './message.ts';
import type { WorkerProcess } from './supervisor.ts';

/** True in a process that a supervisor started. */
export const isWorker = cluster.isWorker;

/** Starts this program once more, with the same arguments, as a worker. */
export function spawnWorker(): WorkerProcess {
  // By value and not as JSON, which knows neither NaN nor infinity; both are found among metrics.
  cluster.setupPrimary({ serialization: 'advanced' });
  const worker: Worker = cluster.fork();
  // A message to a process that died this moment; its exit is what tells.
  worker.on('error', () => {});
  closeWhatItNeverTook(worker);
  return {
    pid: worker.process.pid ?? 0,
    send(message) {
      if (worker.isConnected()) worker.send(message, () => {});
    },
    onMessage: (listener) => void worker.on('message', listener),
    onExit: (listener) => void worker.once('exit', listener),
    kill: () => void worker.process.kill('SIGKILL'),
  };
}

/**
 * Node passes a worker one connection at a time and holds it until the worker says that it has it. One that dies before never
 * says so, and Node forgets the connection: it stays open, nobody reads it, and its caller waits for ever.
 */
function closeWhatItNeverTook(worker: Worker): void {
  let passed: Passed | undefined;
  const { process } = worker;
  const send = process.send;
  process.send = ((...args: Parameters<typeof send>) => {
    const [message, handle] = args;
    if ((message as { act?: unknown }).act === 'newconn') passed = handle as unknown as Passed;
    return send.apply(process, args);
  }) as typeof send;
  worker.once('exit', () => {
    // What a worker that ends as it was told did not take has gone to another one.
    if (!worker.exitedAfterDisconnect) passed?.close();
  });
}

/** A connection as Node passes it on: closed here as soon as the worker has it; to close it again does nothing. */
interface Passed {
  close(): void;
}

export interface SupervisorLink {
  /** The first thing that the supervisor says. */
  readonly begin: Promise<Begin>;
  /**
   * Requested when the supervisor says so, or at a signal: both come when a whole group of processes is told to stop, so
   * that only the supervisor can hurry.
   */
  readonly stop: { readonly requested: Promise<void>; readonly hurry: AbortSignal };
  fellowsAt(begin: Begin): FellowWorkers;
  ready(url: string, gatewayId: string): void;
  failed(error: unknown): void;
  /** Lets the process end. When the supervisor is gone it ends by itself, at once, like a gateway that is killed. */
  close(): void;
}

export function connectToSupervisor(): SupervisorLink {
  const begin = Promise.withResolvers<Begin>();
  const stop = Promise.withResolvers<void>();
  const hurry = new AbortController();
  const asked = new Map<number, (answers: WorkerAnswers) => void>();
  const givers = new Map<WorkerQuestion, () => Promise<WorkerAnswer>>();
  let lastId = 0;

  function say(message: FromWorker): void {
    if (process.connected) process.send?.(message);
  }

  async function reply(id: number, question: WorkerQuestion): Promise<void> {
    const given = await givers.get(question)?.();
    if (given) say({ type: 'answer', id, ...given });
  }

  process.on('message', (message: ToWorker) => {
    switch (message.type) {
      case 'begin':
        return begin.resolve(message);
      case 'question':
        // Who cannot answer stays silent, and that is an answer too.
        return void reply(message.id, message.question).catch(() => {});
      case 'answers':
        asked.get(message.id)?.(message);
        return void asked.delete(message.id);
      case 'stop':
        return stop.resolve();
      case 'hurry':
        return hurry.abort();
    }
  });
  process.on('SIGTERM', () => stop.resolve());
  process.on('SIGINT', () => stop.resolve());
  return {
    begin: begin.promise,
    stop: { requested: stop.promise, hurry: hurry.signal },
    fellowsAt: ({ worker, wanted, predecessor, heirloom }) => ({
      worker,
      wanted,
      predecessor,
      heirloom,
      ask(question) {
        const id = ++lastId;
        say({ type: 'ask', id, question });
        return new Promise((resolve) => asked.set(id, resolve));
      },
      answer: (question, give) => void givers.set(question, give),
    }),
    ready: (url, gatewayId) => say({ type: 'ready', url, gatewayId }),
    failed(thrown) {
      const { code, message, issues } = toPromptgateError(thrown);
      say({ type: 'failed', failure: { code, message, issues } });
    },
    close: () => void cluster.worker?.disconnect(),
  };
}
