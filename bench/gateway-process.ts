/**
 * A gateway wired as in `app.ts`, with one part exchanged: what stands between a call and the audit trail. Only here:
 * the product has no such switch. Arguments: kind of audit, database URL, URL of the provider.
 */
import type { AuditTrail } from '../src/application/audit-trail.ts';
import { createBudgetKeeper } from '../src/application/budget-keeper.ts';
import { createGateway } from '../src/application/gateway.ts';
import { createInFlight } from '../src/application/in-flight.ts';
import { toUnknownExecution } from '../src/application/recover-intents.ts';
import { createRegistrySnapshot } from '../src/application/registry-snapshot.ts';
import { loadConfig, simulatedProviders, version } from '../src/config.ts';
import type { Actor } from '../src/domain/api-key.ts';
import { listen } from '../src/http/listen.ts';
import { createHttpApp } from '../src/http/server.ts';
import { toSummaryEvent } from '../src/http/summary-view.ts';
import { createProviders } from '../src/providers/providers.ts';
import { createScriptProcess } from '../src/sandbox/script-process.ts';
import { openStore } from '../src/store/store.ts';
import { createLog } from '../src/telemetry/log.ts';
import { createMetrics } from '../src/telemetry/metrics.ts';
import type { AuditKind } from './audit.ts';

/** Of the gateway's process so far: CPU in microseconds, memory in bytes. */
export interface GatewayUsage extends NodeJS.CpuUsage {
  readonly rss: number;
  readonly heapUsed: number;
}

const actor: Actor = { name: 'bench', keyId: null, scopes: ['admin'] };
const source = `---
name: bench
version: 1
model: gpt-4o-mini
input:
  schema: { text: string }
---
{{role "system"}}
You are a precise summarizer.
{{role "user"}}
Summarize: {{text}}
`;

function exchange(kind: AuditKind, trail: AuditTrail): AuditTrail {
  const forget = () => {};
  switch (kind) {
    case 'durable':
      return trail;
    case 'not awaited':
      return {
        leave: trail.leave,
        findHolder: trail.findHolder,
        async writeIntent(intent, claim) {
          void trail.writeIntent(intent, claim).catch(forget);
          return undefined;
        },
        async settle(execution) {
          void trail.settle(execution).catch(forget);
        },
      };
    case 'stubbed out':
      return {
        ...{ writeIntent: async () => undefined, findHolder: async () => undefined },
        ...{ settle: async () => {}, leave() {} },
      };
  }
}

async function start(kind: AuditKind, databaseUrl: string, providerUrl: string) {
  const { values } = loadConfig({ DATABASE_URL: databaseUrl }, process.cwd());
  const store = await openStore({ databaseUrl });
  await store.migrate();
  const snapshot = createRegistrySnapshot(store.registry);
  await snapshot.start();
  const log = createLog('silent');
  const metrics = createMetrics(() => ({
    snapshotAgeMs: snapshot.health().ageMs,
    audit: trail.health(),
    budgets: [],
    rollups: { pending: 0, failures: 0 },
  }));
  const trail = await store.openAuditTrail({
    timeoutMs: values.PROMPTGATE_AUDIT_TIMEOUT_MS,
    settleTimeoutMs: values.PROMPTGATE_AUDIT_SETTLE_TIMEOUT_MS,
    maxOpen: values.PROMPTGATE_AUDIT_MAX_OPEN,
    maxOpenBytes: values.PROMPTGATE_AUDIT_MAX_OPEN_BYTES,
    onFlush: metrics.observeFlush,
    toUnknown: toUnknownExecution,
    onRecovered: () => {},
  });
  trail.start();
  const gateway = createGateway({
    snapshot,
    registry: store.registry,
    audit: store.audit,
    trail: exchange(kind, trail),
    keeping: store.keeping,
    evaluations: store.evaluations,
    scripts: createScriptProcess({ javascript: false }),
    costs: store.costs,
    drift: store.drift,
    probes: store.probes,
    budgets: createBudgetKeeper(store.budgets, { onWarning() {}, onError() {} }),
    budgetStore: store.budgets,
    replays: store.replays,
    summaries: store.summaries,
    toSummaryEvent,
    inFlight: createInFlight(),
    providers: createProviders(simulatedProviders(values, providerUrl)),
    rawCalls: 'refuse',
    defaultTimeoutMs: values.PROMPTGATE_EXECUTION_TIMEOUT_MS,
    onExecution(execution) {
      metrics.observe(execution);
      log.execution(execution);
    },
  });
  await gateway.syncPrompts({ files: [{ path: 'bench.prompt', source }], actor, seed: 'production' });
  const name = `load-${process.pid}`;
  const { secret } = await gateway.createKey({ actor, name, scopes: ['execute'] });
  const http = createHttpApp({
    gateway,
    maxBodyBytes: values.PROMPTGATE_MAX_BODY_BYTES,
    onError: (error, requestId) => log.error(error, requestId),
    beginTrace: null,
    operations: {
      version,
      database: store.kind,
      simulated: true,
      ping: () => store.ping(),
      metrics: () => metrics.render(),
      accepting: () => true,
      audit: () => trail.health(),
    },
  });
  const { url } = await listen(http, { host: '127.0.0.1', port: 0 });
  return { url, key: secret };
}

const [kind, databaseUrl, providerUrl] = process.argv.slice(2);
process.send?.(await start(kind as AuditKind, databaseUrl ?? '', providerUrl ?? ''));
process.on('message', (question: { collect?: boolean }) => {
  // What is asked for then is what is held, not what is waiting to be collected.
  if (question.collect) globalThis.gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  const usage: GatewayUsage = { ...process.cpuUsage(), rss, heapUsed };
  process.send?.(usage);
});
process.on('disconnect', () => process.exit(0));
