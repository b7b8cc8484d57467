import { describe, expect, it } from 'vitest';
import { readTime, renderAge } from '../../src/cli/time.ts';

const now = Date.parse('2026-11-20T12:00:00Z');

describe('a time on the command line', () => {
  it.each([
    ['2026-11-17', '2026-11-17T00:00:00.000Z'],
    ['2026-11-17 10:00', '2026-11-17T10:00:00.000Z'],
    ['2026-11-17T10:00:30Z', '2026-11-17T10:00:30.000Z'],
    ['2026-11-17T10:00:00+01:00', '2026-11-17T09:00:00.000Z'],
    ['45s', '2026-11-20T11:59:15.000Z'],
    ['30m', '2026-11-20T11:30:00.000Z'],
    ['2h', '2026-11-20T10:00:00.000Z'],
    ['7d', '2026-11-13T12:00:00.000Z'],
  ])('%s is %s', (text, iso) => {
    expect(readTime(text, now)).toBe(iso);
  });

  it.each(['yesterday', '10:00', '2026-13-40', '5', '2026-11-17 25:00', ''])('refuses %j', (text) => {
    expect(() => readTime(text, now)).toThrow(/A time is written/);
  });

  it('refuses a time that has not come yet: nobody knows what will run', () => {
    expect(() => readTime('2026-11-20 12:01', now)).toThrow(/has not come yet/);
  });

  it.each([
    ['2026-11-20T12:00:01Z', '0 s ago'],
    ['2026-11-20T11:59:30Z', '30 s ago'],
    ['2026-11-20T11:15:00Z', '45 min ago'],
    ['2026-11-20T09:30:00Z', '2 h ago'],
    ['2026-11-10T12:00:00Z', '10 d ago'],
  ])('%s was %s', (iso, age) => {
    expect(renderAge(iso, now)).toBe(age);
  });
});
