/**
 * Idempotency-Key as Stripe defines it: the first request with a key is executed, an equal one gets the same result, and
 * whatever is not certain is told and never executed again.
 */
import { hashJson } from '../domain/canonical-json.ts';
import { type Issue, PromptgateError } from '../domain/errors.ts';
import type { StoredExecution } from '../domain/execution.ts';
import type { JsonObject } from '../domain/json.ts';
import type { ClaimHolder, IdempotencyClaim } from './audit-trail.ts';
import type { ExecuteRequest } from './execute-prompt.ts';

const inFlightRetryAfterMs = 1_000;

/** Undefined: the caller sent no key. */
export function claimOf(request: ExecuteRequest): IdempotencyClaim | undefined {
  const { idempotencyKey } = request;
  if (idempotencyKey === undefined) return undefined;
  const { promptName, label, version, draft, variables, messages, overrides, metadata } = request;
  return {
    scope: scopeOf(request),
    key: idempotencyKey,
    fingerprint: hashJson({
      promptName,
      label,
      version,
      draft: draft?.checksum,
      variables,
      messages,
      overrides: overrides as JsonObject | undefined,
      metadata,
    }),
  };
}

/** A call of a run is one call, whoever goes on with the run. No client names a run; a caller in this process has no key. */
function scopeOf({ actor, runId }: ExecuteRequest): string {
  if (runId !== undefined) return `run:${runId}`;
  return actor.keyId === null ? `actor:${actor.name}` : `key:${actor.keyId}`;
}

/** Why the holder's result cannot be given to this request; undefined when it can. */
export function refuseClaim(claim: IdempotencyClaim, holder: ClaimHolder): PromptgateError | undefined {
  if (holder.fingerprint !== claim.fingerprint) {
    return new PromptgateError(
      'conflict',
      'This Idempotency-Key was used with another request. A new request needs a key of its own.',
    );
  }
  if (holder.status === null) {
    return new PromptgateError(
      'conflict',
      `The request with this Idempotency-Key is in flight, as execution ${holder.executionId}. Ask again as Retry-After says.`,
      { retryAfterMs: inFlightRetryAfterMs },
    );
  }
  if (holder.status === 'unknown') {
    return new PromptgateError(
      'conflict',
      `What became of the request with this Idempotency-Key is not known: see execution ${holder.executionId}. It may have been done and is not repeated; to do it again, send it with a new key.`,
    );
  }
  return undefined;
}

/** The stored end of an execution once more. @throws PromptgateError — the one it ended with */
export function replayStored(
  execution: StoredExecution,
  issues: readonly Issue[],
): StoredExecution & { readonly replayed: true } {
  if (execution.errorCode === null) return { ...execution, replayed: true };
  const error = new PromptgateError(execution.errorCode, execution.errorMessage ?? 'The execution failed.', {
    issues,
  });
  error.executionId = execution.id;
  error.replayed = true;
  error.providerAsked = execution.attempts.length > 0;
  throw error;
}
