import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GrowingText } from '../../src/domain/growing-text.ts';
import { heapUsed } from '../support/heap-used.ts';

test('a growing text is its pieces in order, however they are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { maxLength: 300 }), (pieces) => {
      const text = new GrowingText();
      for (const piece of pieces) text.append(piece);
      expect(String(text)).toBe(pieces.join(''));
      expect(text.isEmpty()).toBe(pieces.join('') === '');
    }),
  );
});

test('a text of many tokens holds little more than its characters', () => {
  const [texts, tokens] = [50, 2_000];
  const before = heapUsed();
  const held = Array.from({ length: texts }, () => new GrowingText());
  for (let token = 0; token < tokens; token++) {
    for (const [index, text] of held.entries()) text.append(`${(1_000 + token + index).toString(36)} `);
  }
  const bytes = (heapUsed() - before) / texts / tokens;
  // One string to which they are appended holds 56.
  expect(bytes).toBeLessThan(12);
  expect(held.every((text) => String(text).length >= 3 * tokens)).toBe(true);
});
