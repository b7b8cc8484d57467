/**
 * Prints how many bytes each ended execution has left in the old generation since a full collection. A process of its own:
 * inside a test runner nothing shows of it.
 */
import { setImmediate as endOfTurn } from 'node:timers/promises';
import { getHeapSpaceStatistics } from 'node:v8';
import { createInFlight } from '../../src/application/in-flight.ts';
import { createAuditTrail } from '../../src/store/audit-trail.ts';
import { heapUsed } from './heap-used.ts';
import { execution, intent } from './records.ts';

const atOnce = 50;
const warmUp = 4_000;
const measured = 8_000;

const inFlight = createInFlight();
const trail = createAuditTrail(
  { findClaim: async () => undefined, releaseClaim: async () => {} },
  {
    async writeIntentRows(rows) {
      await endOfTurn();
      return rows.map(() => 'written');
    },
    settleRows: () => endOfTurn(),
  },
  { gatewayId: 'a' },
  { timeoutMs: 60_000, settleTimeoutMs: 60_000, maxOpen: 1_000, maxOpenBytes: 1_000_000_000 },
);

const kinds: Record<string, () => Promise<unknown>> = {
  'in flight': () =>
    inFlight.run(undefined, async () => {
      await endOfTurn();
      return new Array(2_000).fill(1);
    }),
  'audit trail': async () => {
    const admitted = intent({
      inputPayload: { variables: { text: 'x'.repeat(4_000) }, messages: [] },
      attempt: 1,
      earlierAttempts: [],
    });
    await trail.writeIntent(admitted);
    await trail.settle(execution({ id: admitted.id }));
  },
};

const aged = () =>
  getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space')!.space_used_size;

const call = kinds[process.argv[2]!]!;
let begun = 0;
let before = 0;
async function caller(): Promise<void> {
  while (begun++ < warmUp + measured) {
    if (begun === warmUp) {
      // What is in flight now is old from here on, and so is what it leads to.
      heapUsed();
      before = aged();
    }
    await call();
  }
}
await Promise.all(Array.from({ length: atOnce }, caller));
console.log((aged() - before) / measured);
