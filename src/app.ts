/** The composition root: configuration in, a gateway out. The only file that knows every room. */
import { resolve } from 'node:path';
import { createBudgetKeeper } from './application/budget-keeper.ts';
import type { FellowWorkers } from './application/fellow-workers.ts';
import { createGateway, type Gateway } from './application/gateway.ts';
import { gatewaySchedules } from './application/gateway-schedules.ts';
import { createInFlight } from './application/in-flight.ts';
import { toUnknownExecution } from './application/recover-intents.ts';
import { createRegistrySnapshot } from './application/registry-snapshot.ts';
import { createRollupKeeper } from './application/rollup-keeper.ts';
import { createSchedules } from './application/schedules.ts';
import { type Config, simulatedProviders, traceSettingsOf, version } from './config.ts';
import { errorTable, PromptgateError, toPromptgateError } from './domain/errors.ts';
import { createNews } from './http/news.ts';
import { createHttpApp, type HttpApp } from './http/server.ts';
import { toSummaryEvent } from './http/summary-view.ts';
import { createProviders } from './providers/providers.ts';
import { type SimulatedProvider, startSimulatedProvider } from './providers/simulated-provider.ts';
import { createScriptProcess } from './sandbox/script-process.ts';
import { findOrphanedSpools, spoolDirectoryOf } from './store/spool-directory.ts';
import { openStore } from './store/store.ts';
import { createLog, type Log } from './telemetry/log.ts';
import { createMetrics } from './telemetry/metrics.ts';
import type { Traces } from './telemetry/traces.ts';
import { createWebhook } from './telemetry/webhook.ts';

export interface OpenAppOptions {
  readonly config: Config;
  readonly directory: string;
  /** Use the embedded database of the data directory instead of DATABASE_URL. */
  readonly embedded: boolean;
  /** Let the simulated provider answer when no provider is configured. */
  readonly simulate: boolean;
  /** A gateway that serves and not a command: it obeys the settings of the spool and of retention. */
  readonly serving?: boolean;
  readonly logLevel?: string;
  /** This gateway is one of several processes behind one address. */
  readonly fellows?: FellowWorkers;
}

export interface App {
  readonly gateway: Gateway;
  readonly http: HttpApp;
  readonly log: Log;
  /** Names this process in the audit trail. */
  readonly gatewayId: string;
  readonly database: 'postgres' | 'embedded';
  /** Tells whoever finds the embedded database in use where its gateway listens. */
  publishAddress(url: string): void;
  /** Address of the simulated provider, or null when real ones are configured. */
  readonly simulatedUrl: string | null;
  /** Migrations that opening applied, and the newest one there is. */
  readonly schema: { readonly applied: readonly string[]; readonly current: string };
  /** Reads the budgets now, which otherwise happens every two seconds. */
  refreshBudgets(): Promise<void>;
  /** Does what is done by the clock, from now on and in the background; of several workers the first one does. */
  startSchedules(): void;
  /** From now on /readyz says that the gateway stops, and nothing is executed (503). */
  stopAccepting(): void;
  /**
   * Resolves when the calls in flight have ended and everything is recorded. After `timeoutMs`, or when `hurry` aborts,
   * calls are cancelled. @returns how many outcomes had to be left to recovery
   */
  drain(timeoutMs: number, hurry?: AbortSignal): Promise<number>;
  close(): Promise<void>;
}

/**
 * Opens the database, brings its schema up to date, loads the registry and binds every room.
 * @throws PromptgateError — with everything that was opened closed again
 */
export async function openApp(options: OpenAppOptions): Promise<App> {
  const { config, fellows } = options;
  const releasers: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (const release of releasers.splice(0).reverse()) await release();
  };
  try {
    const log = createLog(options.logLevel ?? config.values.PROMPTGATE_LOG_LEVEL, fellows?.worker);
    const metrics = createMetrics(
      () => ({
        snapshotAgeMs: snapshot.health().ageMs,
        audit: trail.health(),
        budgets: budgets.uses(),
        rollups: rollups.health(),
      }),
      fellows?.heirloom,
    );
    fellows?.answer('metrics', () => metrics.share());
    const store = await openStore(databaseOf(options), {
      ...retentionOf(options),
      onMove: metrics.observeMove,
      onGateRefusal: metrics.observeGateRefusal,
      // Nothing works without the database, and what it holds is safe: end, and let the supervisor start anew.
      onCrash(cause) {
        log.error(
          new PromptgateError('internal', 'The embedded database died; the process ends.', { cause }),
          null,
        );
        process.exit(errorTable.internal.exitCode);
      },
    });
    releasers.push(() => store.close());
    const applied = await store.migrate();
    const current = (await store.migrationStatus()).at(-1);

    const snapshot = createRegistrySnapshot(store.registry, {
      onError: () => log.warn('the registry cannot be read; going on with the last snapshot'),
    });
    await snapshot.start();
    releasers.push(() => snapshot.stop());

    let simulated: SimulatedProvider | undefined;
    if (config.providers.length === 0 && options.simulate) {
      simulated = await startSimulatedProvider();
      releasers.push(() => simulated?.close());
    }
    const settings = simulated ? simulatedProviders(config.values, simulated.url) : config.providers;
    const providers = createProviders(settings);
    releasers.push(() => providers.close());

    const { values } = config;
    const trail = await store.openAuditTrail({
      timeoutMs: values.PROMPTGATE_AUDIT_TIMEOUT_MS,
      settleTimeoutMs: values.PROMPTGATE_AUDIT_SETTLE_TIMEOUT_MS,
      maxOpen: values.PROMPTGATE_AUDIT_MAX_OPEN,
      maxOpenBytes: values.PROMPTGATE_AUDIT_MAX_OPEN_BYTES,
      onFlush: metrics.observeFlush,
      predecessor: fellows?.predecessor ?? null,
      toUnknown: toUnknownExecution,
      onRecovered(executions) {
        for (const execution of executions) log.execution(execution);
      },
      ...(options.serving && values.PROMPTGATE_AUDIT_MODE === 'spool'
        ? { spool: spoolOf(options, (event) => log.warn(`audit spool: ${event}`)) }
        : {}),
    });
    releasers.push(() => trail.close());
    trail.start();
    const inFlight = createInFlight();
    const traces = await openTraces(config);
    releasers.push(() => traces?.close());
    const scripts = createScriptProcess({ javascript: values.PROMPTGATE_EVAL_JAVASCRIPT === 'on' });
    releasers.push(() => scripts.close());
    const budgets = createBudgetKeeper(store.budgets, {
      onWarning: ({ scope, subject, measure, currency, period, warnAt }, taken) => {
        const what = currency || measure;
        log.warn(`budget: ${scope} ${subject} took ${taken} ${what} this ${period}; warned from ${warnAt}`);
      },
      onError: () => log.warn('the budgets cannot be read; going on with those of before'),
    });
    await budgets.start();
    releasers.push(() => budgets.stop());
    const webhook = createWebhook({
      url: values.PROMPTGATE_WEBHOOK_URL,
      secret: values.PROMPTGATE_WEBHOOK_SECRET,
      onTaken: ({ id }) => store.webhooks.recordTaken(id),
      onLost: ({ type, id }, reason) => log.warn('a webhook was not taken', { type, id, reason }),
    });
    releasers.push(() => webhook?.close());
    const news = webhook && createNews(webhook.post);
    const gateway = createGateway({
      budgets,
      budgetStore: store.budgets,
      snapshot,
      registry: store.registry,
      audit: store.audit,
      trail,
      inFlight,
      keeping: store.keeping,
      evaluations: store.evaluations,
      scripts,
      costs: store.costs,
      replays: store.replays,
      drift: store.drift,
      probes: store.probes,
      onDrift(report) {
        metrics.observeDrift(report.findings);
        news?.drift(report);
      },
      onProbe(report) {
        metrics.observeProbe(report);
        news?.probe(report);
      },
      news,
      summaries: store.summaries,
      webhook,
      toSummaryEvent,
      providers,
      rawCalls: config.values.PROMPTGATE_RAW,
      defaultTimeoutMs: config.values.PROMPTGATE_EXECUTION_TIMEOUT_MS,
      onExecution(execution, place) {
        metrics.observe(execution);
        log.execution(execution);
        traces?.record(execution, place);
      },
    });
    const rollups = createRollupKeeper(store.costs, {
      onError: () => log.warn('the rollups of costs cannot be kept; trying again'),
    });
    releasers.push(() => rollups.stop());
    if (options.serving) rollups.start();
    const times = { drift: values.PROMPTGATE_DRIFT_SCHEDULE, costs: values.PROMPTGATE_COSTS_SCHEDULE };
    const schedules = createSchedules({
      schedules: gatewaySchedules(gateway, times),
      open: (onError) => store.openJobQueue(onError),
      onRun(schedule, outcome, error) {
        metrics.observeSchedule(schedule, outcome);
        if (outcome !== 'completed') log.error(toPromptgateError(error), null);
      },
      onTrouble(error) {
        if (error === null) log.info('the schedules are kept again');
        else log.error(toPromptgateError(error), null);
      },
    });
    releasers.push(() => schedules.stop(values.PROMPTGATE_DRAIN_TIMEOUT_MS));
    let accepting = true;
    const http = createHttpApp({
      gateway,
      maxBodyBytes: config.values.PROMPTGATE_MAX_BODY_BYTES,
      onError: (error, request) => log.error(error, request),
      beginTrace: traces && (() => traces.begin()),
      operations: {
        version,
        database: store.kind,
        simulated: simulated !== undefined,
        ping: () => store.ping(),
        metrics: async () => (fellows ? metrics.renderAll(await fellows.ask('metrics')) : metrics.render()),
        fellows,
        accepting: () => accepting,
        audit: () => trail.health(),
      },
    });
    return {
      gateway,
      http,
      log,
      gatewayId: trail.gatewayId,
      database: store.kind,
      publishAddress: (url) => store.publishAddress(url),
      startSchedules() {
        // A simulated answer is no probe of what others' gateways on the database call.
        const isForeign = simulated !== undefined && store.kind === 'postgres';
        if (!isForeign && (fellows?.worker ?? 1) === 1) schedules.start();
      },
      simulatedUrl: simulated?.url ?? null,
      schema: { applied: applied.map(({ name }) => name), current: current?.name ?? 'nothing' },
      refreshBudgets: () => budgets.refresh(),
      stopAccepting() {
        accepting = false;
        inFlight.stop();
        void schedules.stop(values.PROMPTGATE_DRAIN_TIMEOUT_MS);
      },
      async drain(timeoutMs, hurry) {
        await inFlight.drain(timeoutMs, hurry);
        return trail.drain(values.PROMPTGATE_AUDIT_TIMEOUT_MS);
      },
      close,
    };
  } catch (error) {
    await close();
    throw toPromptgateError(error);
  }
}

/** Null where nobody wants them: the SDK is not even loaded then. */
async function openTraces({ values }: Config): Promise<Traces | null> {
  const wanted = traceSettingsOf(values);
  return wanted && (await import('./telemetry/traces.ts')).createTraces({ ...wanted, version });
}

function retentionOf({ serving, config }: OpenAppOptions): { retentionMonths?: number } {
  const months = config.values.PROMPTGATE_RETENTION_MONTHS;
  return serving && months !== undefined ? { retentionMonths: months } : {};
}

function spoolOf(
  { directory, config: { values }, fellows }: OpenAppOptions,
  onChange: (event: string) => void,
) {
  const data = resolve(directory, values.PROMPTGATE_DATA_DIR);
  const { worker, wanted } = fellows ?? { worker: 1, wanted: 1 };
  return {
    directory: spoolDirectoryOf(data, worker),
    orphans: worker === 1 ? findOrphanedSpools(data, wanted) : [],
    maxBytes: values.PROMPTGATE_SPOOL_MAX_BYTES,
    maxAgeMs: values.PROMPTGATE_SPOOL_MAX_AGE_MS,
    onChange,
  };
}

function databaseOf(options: OpenAppOptions): { databaseUrl: string } | { embeddedDir: string } {
  if (options.embedded) {
    return { embeddedDir: resolve(options.directory, options.config.values.PROMPTGATE_DATA_DIR) };
  }
  const databaseUrl = options.config.values.DATABASE_URL;
  if (!databaseUrl) throw new PromptgateError('invalid_request', 'DATABASE_URL is not set.');
  return { databaseUrl };
}
