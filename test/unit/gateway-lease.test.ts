import { describe, expect, it } from 'vitest';
import { PromptgateError } from '../../src/domain/errors.ts';
import { createGatewayLease } from '../../src/store/gateway-lease.ts';

/** Stands for the database: how often it was asked for a lease, and whether it is there. */
function fakeStore() {
  const state = { away: false, asked: 0 };
  return {
    state,
    async renewLease() {
      state.asked += 1;
      if (state.away) throw new PromptgateError('audit_unavailable', 'away');
    },
    async endLease() {},
  };
}

describe('the lease of a gateway', () => {
  it('is taken by who asks whether the database is there, also before the first call', async () => {
    const store = fakeStore();
    const lease = createGatewayLease(store);
    store.state.away = true;
    await expect(lease.take()).rejects.toThrow('away');
    store.state.away = false;
    await lease.take();
    await lease.ensure();
    expect(store.state.asked).toBe(2);
  });

  it('is not renewed by a gateway that has none', async () => {
    const store = fakeStore();
    await createGatewayLease(store).renew();
    expect(store.state.asked).toBe(0);
  });
});
