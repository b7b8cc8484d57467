import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Execution } from '../domain/execution.ts';

export interface Metrics {
  observe(execution: Execution): void;
  render(): Promise<{ contentType: string; body: string }>;
}

const secondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const overheadBuckets = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5];

/**
 * Labels are bounded: statuses and codes are closed sets, providers and models come from definitions, never from a
 * caller. A refused call carries no model.
 */
export function createMetrics(snapshotAgeMs: () => number): Metrics {
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
      this.set(snapshotAgeMs() / 1000);
    },
  });
  return {
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
