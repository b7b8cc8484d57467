import { describe, expect, it } from 'vitest';
import { mayUseLabel, mayUsePrompt } from '../../src/domain/key-limits.ts';

const limitedTo = (...prompts: string[]) => ({ limits: { prompts, labels: null } });

describe('the limits of a key', () => {
  it.each([
    ['billing-*', 'billing-summary', true],
    ['billing-*', 'billing-', true],
    ['billing-*', 'billing', false],
    ['billing-*', 'my-billing-summary', false],
    ['*-summary', 'billing-summary', true],
    ['*-summary', 'billing-summary-2', false],
    ['a*b*c', 'abc', true],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'acb', false],
    ['a*ba', 'aba', true],
    ['ab*ba', 'aba', false],
    ['*', 'anything.at_all-1', true],
    ['a.b', 'axb', false],
    ['greet', 'greet', true],
    ['greet', 'greeting', false],
  ])('glob %s on %s: %s', (glob, name, allowed) => {
    expect(mayUsePrompt(limitedTo(glob), name)).toBe(allowed);
  });

  it('allow what any of several globs allows', () => {
    expect(mayUsePrompt(limitedTo('billing-*', 'greet'), 'greet')).toBe(true);
  });

  it('that list nothing allow nothing', () => {
    expect(mayUsePrompt(limitedTo(), 'greet')).toBe(false);
    expect(mayUseLabel({ limits: { prompts: null, labels: [] } }, 'production')).toBe(false);
  });

  it('name labels exactly', () => {
    const staging = { limits: { prompts: null, labels: ['staging'] } };
    expect([mayUseLabel(staging, 'staging'), mayUseLabel(staging, 'staging-2')]).toEqual([true, false]);
    expect(mayUsePrompt(staging, 'anything')).toBe(true);
  });

  it('that are absent allow everything', () => {
    expect([mayUsePrompt({}, 'greet'), mayUseLabel({}, 'production')]).toEqual([true, true]);
  });

  it('match a hostile glob in no time', () => {
    const startedAt = performance.now();
    expect(mayUsePrompt(limitedTo(`${'*a'.repeat(60)}b`), 'a'.repeat(128))).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(500);
  });
});
