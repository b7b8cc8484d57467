/**
 * Size and chance of the fault tests. Each file prints its seed; PROMPTGATE_FAULT_SEED repeats a run as far as its
 * choices go (the machine's own timing is not repeatable), PROMPTGATE_FAULT=long makes it the long one.
 */
import { randomInt } from 'node:crypto';

export const isLong = process.env.PROMPTGATE_FAULT === 'long';

export const seed = Number(process.env.PROMPTGATE_FAULT_SEED ?? randomInt(1, 2 ** 31));
process.stdout.write(`fault seed ${seed} (PROMPTGATE_FAULT_SEED=${seed} repeats its choices)\n`);

export function scaled(short: number, long: number): number {
  return isLong ? long : short;
}

let state = seed >>> 0;

/** In [0, 1), from the seed (mulberry32). */
export function random(): number {
  state = (state + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}

export function randomBetween(least: number, most: number): number {
  return least + Math.floor(random() * (most - least + 1));
}

/** Keeps the figures of a run: `docs/audit-faults.md` quotes those of the last long one. */
export function report(what: string, figures: Record<string, unknown>): void {
  process.stdout.write(`fault ${what}: ${JSON.stringify(figures)}\n`);
}
