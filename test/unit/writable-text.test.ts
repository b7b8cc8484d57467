import { describe, expect, test } from 'vitest';
import { canonicalJson, hashJson, sha256 } from '../../src/domain/canonical-json.ts';
import type { Json } from '../../src/domain/json.ts';
import { formatPath } from '../../src/domain/json-path.ts';
import { labelPattern, nearestName, promptNamePattern } from '../../src/domain/names.ts';
import { findJsonFault, toWritableJson, toWritableText } from '../../src/domain/writable-text.ts';

function findUnwritable(value: Json): string | undefined {
  const fault = findJsonFault(value, { prototypeNames: true });
  return fault && formatPath(fault.path);
}

describe('writable text', () => {
  test('NUL and lone surrogates are replaced, and nothing else', () => {
    expect(toWritableText('a\0b\uD800c')).toEqual({ text: 'a\uFFFDb\uFFFDc', changed: true });
    expect(toWritableText('a😀\u2028\t')).toEqual({ text: 'a😀\u2028\t', changed: false });
  });

  test('the first place that cannot be written is found, in values, keys and depth', () => {
    expect(findUnwritable({ a: [1, { b: 'x' }] })).toBeUndefined();
    expect(findUnwritable({ a: [1, { b: '\0' }] })).toBe('a[1].b');
    expect(findUnwritable({ 'k\uDC00': 1 })).toBeDefined();
    expect(findUnwritable('\0')).toBe('');
    const deep = JSON.parse('['.repeat(9_000) + ']'.repeat(9_000)) as Json;
    expect(findUnwritable({ deep })).toContain('deep[0]');
    expect(findUnwritable(toWritableJson({ deep, 'a\0': ['\0'] }))).toBeUndefined();
  });
});

describe('canonical JSON', () => {
  test('is the same for equal values, and sorts keys as UTF-16', () => {
    expect(canonicalJson({ b: 1, a: [null, 'x', -0], c: undefined })).toBe('{"a":[null,"x",0],"b":1}');
    expect(hashJson({ a: 1, b: 2 })).toBe(hashJson({ b: 2, a: 1 }));
    expect(sha256('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });

  test.each([[Number.NaN], [Number.POSITIVE_INFINITY], [[undefined]], [() => 1], [1n]])(
    'refuses %s',
    (value) => {
      expect(() => canonicalJson(value)).toThrow(TypeError);
    },
  );
});

describe('names', () => {
  test.each([['a'], ['summarize'], ['team.billing_v2-final']])('%s is a prompt name', (name) => {
    expect(promptNamePattern.test(name)).toBe(true);
  });
  test.each([[''], ['A'], ['-a'], ['a-'], ['a/b'], ['a\n'], ['a'.repeat(129)]])(
    '%j is no prompt name',
    (name) => {
      expect(promptNamePattern.test(name)).toBe(false);
    },
  );
  test('a label starts with a letter', () => {
    expect([labelPattern.test('production'), labelPattern.test('1'), labelPattern.test('a\n')]).toEqual([
      true,
      false,
      false,
    ]);
  });
  test('the nearest name forgives case, underscores and swapped letters, and does not guess wildly', () => {
    expect(nearestName('top_p', ['topP', 'topK'])).toBe('topP');
    expect(nearestName('modle', ['model', 'name'])).toBe('model');
    expect(nearestName('zebra', ['model', 'name'])).toBeUndefined();
  });
});
