/** Everything that a gateway does by the clock: one entry each. */

import type { Actor } from '../domain/api-key.ts';
import { probeNameOf } from '../domain/probe.ts';
import type { Gateway } from './gateway.ts';
import { newId } from './new-id.ts';
import { type Schedule, timesOf } from './schedules.ts';

/** When, as the configuration says it: cron in UTC, or `off`. */
export interface ScheduleTimes {
  readonly drift: string;
  readonly costs: string;
}

export function gatewaySchedules(
  gateway: Pick<Gateway, 'detectDueDrift' | 'tellUntaken' | 'postDueSummaries' | 'runProbe' | 'listProbes'>,
  times: ScheduleTimes,
): Schedule[] {
  return [
    {
      name: 'drift',
      kept: 'configuration',
      crons: timesOf(times.drift),
      async run({ dueAt }) {
        await gateway.tellUntaken();
        await gateway.detectDueDrift(actorOf('drift'), dueAt);
      },
    },
    {
      name: 'costs',
      kept: 'configuration',
      crons: timesOf(times.costs),
      run: () => gateway.postDueSummaries(actorOf('costs')),
    },
    {
      name: 'probes',
      kept: 'database',
      crons: async () =>
        new Map((await gateway.listProbes()).map((probe) => [probeNameOf(probe), probe.schedule])),
      async run({ key, dueAt }) {
        await gateway.tellUntaken();
        const [promptName = '', suite = ''] = key.split('/');
        const signal = new AbortController().signal;
        const requestId = `probe-${newId()}`;
        return gateway.runProbe({ actor: actorOf('probes'), promptName, suite, dueAt, requestId, signal });
      },
    },
  ];
}

/** Who does it, in every record of it. */
function actorOf(schedule: string): Actor {
  return { name: `schedule:${schedule}`, keyId: null, scopes: ['admin'] };
}
