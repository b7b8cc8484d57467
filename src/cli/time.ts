/** Times as people write and read them. Without a zone a time is UTC, as every table prints it. */
import { PromptgateError } from '../domain/errors.ts';

const minute = 60_000;
const units: Readonly<Record<string, number>> = {
  s: 1_000,
  m: minute,
  h: 60 * minute,
  d: 1_440 * minute,
  w: 10_080 * minute,
};

/**
 * `2026-11-17`, `2026-11-17 10:00`, ISO 8601 with or without a zone, or how long ago: `30s`, `30m`, `2h`, `7d`, `1w`.
 * @returns ISO 8601 in UTC
 * @throws PromptgateError invalid_request — also when it has not come yet: nobody knows what will run
 */
export function readTime(text: string, now: number): string {
  const [, amount, unit] = /^(\d{1,6})([smhdw])$/.exec(text) ?? [];
  if (amount && unit) return new Date(now - Number(amount) * (units[unit] ?? 0)).toISOString();
  const [, day, clock = '00:00', zone = 'Z'] =
    /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(Z|[+-]\d{2}:\d{2})?)?$/.exec(text) ?? [];
  const time = new Date(`${day}T${clock}${zone}`);
  if (time.getTime() > now) {
    throw new PromptgateError(
      'invalid_request',
      `${time.toISOString()} has not come yet. Times without a zone are UTC.`,
    );
  }
  if (!Number.isNaN(time.getTime())) return time.toISOString();
  throw new PromptgateError(
    'invalid_request',
    'A time is written 2026-11-17, "2026-11-17 10:00" (UTC), 2026-11-17T10:00:00+01:00, or as how long ago: 30m, 2h, 7d.',
  );
}

/** `30s`, `30m`, `2h`, `7d`, `1w`. @returns milliseconds @throws PromptgateError invalid_request */
export function readDuration(text: string): number {
  const [, amount, unit] = /^(\d{1,6})([smhdw])$/.exec(text) ?? [];
  if (amount && unit) return Number(amount) * (units[unit] ?? 0);
  throw new PromptgateError('invalid_request', 'A length of time is written 90s, 30m, 2h, 7d or 4w.');
}

/** `2026-11-17 10:00:00`, UTC. */
export function renderTime(iso: string): string {
  return iso.slice(0, 19).replace('T', ' ');
}

/** How long before `now`, in the largest unit that fits: `3 h ago`, or `3 h before` a `now` that is past. */
export function renderAge(iso: string, now: number, word: 'ago' | 'before' = 'ago'): string {
  const age = Math.max(0, now - Date.parse(iso));
  for (const [name, size] of ageUnits) {
    if (age >= size) return `${Math.floor(age / size)} ${name} ${word}`;
  }
  return `0 s ${word}`;
}

const ageUnits = [
  ['d', 1_440 * minute],
  ['h', 60 * minute],
  ['min', minute],
  ['s', 1_000],
] as const;
