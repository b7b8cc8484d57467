import type { Execution, ExecutionStatus, Intent } from '../domain/execution.ts';

/** The wish that of all requests with one key of one caller only the first is executed. */
export interface IdempotencyClaim {
  /** Whose key it is: keys of two callers never meet. */
  readonly scope: string;
  readonly key: string;
  /** Hash of everything that decides what is executed. */
  readonly fingerprint: string;
}

/** The execution that holds a claim. */
export interface ClaimHolder {
  readonly executionId: string;
  readonly fingerprint: string;
  /** Null while it is in flight. */
  readonly status: ExecutionStatus | null;
}

/** Port through which a call becomes part of the audit trail: one intent before each attempt, one outcome. */
export interface AuditTrail {
  /**
   * Resolves when the intent is durable; until then no byte may go to a provider. The first intent of an execution
   * reserves room for its outcome.
   * @returns who holds the claim when it is another execution: then there is no intent and nothing may be called
   * @throws PromptgateError audit_unavailable — within the audit deadline, whatever the database does
   */
  writeIntent(intent: Intent, claim?: IdempotencyClaim): Promise<ClaimHolder | undefined>;
  /**
   * Who holds a claim, for a request that is not going to make it.
   * @throws PromptgateError audit_unavailable
   */
  findHolder(claim: IdempotencyClaim): Promise<ClaimHolder | undefined>;
  /**
   * Resolves when the outcome is durable and the intents are cleared. Goes on trying for a while after it has thrown;
   * then recovery makes the outcome `unknown`.
   * @throws PromptgateError audit_unavailable — not durable within the audit deadline
   */
  settle(execution: Execution): Promise<void>;
  /** The call has ended. Where nobody said how, because something broke on the way, recovery makes it `unknown`. */
  leave(id: string): void;
}
