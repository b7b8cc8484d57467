import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Execution } from '../domain/execution.ts';

export interface Metrics {
  observe(execution: Execution): void;
  /** One group commit of the audit trail. */
  observeFlush(lane: string, rows: number, ms: number): void;
  render(): Promise<{ contentType: string; body: string }>;
}

const secondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const overheadBuckets = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5];

/** What is read at the moment of a scrape. */
export interface Readings {
  readonly snapshotAgeMs: number;
  readonly audit: AuditReadings;
}

export interface AuditReadings {
  readonly queued: number;
  readonly open: number;
  readonly dropped: number;
  readonly recovered: number;
  readonly spooling: boolean;
  readonly spoolBytes: number;
}

/**
 * Labels are bounded: statuses and codes are closed sets, providers and models come from definitions, never from a
 * caller. A refused call carries no model.
 */
export function createMetrics(read: () => Readings): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const executions = new Counter({
    name: 'promptgate_executions_total',
    help: 'Executions by outcome',
    labelNames: ['status', 'error_code', 'provider', 'model'],
    registers,
  });
  const duration = new Histogram({
    name: 'gen_ai_client_operation_duration_seconds',
    help: 'Latency of executions that reached a provider',
    labelNames: ['gen_ai_provider_name', 'gen_ai_request_model', 'error_type'],
    buckets: secondsBuckets,
    registers,
  });
  const overhead = new Histogram({
    name: 'promptgate_overhead_seconds',
    help: "The gateway's share of the latency",
    buckets: overheadBuckets,
    registers,
  });
  const attempts = new Counter({
    name: 'promptgate_attempts_total',
    help: 'Requests to providers, retries included',
    labelNames: ['provider'],
    registers,
  });
  const tokens = new Counter({
    name: 'promptgate_tokens_total',
    help: 'Tokens as the providers reported them',
    labelNames: ['provider', 'model', 'type'],
    registers,
  });
  new Gauge({
    name: 'promptgate_registry_snapshot_age_seconds',
    help: 'Since the registry snapshot was last compared with the database',
    registers,
    collect() {
      this.set(read().snapshotAgeMs / 1000);
    },
  });
  const observeFlush = addAuditMetrics(registry, () => read().audit);
  return {
    observeFlush,
    observe(execution) {
      const provider = execution.provider ?? '';
      const model = execution.model ?? '';
      const errorCode = execution.errorCode ?? '';
      executions.inc({ status: execution.status, error_code: errorCode, provider, model });
      if (execution.attempts.length === 0) return;
      duration.observe(
        { gen_ai_provider_name: provider, gen_ai_request_model: model, error_type: errorCode },
        execution.latencyMs / 1000,
      );
      overhead.observe(execution.overheadMs / 1000);
      attempts.inc({ provider }, execution.attempts.length);
      if (execution.promptTokens !== null)
        tokens.inc({ provider, model, type: 'input' }, execution.promptTokens);
      if (execution.completionTokens !== null) {
        tokens.inc({ provider, model, type: 'output' }, execution.completionTokens);
      }
    },
    async render() {
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

const flushSecondsBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5];
const flushRowsBuckets = [1, 2, 5, 10, 20, 50, 100, 200];

/** @returns what every commit is told to */
function addAuditMetrics(registry: Registry, read: () => AuditReadings): Metrics['observeFlush'] {
  const registers = [registry];
  const gauges = {
    promptgate_audit_queue_rows: ['Rows of the audit that wait for a commit', (now) => now.queued],
    promptgate_audit_intents_open: ['Executions that are admitted and not settled', (now) => now.open],
    promptgate_audit_spooling: ['1 while rows go to the local journal', (now) => Number(now.spooling)],
    promptgate_audit_spool_bytes: ['Size of the local journal', (now) => now.spoolBytes],
  } satisfies Record<string, [string, (now: AuditReadings) => number]>;
  const counters = {
    promptgate_audit_intents_recovered_total: [
      'Intents of dead gateways made unknown',
      (now) => now.recovered,
    ],
    promptgate_audit_rows_dropped_total: ['Rows lost without a trace; stays 0', (now) => now.dropped],
  } satisfies Record<string, [string, (now: AuditReadings) => number]>;
  for (const [name, [help, value]] of Object.entries(gauges)) {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value(read()));
      },
    });
  }
  for (const [name, [help, value]] of Object.entries(counters)) {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(value(read()));
      },
    });
  }
  const labelNames = ['lane'];
  const seconds = new Histogram({
    name: 'promptgate_audit_flush_seconds',
    help: 'Time of one group commit of the audit',
    labelNames,
    buckets: flushSecondsBuckets,
    registers,
  });
  const rowsPerFlush = new Histogram({
    name: 'promptgate_audit_flush_rows',
    help: 'Rows of one group commit of the audit',
    labelNames,
    buckets: flushRowsBuckets,
    registers,
  });
  return (lane, rows, ms) => {
    seconds.observe({ lane }, ms / 1000);
    rowsPerFlush.observe({ lane }, rows);
  };
}
