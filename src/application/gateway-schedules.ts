/** Everything that a gateway does by the clock: one entry each. */
import type { Actor } from '../domain/api-key.ts';
import type { Gateway } from './gateway.ts';
import { type Schedule, timesOf } from './schedules.ts';

/** When, as the configuration says it: cron in UTC, or `off`. */
export interface ScheduleTimes {
  readonly drift: string;
}

export function gatewaySchedules(gateway: Pick<Gateway, 'detectDrift'>, times: ScheduleTimes): Schedule[] {
  return [
    {
      name: 'drift',
      crons: timesOf(times.drift),
      run: () => gateway.detectDrift({ actor: actorOf('drift') }),
    },
  ];
}

/** Who does it, in every record of it. */
function actorOf(schedule: string): Actor {
  return { name: `schedule:${schedule}`, keyId: null, scopes: ['admin'] };
}
