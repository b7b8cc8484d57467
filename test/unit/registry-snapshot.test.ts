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
