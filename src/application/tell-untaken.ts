/**
 * News that no receiver is known to have taken, told again. Whoever found them tries for an hour and a quarter, in memory: a
 * process that is stopped meanwhile loses its tries, and the next run by the clock makes up for them. Under the same id, so a
 * receiver that hears it twice can tell.
 */
import type { DriftReport } from './detect-drift.ts';
import type { DriftStore } from './drift-store.ts';
import type { ProbeStore } from './probe-store.ts';
import type { ProbeReport } from './run-probe.ts';

export interface TellUntakenDependencies {
  readonly drift: Pick<DriftStore, 'listUntaken'>;
  readonly probes: Pick<ProbeStore, 'listUntaken'>;
  /** Absent: nobody wants to be told. */
  readonly news?: { drift(report: DriftReport): void; probe(report: ProbeReport): void } | undefined;
}

/** Longer than the tries of whoever found it. */
const afterMs = 2 * 3_600_000;

/** Of the last week. */
export async function tellUntaken({ drift, probes, news }: TellUntakenDependencies): Promise<void> {
  if (!news) return;
  for (const report of await drift.listUntaken(afterMs)) news.drift(report);
  for (const report of await probes.listUntaken(afterMs)) news.probe(report);
}
