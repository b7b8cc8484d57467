/** The audit trail with its commits not awaited. @see unawaited.ts */
import * as real from '../src/store/open-audit-trail.ts';

const forget = () => {};

export const openAuditTrail: typeof real.openAuditTrail = async (database, options) => {
  const trail = await real.openAuditTrail(database, options);
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
