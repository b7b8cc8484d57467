/** A probe: the cases of a suite, asked again by the clock of what a label points at. It is a part of the suite's file. */
import { z } from 'zod';
import { findCronFault } from './cron.ts';
import type { DefinitionIssue } from './definition-error.ts';
import { type Key, readMapping } from './definition-keys.ts';
import type { JsonObject } from './json.ts';
import type { LocatedYaml } from './located-yaml.ts';
import { formatMoney, parseMoney } from './money.ts';
import { labelPattern } from './names.ts';

/** What follows when assertions fail: it is told, or the label is rolled back too. */
export const probePolicies = ['report', 'rollback'] as const;
export type ProbePolicy = (typeof probePolicies)[number];

export interface Probe {
  /** What it points at is asked. */
  readonly label: string;
  /** Cron, five fields, UTC. */
  readonly schedule: string;
  /** The most that one run may cost, as decimal text, in the currency of the calls. */
  readonly budget: string;
  /** The most that all runs of a day (UTC) may cost; null: what each may. */
  readonly dailyBudget: string | null;
  readonly onFailure: ProbePolicy;
}

const money = z.union([z.number(), z.string()]).refine((value) => (parseMoney(String(value)) ?? 0n) > 0n);
const amount = 'an amount above 0, e.g. 0.05, in the currency of the calls';

const probeKeys = {
  schedule: {
    schema: z.string(),
    expected: 'times in five fields of cron, in UTC, e.g. "*/30 * * * *"',
    required: true,
  },
  label: { schema: z.string().regex(labelPattern), expected: 'the name of a label' },
  budget: { schema: money, expected: `the most that one run may cost: ${amount}`, required: true },
  dailyBudget: { schema: money, expected: `the most that a day may cost: ${amount}` },
  onFailure: { schema: z.enum(probePolicies), expected: 'report or rollback' },
} as const satisfies Record<string, Key>;

/** The member `probe` of a suite; null where there is none, or where it is wrong: then `issues` says where. */
export function readProbe(
  value: JsonObject | undefined,
  located: LocatedYaml,
  issues: DefinitionIssue[],
): Probe | null {
  if (value === undefined) return null;
  const { schedule, label, budget, dailyBudget, onFailure } = readMapping(
    probeKeys,
    value,
    ['probe'],
    located,
    issues,
  );
  const fault = schedule === undefined ? undefined : findCronFault(schedule);
  if (fault !== undefined)
    issues.push(located.issueAt(['probe', 'schedule'], `\`probe.schedule\` ${fault}.`));
  if (schedule === undefined || budget === undefined || fault !== undefined) return null;
  return {
    label: label ?? 'production',
    schedule: schedule.trim().split(/\s+/).join(' '),
    budget: toDecimal(budget),
    dailyBudget: dailyBudget === undefined ? null : toDecimal(dailyBudget),
    onFailure: onFailure ?? 'report',
  };
}

function toDecimal(value: number | string): string {
  return formatMoney(parseMoney(String(value)) ?? 0n);
}

/** `summarize/default`: what commands, records and its actor call it. */
export function probeNameOf({
  promptName,
  suite,
}: {
  readonly promptName: string;
  readonly suite: string;
}): string {
  return `${promptName}/${suite}`;
}
