/** The way of rows into the audit trail: what waits, what is open, how long commits take. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

export interface AuditReadings {
  readonly queued: number;
  readonly open: number;
  readonly dropped: number;
  readonly recovered: number;
  readonly spooling: boolean;
  readonly spoolBytes: number;
}

const flushSecondsBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5];
const flushRowsBuckets = [1, 2, 5, 10, 20, 50, 100, 200];

/** @returns what every commit is told to */
export function addAuditMetrics(
  registry: Registry,
  read: () => AuditReadings,
): (lane: string, rows: number, ms: number) => void {
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
