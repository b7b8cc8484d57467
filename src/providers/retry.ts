/**
 * The only retry policy. One call becomes at most three requests under one deadline; the SDKs repeat nothing.
 *
 * Deadline and caller's signal meet in one signal here, which aborts the request in flight and the waits; what an attempt
 * has brought home counts, even when the signal fired meanwhile. Why no library: docs/decisions/2026-11-29-own-retry-loop.md.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { AttemptControl, ProviderResult } from '../application/provider.ts';
import { PromptgateError, toPromptgateError } from '../domain/errors.ts';
import type { Attempt } from '../domain/execution.ts';
import type { Bill } from '../domain/price.ts';
import { AttemptFailure } from './attempt-failure.ts';
import type { WireAnswer } from './wire.ts';

export interface RetryPolicy {
  readonly attemptsMax: number;
  /** Upper bound of the first wait, doubled for each further one, in milliseconds. */
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
}

export const defaultRetryPolicy: RetryPolicy = { attemptsMax: 3, baseDelayMs: 500, maxDelayMs: 8_000 };

export interface RetryDependencies {
  readonly now?: () => Date;
  /** In [0, 1): spreads the waits of many callers over the whole interval (full jitter). */
  readonly random?: () => number;
  readonly policy?: RetryPolicy;
  /** Resolves after `ms`, rejects when `signal` aborts. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** How long an aborted request may take to end; a transport that ignores its signal must not hold the caller. */
const abortGraceMs = 250;

/** Makes one request; throws AttemptFailure. */
export type Request = (signal: AbortSignal) => Promise<WireAnswer>;

/** Never throws. @see Providers.call */
export async function callWithRetries(
  request: Request,
  control: AttemptControl,
  deps: RetryDependencies = {},
): Promise<ProviderResult> {
  const policy = deps.policy ?? defaultRetryPolicy;
  const stop = new Stop(control);
  const attempts: Attempt[] = [];
  const billed: Bill[] = [];
  try {
    for (let number = 1; ; number++) {
      try {
        const { answer } = await attemptOnce(request, control, stop, attempts, number, deps);
        return { ok: true, answer, attempts, billed };
      } catch (error) {
        if (error instanceof AttemptFailure && error.bill) billed.push(error.bill);
        const isLast = number >= policy.attemptsMax;
        if (isLast || !(await waitForNext(error, number, stop, policy, deps))) {
          return { ok: false, error: stop.reasonFor(error), attempts, billed };
        }
      }
    }
  } finally {
    stop.release();
  }
}

async function attemptOnce(
  request: Request,
  control: AttemptControl,
  stop: Stop,
  attempts: Attempt[],
  number: number,
  deps: RetryDependencies,
): Promise<WireAnswer> {
  stop.check();
  try {
    await control.beforeAttempt(number, [...attempts]);
  } catch (error) {
    throw new AttemptFailure(toPromptgateError(error), { retryable: false });
  }
  stop.check();
  const now = deps.now ?? (() => new Date());
  const startedAt = now();
  const from = performance.now();
  const record = (outcome: Omit<Attempt, 'number' | 'startedAt' | 'latencyMs'>) =>
    attempts.push({ number, startedAt, latencyMs: sinceMs(from), ...outcome });
  try {
    const answered = await stop.bound(request(stop.signal));
    record({
      httpStatus: answered.httpStatus,
      errorCode: null,
      errorMessage: null,
      providerRequestId: answered.answer.providerRequestId,
      retryAfterMs: null,
    });
    return answered;
  } catch (thrown) {
    const failure = toFailure(thrown, stop);
    record({
      httpStatus: failure.httpStatus,
      errorCode: failure.error.code,
      errorMessage: failure.error.message,
      providerRequestId: failure.providerRequestId,
      retryAfterMs: failure.error.retryAfterMs,
    });
    throw failure;
  }
}

/**
 * Decides about the next attempt and waits for it. A wait that does not fit into the time left is not begun: the caller
 * hears at once, with the wait that was asked.
 */
async function waitForNext(
  error: unknown,
  ended: number,
  stop: Stop,
  policy: RetryPolicy,
  deps: RetryDependencies,
): Promise<boolean> {
  if (!(error instanceof AttemptFailure) || !error.retryable || stop.signal.aborted) return false;
  const bound = Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** (ended - 1));
  const backoffMs = Math.floor((deps.random ?? Math.random)() * bound);
  // Some servers ask for a wait of 0 ms while they refuse for want of time: that is no wish.
  const waitMs = error.error.retryAfterMs || backoffMs;
  if (waitMs >= stop.timeLeftMs()) return false;
  try {
    await (deps.wait ?? abortableDelay)(waitMs, stop.signal);
  } catch {
    return false;
  }
  return !stop.signal.aborted;
}

async function abortableDelay(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await delay(ms, undefined, { signal });
}

/** Whatever a request throws after the stop is the stop's doing; a failure seen before it keeps its own reason. */
function toFailure(thrown: unknown, stop: Stop): AttemptFailure {
  const seen = thrown instanceof AttemptFailure ? thrown : undefined;
  const answered = seen !== undefined && seen.httpStatus !== null && seen.httpStatus >= 300;
  if (stop.signal.aborted && !answered) {
    return new AttemptFailure(stop.error(thrown), {
      retryable: false,
      httpStatus: seen?.httpStatus ?? null,
      providerRequestId: seen?.providerRequestId ?? null,
      bill: seen?.bill ?? null,
    });
  }
  return seen ?? new AttemptFailure(toPromptgateError(thrown), { retryable: false });
}

/** Joins the deadline and the caller's signal; whichever comes first gives the reason. An object with methods: every call makes one. */
class Stop {
  readonly #controller = new AbortController();
  readonly #callerSignal: AbortSignal;
  readonly #deadlineMs: number;
  readonly #endsAt: number;
  readonly #timer: NodeJS.Timeout;
  #cancelled = false;

  constructor({ signal, deadlineMs }: AttemptControl) {
    this.#callerSignal = signal;
    this.#deadlineMs = deadlineMs;
    this.#endsAt = performance.now() + deadlineMs;
    this.#timer = setTimeout(() => this.#controller.abort(), deadlineMs);
    if (signal.aborted) this.#onCancel();
    else signal.addEventListener('abort', this.#onCancel, { once: true });
  }

  readonly #onCancel = () => {
    this.#cancelled ||= !this.signal.aborted;
    this.#controller.abort();
  };

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  timeLeftMs(): number {
    return this.#endsAt - performance.now();
  }

  /** @throws AttemptFailure when the call is over */
  check(): void {
    if (this.signal.aborted) throw new AttemptFailure(this.error(), { retryable: false });
  }

  error(cause?: unknown): PromptgateError {
    if (this.#cancelled) return cancellation(this.#callerSignal.reason, cause);
    const message = `No complete answer within ${this.#deadlineMs} ms.`;
    return new PromptgateError('provider_timeout', message, { cause });
  }

  /** The error that a call ends with. */
  reasonFor(thrown: unknown): PromptgateError {
    if (!(thrown instanceof AttemptFailure)) return toPromptgateError(thrown);
    // A retryable failure ends the call only when the wait after it was cut short or did not fit.
    return this.#cancelled && thrown.retryable ? this.error(thrown) : thrown.error;
  }

  /** `work`, but no longer than the grace after the stop. */
  bound<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const onStop = () => {
        timer = setTimeout(() => reject(new Error('the request outlived its abort')), abortGraceMs);
      };
      if (this.signal.aborted) onStop();
      else this.signal.addEventListener('abort', onStop, { once: true });
      const release = () => {
        clearTimeout(timer);
        this.signal.removeEventListener('abort', onStop);
      };
      work.finally(release).then(resolve, reject);
    });
  }

  release(): void {
    clearTimeout(this.#timer);
    this.#callerSignal.removeEventListener('abort', this.#onCancel);
  }
}

/** The caller's signal may say why; by itself it says that the caller left. */
function cancellation(reason: unknown, cause: unknown): PromptgateError {
  if (reason instanceof PromptgateError) return new PromptgateError(reason.code, reason.message, { cause });
  return new PromptgateError('cancelled', 'The caller went away before the answer.', { cause });
}

function sinceMs(from: number): number {
  return Math.round((performance.now() - from) * 1000) / 1000;
}
