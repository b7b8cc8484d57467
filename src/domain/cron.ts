/**
 * What may stand for times that recur: cron's five fields, in UTC. Only the grammar is here, because the parser that works
 * times out takes 20 ms and 7 MB to load, and every command reads settings and suites. A test holds the two against each other.
 */

const months = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const weekdays = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

interface Field {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  /** Of `*`, where a higher number says once more what a lower one says: 7 is Sunday as 0 is. */
  readonly last?: number;
  /** In order, from the lowest number on. */
  readonly names?: readonly string[];
}

const fields: readonly Field[] = [
  { name: 'minute', from: 0, to: 59 },
  { name: 'hour', from: 0, to: 23 },
  { name: 'day', from: 1, to: 31 },
  { name: 'month', from: 1, to: 12, names: months },
  { name: 'weekday', from: 0, to: 7, last: 6, names: weekdays },
];

const longest = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Why a text names no times, as the end of a sentence about it; undefined when it does. */
export function findCronFault(text: string): string | undefined {
  const parts = text.trim().split(/\s+/);
  if (parts.length !== fields.length) {
    return 'has five fields: minute, hour, day, month, weekday, e.g. "30 6 * * 1-5"';
  }
  const values = fields.map((field, index) => valuesOf(parts[index]!, field));
  const wrong = values.indexOf(undefined);
  if (wrong >= 0) {
    const { name, from, to } = fields[wrong]!;
    return `has no ${name} ${JSON.stringify(parts[wrong])}: numbers from ${from} to ${to}, once each, or *, 2-5, */15, and lists of them`;
  }
  const [, , days = [], months = []] = values as number[][];
  const never =
    parts[4] === '*' && Math.min(...days) > Math.max(...months.map((month) => longest[month - 1]!));
  return never ? 'names a day that its months do not have' : undefined;
}

/** Every number that a field names; undefined where it is not one, or names one twice. */
function valuesOf(text: string, field: Field): number[] | undefined {
  const values = text.split(',').flatMap((item) => itemOf(item, field) ?? Number.NaN);
  const distinct = new Set(values.map((value) => (field.last === undefined ? value : value % field.to)));
  const isWhole = !values.some(Number.isNaN) && distinct.size === values.length;
  return isWhole ? values : undefined;
}

function itemOf(item: string, field: Field): number[] | undefined {
  const [, all, first, last, step] = /^(?:(\*)|(\w+)(?:-(\w+))?)(?:\/(\d{1,2}))?$/.exec(item) ?? [];
  // A step has to be of a range: what 5/10 means is not the same everywhere.
  if (step !== undefined && (Number(step) < 1 || (all === undefined && last === undefined))) return undefined;
  const from = all === undefined ? numberOf(first ?? '', field) : field.from;
  const to =
    all === undefined ? (last === undefined ? from : numberOf(last, field)) : (field.last ?? field.to);
  if (from === undefined || to === undefined || to < from) return undefined;
  const by = Number(step ?? 1);
  return Array.from({ length: Math.floor((to - from) / by) + 1 }, (_, index) => from + index * by);
}

function numberOf(text: string, { from, to, names }: Field): number | undefined {
  const named = names?.indexOf(text.toUpperCase()) ?? -1;
  const value = named >= 0 ? from + named : /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  return value >= from && value <= to ? value : undefined;
}
