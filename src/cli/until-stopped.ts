import type { App } from '../app.ts';
import { errorTable } from '../domain/errors.ts';
import type { Listener } from '../http/listen.ts';

export interface Stop {
  /** Resolves at the first SIGINT or SIGTERM. */
  readonly requested: Promise<void>;
  /** Aborts at the second. A third one ends the process as the system would have. */
  readonly hurry: AbortSignal;
}

export function listenForStop(): Stop {
  const { promise, resolve } = Promise.withResolvers<void>();
  const hurry = new AbortController();
  let signals = 0;
  const onSignal = () => {
    signals += 1;
    if (signals === 1) return resolve();
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
    hurry.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return { requested: promise, hurry: hurry.signal };
}

/** Answers are on their way when this begins; what a client does not read in this time it will not read. */
export const answerTimeoutMs = 2_000;

/** The first calls come first: loading the job library takes a good tenth of a second of computing. */
const schedulesAfterMs = 3_000;

/**
 * Waits for the stop, then ends: not ready and nothing new at once, calls in flight within the bound (at once when
 * hurried), their records after them, the listener last.
 * @returns the exit code: not 0 when an outcome had to be left to recovery
 */
export async function runUntilStopped(
  app: App,
  listener: Listener,
  drainTimeoutMs: number,
  stop: Stop,
): Promise<number> {
  const schedules = setTimeout(() => app.startSchedules(), schedulesAfterMs).unref();
  await stop.requested;
  clearTimeout(schedules);
  app.stopAccepting();
  app.log.info('stopping: calls in flight may end', { drain_timeout_ms: drainTimeoutMs });
  const left = await app.drain(drainTimeoutMs, stop.hurry);
  if (left > 0) app.log.warn('outcomes are left to recovery', { outcomes: left });
  await listener.close(answerTimeoutMs);
  return left > 0 ? errorTable.audit_unavailable.exitCode : 0;
}
