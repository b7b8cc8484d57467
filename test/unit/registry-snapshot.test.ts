import { afterEach, expect, it, vi } from 'vitest';
import { createRegistrySnapshot } from '../../src/application/registry-snapshot.ts';
import type { RegistryStore } from '../../src/application/registry-store.ts';

afterEach(() => vi.useRealTimers());

it('tells once that the registry cannot be read, however long that lasts, and again the next time', async () => {
  vi.useFakeTimers();
  let away = false;
  const store = {
    revision: async () => {
      if (away) throw new Error('away');
      return 0;
    },
    onChange: async () => {},
  } as unknown as RegistryStore;
  const onError = vi.fn();
  const snapshot = createRegistrySnapshot(store, { onError });
  await snapshot.start();
  for (const told of [1, 2]) {
    away = true;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(onError).toHaveBeenCalledTimes(told);
    expect(snapshot.health().stale).toBe(true);
    away = false;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(snapshot.health().stale).toBe(false);
  }
  snapshot.stop();
});

it('names to a limited key nothing beyond its limits', async () => {
  const version = (name: string) => ({ id: name, name, version: 1, metadata: {} });
  const label = (label: string) => ({ promptName: 'billing-note', label, version: 1 });
  const store = {
    revision: async () => 1,
    loadChanges: async () => ({
      versions: ['billing-note', 'dunning-note'].map(version),
      labels: ['production', 'staging'].map(label),
      archives: [],
      keys: [],
      revision: 1,
    }),
    onChange: async () => {},
  } as unknown as RegistryStore;
  const snapshot = createRegistrySnapshot(store, {});
  await snapshot.start();
  snapshot.stop();
  const limited = { limits: { prompts: ['billing-*', 'dunning-notes'], labels: ['staging', 'canary'] } };
  const ask = (name: string, asker?: typeof limited) => () =>
    snapshot.resolve(name, { label: 'canary' }, asker);
  expect(ask('dunning-notes')).toThrow('Did you mean "dunning-note"?');
  expect(ask('dunning-notes', limited)).toThrow('lists the 1 there are');
  expect(ask('billing-notes', limited)).toThrow('Did you mean "billing-note"?');
  expect(ask('billing-note')).toThrow('it has production, staging.');
  expect(ask('billing-note', limited)).toThrow('it has staging.');
});
