import type { Actor } from '../domain/api-key.ts';
import { type Coverage, type KeyCoverage, toCoverage } from '../domain/coverage.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { AuditStore } from './audit-store.ts';

export interface CoverageReport {
  readonly since: Date;
  readonly until: Date;
  readonly total: Coverage;
  readonly keys: readonly KeyCoverage[];
}

const dayMs = 86_400_000;
const defaultDays = 7;
/** Every call of the time is read. */
const maxDays = 92;

/**
 * Which share of the calls that started in [since, until) names a prompt. Default: the last seven days. A key without
 * `admin` sees its own calls only.
 * @throws PromptgateError invalid_request — a time that is too long, or ends before it begins
 */
export async function readCoverage(
  audit: Pick<AuditStore, 'countTraffic'>,
  actor: Actor,
  window: { readonly since?: Date | undefined; readonly until?: Date | undefined },
): Promise<CoverageReport> {
  const until = window.until ?? new Date();
  const since = window.since ?? new Date(until.getTime() - defaultDays * dayMs);
  const days = (until.getTime() - since.getTime()) / dayMs;
  if (days <= 0 || days > maxDays) {
    throw new PromptgateError(
      'invalid_request',
      `The time from since to until must be at most ${maxDays} days, and begin before it ends.`,
    );
  }
  const keyId = actor.scopes.includes('admin') ? null : (actor.keyId ?? '');
  return { since, until, ...toCoverage(await audit.countTraffic({ since, until, keyId })) };
}
