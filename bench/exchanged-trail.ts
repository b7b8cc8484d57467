/** The audit trail as BENCH_AUDIT says: rows that nobody waits for, or none. @see audit-exchange.ts */
import * as real from '../src/store/open-audit-trail.ts';

export type AuditKind = 'as it is' | 'commits not awaited' | 'no audit';

const kind = process.env.BENCH_AUDIT as AuditKind;
const forget = () => {};

export const openAuditTrail: typeof real.openAuditTrail = async (database, options) => {
  const trail = await real.openAuditTrail(database, options);
  if (kind === 'no audit') {
    return { ...trail, writeIntent: async () => undefined, settle: async () => {}, leave() {} };
  }
  return {
    ...trail,
    async writeIntent(intent, claim) {
      void trail.writeIntent(intent, claim).catch(forget);
      return undefined;
    },
    async settle(execution) {
      void trail.settle(execution).catch(forget);
    },
  };
};
