import { CronExpressionParser } from 'cron-parser';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findCronFault } from '../../src/domain/cron.ts';

const item = (from: number, to: number) =>
  fc
    .tuple(
      fc.integer({ min: from, max: to }),
      fc.integer({ min: from, max: to }),
      fc.integer({ min: 1, max: 40 }),
    )
    .chain(([a, b, step]) => {
      const range = `${Math.min(a, b)}-${Math.max(a, b)}`;
      return fc.constantFrom('*', `*/${step}`, String(a), range, `${range}/${step}`, `${a},${b}`);
    });
const crons = fc
  .tuple(item(0, 59), item(0, 23), item(1, 31), item(1, 12), item(0, 7))
  .map((fields) => fields.join(' '));

/** Whether the parser of the job library finds a time. */
function hasTimes(cron: string): boolean {
  try {
    CronExpressionParser.parse(cron, { tz: 'UTC', currentDate: new Date('2026-11-21T12:00:00Z') }).next();
    return true;
  } catch {
    return false;
  }
}

describe('times as cron writes them', () => {
  it('are taken only where the job library finds times in them, whatever is written', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          crons,
          fc.string(),
          fc.array(fc.string({ maxLength: 4 }), { minLength: 5, maxLength: 5 }).map((all) => all.join(' ')),
        ),
        (cron) => {
          expect(findCronFault(cron) !== undefined || hasTimes(cron)).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('are taken in the ways that people write them', () => {
    for (const cron of [
      '* * * * *',
      '*/15 * * * *',
      '30 6 * * 1-5',
      '0 0 29 2 *',
      '0 9-17/2 1,15 JAN-MAR mon',
    ]) {
      expect([cron, findCronFault(cron), hasTimes(cron)]).toEqual([cron, undefined, true]);
    }
  });

  it('are refused with the field that is wrong', () => {
    expect(findCronFault('0 0 * *')).toContain('has five fields');
    expect(findCronFault('@daily')).toContain('has five fields');
    expect(findCronFault('0 24 * * *')).toMatch(/^has no hour "24": numbers from 0 to 23/);
    expect(findCronFault('5/10 * * * *')).toMatch(/^has no minute "5\/10"/);
    expect(findCronFault('0 0 30 2 *')).toBe('names a day that its months do not have');
    expect(findCronFault('0 0 31 4,6 *')).toBe('names a day that its months do not have');
  });
});
