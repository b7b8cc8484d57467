/**
 * What Prometheus reads. Names follow OpenTelemetry's GenAI conventions in their Prometheus form; ours begin with
 * `promptgate_`.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { BudgetUse } from '../application/budget-keeper.ts';
import type { WorkerAnswer, WorkerAnswers } from '../application/fellow-workers.ts';
import type { ProbeReport } from '../application/run-probe.ts';
import type { ScheduleOutcome } from '../application/schedules.ts';
import type { DriftFinding } from '../domain/drift.ts';
import type { Execution } from '../domain/execution.ts';
import type { Deployment } from '../domain/prompt-version.ts';
import { boundValues } from './bounded-values.ts';
import { addUp, shareOf } from './worker-metrics.ts';

export interface Metrics {
  observe(execution: Execution): void;
  /** A label moved. */
  observeMove(move: Pick<Deployment, 'label' | 'kind'>): void;
  /** A move was refused for want of evidence. */
  observeGateRefusal(label: string): void;
  /** One run of drift detection over the trail. */
  observeDrift(findings: readonly Pick<DriftFinding, 'promptName' | 'measure'>[]): void;
  /** A run of a probe ended. */
  observeProbe(report: ProbeReport): void;
  /** Something was done by the clock, or was tried. */
  observeSchedule(schedule: string, outcome: ScheduleOutcome): void;
  /** One group commit of the audit trail. */
  observeFlush(lane: string, rows: number, ms: number): void;
  render(): Promise<MetricsText>;
  /** What this worker adds to the metrics of all; see `renderAll`. */
  share(): Promise<WorkerAnswer>;
  /** The metrics of all workers as one: counts are added up, of ages the highest is told. */
  renderAll(workers: WorkerAnswers): Promise<MetricsText>;
}

export interface MetricsText {
  readonly contentType: string;
  readonly body: string;
}

/** As the conventions advise. */
const secondsBuckets = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
const tokenBuckets = [
  1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216,
];
const overheadBuckets = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5];

/** Distinct values of one label; whatever comes after them is counted together. */
const valuesMax = { prompt: 1_000, model: 200, label: 100, budget: 500 };

/** What is read at the moment of a scrape. */
export interface Readings {
  readonly snapshotAgeMs: number;
  readonly audit: AuditReadings;
  readonly budgets: readonly BudgetUse[];
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
 * Labels are bounded: statuses and codes are closed sets, a prompt is named only when the registry has it, and of any name
 * there are only so many. A refused call carries no model.
 *
 * @param heirloom what workers that are dead have counted, as `share` gave it: a sum that fell would look like a restart,
 * and everything in it be counted again
 */
export function createMetrics(read: () => Readings, heirloom: unknown = null): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'promptgate_registry_snapshot_age_seconds',
    help: 'Since the registry snapshot was last compared with the database',
    aggregator: 'max',
    registers: [registry],
    collect() {
      this.set(read().snapshotAgeMs / 1000);
    },
  });
  new Gauge({
    name: 'promptgate_budget_used_ratio',
    help: 'Share of a budget that is taken in its present period, as this gateway last heard',
    aggregator: 'max',
    labelNames: ['scope', 'subject', 'measure', 'period', 'currency'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { budget, ratio } of read().budgets.slice(0, valuesMax.budget)) {
        const { scope, subject, measure, period, currency } = budget;
        this.set({ scope, subject, measure, period, currency }, ratio);
      }
    },
  });
  return {
    observe: addExecutionMetrics(registry),
    ...addLabelMetrics(registry),
    observeDrift: addDriftMetrics(registry),
    observeProbe: addProbeMetrics(registry),
    observeSchedule: addScheduleMetrics(registry),
    observeFlush: addAuditMetrics(registry, () => read().audit),
    async render() {
      return toText(registry);
    },
    share: () => shareOf(registry, heirloom),
    async renderAll(workers) {
      return toText(await addUp(workers));
    },
  };
}

async function toText(registry: Registry): Promise<MetricsText> {
  return { contentType: registry.contentType, body: await registry.metrics() };
}

function addExecutionMetrics(registry: Registry): Metrics['observe'] {
  const registers = [registry];
  const executions = new Counter({
    name: 'promptgate_executions_total',
    help: 'Executions by outcome; a prompt that the registry does not have is empty',
    labelNames: ['prompt', 'purpose', 'status', 'error_code', 'provider', 'model'],
    registers,
  });
  const cost = new Counter({
    name: 'promptgate_cost_total',
    help: 'Known costs, in the currency of the label',
    labelNames: ['prompt', 'currency'],
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
  const retries = new Counter({
    name: 'promptgate_retries_total',
    help: 'Requests to providers that repeated a failed one, by what had failed',
    labelNames: ['provider', 'error_code'],
    registers,
  });
  const observeOperation = addOperationMetrics(registry);
  const boundPrompt = boundValues(valuesMax.prompt);
  const boundModel = boundValues(valuesMax.model);
  return (execution) => {
    const provider = execution.provider ?? '';
    const model = boundModel(execution.model ?? '');
    const prompt = boundPrompt(execution.promptVersionId === null ? '' : execution.promptName);
    const error_code = execution.errorCode ?? '';
    executions.inc({
      prompt,
      purpose: execution.purpose,
      status: execution.status,
      error_code,
      provider,
      model,
    });
    if (execution.attempts.length === 0) return;
    overhead.observe(execution.overheadMs / 1000);
    attempts.inc({ provider }, execution.attempts.length);
    for (const failed of execution.attempts.slice(0, -1)) {
      retries.inc({ provider, error_code: failed.errorCode ?? '' });
    }
    if (execution.price.cost !== null) {
      cost.inc({ prompt, currency: execution.price.currency }, Number(execution.price.cost));
    }
    observeOperation(execution, provider, model);
  };
}

/** The metrics that OpenTelemetry's GenAI conventions define. */
function addOperationMetrics(
  registry: Registry,
): (execution: Execution, provider: string, model: string) => void {
  const registers = [registry];
  const about = ['gen_ai_operation_name', 'gen_ai_provider_name', 'gen_ai_request_model'];
  const duration = new Histogram({
    name: 'gen_ai_client_operation_duration_seconds',
    help: 'Latency of executions that reached a provider',
    labelNames: [...about, 'error_type'],
    buckets: secondsBuckets,
    registers,
  });
  const firstChunk = new Histogram({
    name: 'gen_ai_client_operation_time_to_first_chunk_seconds',
    help: 'From the request to the first content of a stream',
    labelNames: about,
    buckets: secondsBuckets,
    registers,
  });
  const tokens = new Histogram({
    name: 'gen_ai_client_token_usage',
    help: 'Tokens of an execution as the provider reported them',
    labelNames: [...about, 'gen_ai_token_type'],
    buckets: tokenBuckets,
    registers,
  });
  return (execution, provider, model) => {
    const { promptTokens, completionTokens, delivery, errorCode } = execution;
    const operation = {
      gen_ai_operation_name: 'chat',
      gen_ai_provider_name: provider,
      gen_ai_request_model: model,
    };
    duration.observe({ ...operation, error_type: errorCode ?? '' }, execution.latencyMs / 1000);
    if (delivery?.timeToFirstTokenMs != null) {
      firstChunk.observe(operation, delivery.timeToFirstTokenMs / 1000);
    }
    if (promptTokens !== null) tokens.observe({ ...operation, gen_ai_token_type: 'input' }, promptTokens);
    if (completionTokens !== null) {
      tokens.observe({ ...operation, gen_ai_token_type: 'output' }, completionTokens);
    }
  };
}

function addLabelMetrics(registry: Registry): Pick<Metrics, 'observeMove' | 'observeGateRefusal'> {
  const registers = [registry];
  const moves = new Counter({
    name: 'promptgate_label_moves_total',
    help: 'Label moves that this gateway made',
    labelNames: ['label', 'kind'],
    registers,
  });
  const refusals = new Counter({
    name: 'promptgate_gate_refusals_total',
    help: 'Label moves that a gate refused for want of evidence',
    labelNames: ['label'],
    registers,
  });
  const boundLabel = boundValues(valuesMax.label);
  return {
    observeMove: ({ label, kind }) => moves.inc({ label: boundLabel(label), kind }),
    observeGateRefusal: (label) => refusals.inc({ label: boundLabel(label) }),
  };
}

function addDriftMetrics(registry: Registry): Metrics['observeDrift'] {
  const registers = [registry];
  const runs = new Counter({
    name: 'promptgate_drift_runs_total',
    help: 'Runs of drift detection that this gateway made',
    registers,
  });
  const findings = new Counter({
    name: 'promptgate_drift_findings_total',
    help: 'What they found, by what was measured; found again it counts again',
    labelNames: ['prompt', 'measure'],
    registers,
  });
  const boundPrompt = boundValues(valuesMax.prompt);
  return (found) => {
    runs.inc();
    for (const { promptName, measure } of found) findings.inc({ prompt: boundPrompt(promptName), measure });
  };
}

function addProbeMetrics(registry: Registry): Metrics['observeProbe'] {
  const runs = new Counter({
    name: 'promptgate_probe_runs_total',
    help: 'Runs of probes that ended at this gateway',
    labelNames: ['prompt', 'suite', 'outcome'],
    registers: [registry],
  });
  const boundPrompt = boundValues(valuesMax.prompt);
  const boundSuite = boundValues(valuesMax.label);
  return ({ run: { promptName, suite }, outcome: { outcome } }) =>
    runs.inc({ prompt: boundPrompt(promptName), suite: boundSuite(suite), outcome });
}

function addScheduleMetrics(registry: Registry): Metrics['observeSchedule'] {
  const runs = new Counter({
    name: 'promptgate_schedule_runs_total',
    help: 'What this gateway did by the clock, by how it ended; given_back: it was stopping, another gateway does it',
    labelNames: ['schedule', 'outcome'],
    registers: [registry],
  });
  return (schedule, outcome) => runs.inc({ schedule, outcome });
}

const flushSecondsBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5];
const flushRowsBuckets = [1, 2, 5, 10, 20, 50, 100, 200];

/** @returns what every commit is told to */
function addAuditMetrics(registry: Registry, read: () => AuditReadings): Metrics['observeFlush'] {
  const registers = [registry];
  const gauges = {
    promptgate_audit_queue_rows: ['Rows of the audit that wait for a commit', 'sum', (now) => now.queued],
    promptgate_audit_intents_open: ['Executions that are admitted and not settled', 'sum', (now) => now.open],
    promptgate_audit_spooling: ['1 while rows go to the local journal', 'max', (now) => Number(now.spooling)],
    promptgate_audit_spool_bytes: ['Size of the local journal', 'sum', (now) => now.spoolBytes],
  } satisfies Record<string, [string, 'sum' | 'max', (now: AuditReadings) => number]>;
  const counters = {
    promptgate_audit_intents_recovered_total: [
      'Intents of dead gateways made unknown',
      (now) => now.recovered,
    ],
    promptgate_audit_rows_dropped_total: ['Rows lost without a trace; stays 0', (now) => now.dropped],
  } satisfies Record<string, [string, (now: AuditReadings) => number]>;
  for (const [name, [help, aggregator, value]] of Object.entries(gauges)) {
    new Gauge({
      name,
      help,
      aggregator,
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
