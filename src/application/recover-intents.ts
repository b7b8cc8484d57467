/**
 * What becomes of a call whose gateway died: `unknown`. It is never sent again, because nobody knows whether the
 * provider has done (and billed) it already.
 */
import type { Attempt, Execution, Intent } from '../domain/execution.ts';
import { noPrice } from '../domain/price.ts';
import { noOutcome } from './execution-outcome.ts';

const reason =
  'The gateway ended before the outcome was recorded. The provider may or may not have done the work.';

/** The outcome of an execution of which only the intent of its last attempt is left. Its times are not known: 0. */
export function toUnknownExecution(intent: Intent): Execution {
  const { attempt, earlierAttempts, ...admission } = intent;
  const last: Attempt = {
    number: attempt,
    startedAt: intent.startedAt,
    latencyMs: 0,
    httpStatus: null,
    errorCode: null,
    errorMessage: reason,
    providerRequestId: null,
    retryAfterMs: null,
  };
  return {
    ...admission,
    ...noOutcome,
    errorMessage: reason,
    price: noPrice('the outcome is unknown'),
    latencyMs: 0,
    overheadMs: 0,
    attempts: [...earlierAttempts, last],
  };
}
