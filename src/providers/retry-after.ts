/** A week: whatever is longer is a mistake, and must not overflow a timer or a column. */
const longestMs = 7 * 24 * 3600 * 1000;

/**
 * How long a provider asks us to wait: `retry-after-ms`, then `retry-after` in seconds (fractions occur) or as a date.
 * @returns milliseconds, or null when neither header holds a sensible value
 */
export function readRetryAfter(headers: Headers, now: number = Date.now()): number | null {
  return duration(headers.get('retry-after-ms'), 1) ?? afterSecondsOrDate(headers.get('retry-after'), now);
}

function afterSecondsOrDate(value: string | null, now: number): number | null {
  const seconds = duration(value, 1000);
  if (seconds !== null) return seconds;
  // Date.parse takes `-1` and `2` for years: only what looks like an HTTP date is one.
  if (value === null || !/^[A-Za-z]{3,9},? .*\d{2}:\d{2}:\d{2}/.test(value)) return null;
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : Math.min(Math.max(at - now, 0), longestMs);
}

function duration(value: string | null, unitMs: number): number | null {
  if (value === null || !/^\s*\d+(\.\d+)?\s*$/.test(value)) return null;
  const ms = Number(value) * unitMs;
  return Number.isFinite(ms) ? Math.min(Math.ceil(ms), longestMs) : null;
}
