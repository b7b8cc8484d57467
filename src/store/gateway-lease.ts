/**
 * Says in the database that this process lives. Intents name the gateway that made them; whoever finds the lease of a
 * gateway expired may turn its intents into `unknown`. So no intent may be committed on a lease that is about to expire.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { PostgresAuditStore } from './audit-store.ts';

/** Longer than a commit may take, with room for two renewals that failed. */
const leaseMs = 20_000;

export interface GatewayLease {
  readonly gatewayId: string;
  /** Resolves when the lease holds for at least half its term; asks the database only when it does not. */
  ensure(): Promise<void>;
  /** Takes or renews it, so it asks the database in any case. */
  take(): Promise<void>;
  /** Renews it, once there is one. */
  renew(): Promise<void>;
  /** Gives it back: what this gateway left may be recovered at once. */
  end(): Promise<void>;
}

export function createGatewayLease(
  store: Pick<PostgresAuditStore, 'renewLease' | 'endLease'>,
  gatewayId: string = randomUUID(),
): GatewayLease {
  let renewedAt: number | undefined;
  let renewing: Promise<void> | undefined;

  function take(): Promise<void> {
    // Counted from before the question: the database's clock starts the term no earlier.
    const askedAt = performance.now();
    renewing ??= store
      .renewLease({ id: gatewayId, host: hostname(), pid: process.pid, leaseMs })
      .then(() => {
        renewedAt = askedAt;
      })
      .finally(() => {
        renewing = undefined;
      });
    return renewing;
  }

  return {
    gatewayId,
    async ensure() {
      if (renewedAt === undefined || performance.now() - renewedAt > leaseMs / 2) await take();
    },
    take,
    async renew() {
      if (renewedAt !== undefined) await take();
    },
    async end() {
      if (renewedAt !== undefined) await store.endLease(gatewayId);
    },
  };
}
