import { describe, expect, it } from 'vitest';
import type { Actor } from '../../src/domain/api-key.ts';
import { readModelReference, resolveReference } from '../../src/http/prompt-reference.ts';

const actor: Actor = { name: 'test', keyId: null, scopes: ['execute'] };
const gateway = {
  findImportedPrompt: (_actor: Actor, _id: string, version?: number) =>
    version === undefined ? { promptName: 'moved' } : { promptName: 'moved', version: version * 10 },
};
const resolve = (id: string, version?: string | number) =>
  resolveReference(gateway, actor, { path: 'prompt.id', id, version });

describe('the name of a prompt in another API', () => {
  it.each([
    ['greet', undefined, { promptName: 'greet' }],
    ['greet@staging', undefined, { promptName: 'greet', label: 'staging' }],
    ['greet@3', undefined, { promptName: 'greet', version: 3 }],
    ['greet', '3', { promptName: 'greet', version: 3 }],
    ['greet', 3, { promptName: 'greet', version: 3 }],
    ['billing.total-v2', undefined, { promptName: 'billing.total-v2' }],
    ['pmpt_6A0b', undefined, { promptName: 'moved' }],
    ['pmpt_6A0b@staging', undefined, { promptName: 'moved', label: 'staging' }],
    ['pmpt_6A0b', '2', { promptName: 'moved', version: 20 }],
  ])('is read: %s %s', (id, version, target) => {
    expect(resolve(id, version)).toEqual(target);
  });

  it.each([
    ['', undefined],
    ['Greet me', undefined],
    ['greet@', undefined],
    ['greet@a@b', undefined],
    ['greet@Staging', undefined],
    ['greet@0', undefined],
    ['greet', 'production'],
    ['greet', '1.5'],
    ['greet', -1],
    ['greet', 9_999_999_999],
    ['greet@staging', 3],
  ])('is refused: %s %s', (id, version) => {
    expect(() => resolve(id, version)).toThrow(/^prompt\.id: /);
  });

  it('stands in a model only after prompt/', () => {
    expect(readModelReference('prompt/greet@staging')).toEqual({ path: 'model', id: 'greet@staging' });
    for (const model of ['gpt-4o', 'openai/gpt-4o', undefined, 7])
      expect(readModelReference(model)).toBeUndefined();
  });
});
