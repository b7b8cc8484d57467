/**
 * What durability costs: executions per second and CPU per execution of the gateway's process, on a real PostgreSQL
 * that syncs to the disk, with the audit as it is, with its commits not awaited, and with it stubbed out.
 *
 * Machines drift, so the three take turns, and what counts is the median of their ratios to the durable one of the
 * same round.
 * Load, provider and database are processes of their own. `--rounds`, `--seconds` and `--connections` set the size.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startPostgres } from '../test/support/postgres-process.ts';
import type { LoadOrder, LoadResult } from './load-process.ts';

const auditKinds = ['durable', 'not awaited', 'stubbed out'] as const;
export type AuditKind = (typeof auditKinds)[number];

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '6' },
    connections: { type: 'string', default: '64' },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const connections = Number(values.connections);
const warmUpSeconds = 2;

interface Figures {
  readonly perSecond: number;
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

function start(file: string, args: string[] = []): ChildProcess {
  return fork(join(import.meta.dirname, file), args, { execArgv: [], env: { PATH: process.env.PATH } });
}

function answerOf<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as T));
    child.once('exit', (code) => reject(new Error(`a process of the benchmark ended with ${code}`)));
  });
}

function ask<T>(child: ChildProcess, question: object): Promise<T> {
  const answer = answerOf<T>(child);
  child.send(question);
  return answer;
}

async function measure(kind: AuditKind, databaseUrl: string, providerUrl: string): Promise<Figures> {
  const gateway = start('gateway-process.ts', [kind, databaseUrl, providerUrl]);
  const load = start('load-process.ts');
  try {
    const target = await answerOf<{ url: string; key: string }>(gateway);
    const order: LoadOrder = { ...target, connections, seconds: warmUpSeconds };
    await ask<LoadResult>(load, order);
    const before = await ask<NodeJS.CpuUsage>(gateway, {});
    const result = await ask<LoadResult>(load, { ...order, seconds });
    const after = await ask<NodeJS.CpuUsage>(gateway, {});
    if (result.failures > 0) throw new Error(`${result.failures} executions failed (${kind})`);
    const cpuUs = after.user + after.system - before.user - before.system;
    return {
      perSecond: result.executions / result.seconds,
      cpuUs: cpuUs / result.executions,
      p50Ms: result.p50Ms,
      p99Ms: result.p99Ms,
    };
  } finally {
    gateway.disconnect();
    load.disconnect();
  }
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

function print(measured: Readonly<Record<AuditKind, Figures[]>>): void {
  const rows = auditKinds.map((kind) => {
    const of = (name: keyof Figures) => median(measured[kind].map((figures) => figures[name]));
    const ratio = (name: keyof Figures) =>
      median(
        measured[kind].map(
          (figures, round) => figures[name] / (measured.durable[round]?.[name] ?? Number.NaN),
        ),
      );
    return {
      audit: kind,
      'executions/s': Math.round(of('perSecond')),
      'CPU µs/execution': Math.round(of('cpuUs')),
      'p50 ms': Number(of('p50Ms').toFixed(1)),
      'p99 ms': Number(of('p99Ms').toFixed(1)),
      'rate × durable': Number(ratio('perSecond').toFixed(2)),
      'CPU × durable': Number(ratio('cpuUs').toFixed(2)),
    };
  });
  console.table(rows);
}

const postgres = await startPostgres();
const provider = start('provider-process.ts');
const measured: Record<AuditKind, Figures[]> = { durable: [], 'not awaited': [], 'stubbed out': [] };
try {
  const { url: providerUrl } = await answerOf<{ url: string }>(provider);
  console.log(`${rounds} rounds of ${seconds} s, ${connections} connections, PostgreSQL with fsync on`);
  for (let round = 0; round < rounds; round++) {
    // Whoever goes first gains or loses by it: each in turn.
    const order = auditKinds.map((_, index) => auditKinds[(index + round) % auditKinds.length] as AuditKind);
    for (const kind of order) measured[kind].push(await measure(kind, postgres.url, providerUrl));
  }
  print(measured);
} finally {
  provider.disconnect();
  await postgres.stop();
}
