/** The executions that run now: bounded stop, so that a process ends without leaving one in the dark. */
import { PromptgateError } from '../domain/errors.ts';

export interface InFlight {
  /**
   * Runs an execution; `work` is given the signal to obey. @throws PromptgateError audit_unavailable — stopping
   */
  run<T>(signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  size(): number;
  /** Admits nothing from now on. */
  stop(): void;
  isStopping(): boolean;
  /**
   * Resolves when all have ended. Those that have not after `timeoutMs`, or when `hurry` aborts, are cancelled: they end
   * with a row that says so.
   */
  drain(timeoutMs: number, hurry?: AbortSignal): Promise<void>;
}

interface Running {
  readonly controller: AbortController;
  readonly done: Promise<unknown>;
  place: number;
}

export function createInFlight(): InFlight {
  // Not a Map: an outgrown table of it leads to the next one. Once one is old, whoever was ever in a later one is copied by
  // the scavenges until the next full collection.
  const running: Running[] = [];
  let stopping = false;

  function leave(one: Running): void {
    const last = running.pop()!;
    if (last === one) return;
    running[one.place] = last;
    last.place = one.place;
  }

  function cancelAll(): void {
    const reason = new PromptgateError('cancelled', 'The gateway stopped before the answer.');
    // A copy: whoever is aborted leaves.
    for (const { controller } of [...running]) controller.abort(reason);
  }

  return {
    run(signal, work) {
      if (stopping) {
        const message = 'This gateway is stopping. No provider was called; send the request again.';
        return Promise.reject(new PromptgateError('audit_unavailable', message, { retryAfterMs: 1_000 }));
      }
      const controller = new AbortController();
      const onAbort = () => controller.abort(signal?.reason);
      if (signal?.aborted) onAbort();
      signal?.addEventListener('abort', onAbort, { once: true });
      const done = work(controller.signal);
      const one = { controller, done, place: running.length };
      running.push(one);
      const ended = () => {
        leave(one);
        signal?.removeEventListener('abort', onAbort);
      };
      done.then(ended, ended);
      return done;
    },
    size: () => running.length,
    stop() {
      stopping = true;
    },
    isStopping: () => stopping,
    async drain(timeoutMs, hurry) {
      const timer = setTimeout(cancelAll, timeoutMs);
      if (hurry?.aborted) cancelAll();
      hurry?.addEventListener('abort', cancelAll, { once: true });
      await Promise.allSettled(running.map(({ done }) => done));
      clearTimeout(timer);
      hurry?.removeEventListener('abort', cancelAll);
    },
  };
}
