/** What every answer says of its execution, whatever the shape of its body. */
import type { Executed } from '../application/execute-prompt.ts';
import type { LimitStanding } from '../domain/budget.ts';
import type { Admission } from '../domain/execution.ts';
import type { HttpContext } from './context.ts';

/** What is known once the call is admitted: all that a streamed answer can say in its headers. */
export function describeAdmission(
  c: HttpContext,
  { id, promptName, promptVersion, purpose }: Admission,
): void {
  c.header('x-promptgate-execution-id', id);
  c.header('x-promptgate-purpose', purpose);
  if (purpose === 'raw') return;
  c.header('x-promptgate-prompt', promptName);
  c.header('x-promptgate-version', String(promptVersion));
}

export function describeExecution(c: HttpContext, execution: Executed): void {
  describeAdmission(c, execution);
  c.header('x-promptgate-attempts', String(execution.attempts.length));
  c.header('x-promptgate-overhead-ms', String(execution.overheadMs));
  const { cost, currency } = execution.price;
  // Without a price there is no header: nobody reads a guess into it.
  if (cost !== null) c.header('x-promptgate-cost', `${cost} ${currency}`);
  if (execution.replayed) c.header('idempotent-replayed', 'true');
}

/** On every answer of a limited caller, refused or not, so that it may slow down before it is refused. */
export function describeLimit(c: HttpContext, { limit, remaining, resetMs }: LimitStanding): void {
  c.header('ratelimit-limit', limit);
  c.header('ratelimit-remaining', String(remaining));
  c.header('ratelimit-reset', String(Math.ceil(resetMs / 1000)));
}
