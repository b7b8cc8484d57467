/**
 * What Prometheus reads. Names follow OpenTelemetry's GenAI conventions in their Prometheus form; ours begin with
 * `promptgate_`.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { BudgetUse } from '../application/budget-keeper.ts';
import type { WorkerAnswer, WorkerAnswers } from '../application/fellow-workers.ts';
import type { RollupHealth } from '../application/rollup-keeper.ts';
import type { ProbeReport } from '../application/run-probe.ts';
import type { ScheduleOutcome } from '../application/schedules.ts';
import type { DriftFinding } from '../domain/drift.ts';
import type { Execution } from '../domain/execution.ts';
import type { Deployment } from '../domain/prompt-version.ts';
import { type AuditReadings, addAuditMetrics } from './audit-metrics.ts';
import { boundValues, valuesMax } from './bounded-values.ts';
import { addExecutionMetrics } from './execution-metrics.ts';
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

/** What is read at the moment of a scrape. */
export interface Readings {
  readonly snapshotAgeMs: number;
  readonly audit: AuditReadings;
  readonly budgets: readonly BudgetUse[];
  readonly rollups: RollupHealth;
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
  addRollupMetrics(registry, () => read().rollups);
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

/** Every gateway tells of the same rows. */
function addRollupMetrics(registry: Registry, read: () => RollupHealth): void {
  const registers = [registry];
  new Gauge({
    name: 'promptgate_rollups_pending_rows',
    help: 'Executions that are in no sum yet, as this gateway last counted',
    aggregator: 'max',
    registers,
    collect() {
      this.set(read().pending);
    },
  });
  new Counter({
    name: 'promptgate_rollups_failures_total',
    help: 'Times that this gateway could not add up what had settled; it tries again',
    registers,
    collect() {
      this.reset();
      this.inc(read().failures);
    },
  });
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
