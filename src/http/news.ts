import type { DriftReport } from '../application/detect-drift.ts';
import type { ProbeReport } from '../application/run-probe.ts';
import type { WebhookEvent } from '../application/webhook-post.ts';
import { toDriftEvent } from './drift-view.ts';
import { toProbeEvent } from './probe-view.ts';

/** What drift and probes find, as events. @param post null: there is nothing to tell */
export function createNews(post: (event: WebhookEvent | null) => void) {
  return {
    drift: (report: DriftReport) => post(toDriftEvent(report)),
    probe: (report: ProbeReport) => post(toProbeEvent(report)),
  };
}
