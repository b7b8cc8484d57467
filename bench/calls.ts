/** Calls: CPU and throughput where a system does all that it can, and latency at rates that it can take. */
import type { ChildProcess } from 'node:child_process';
import postgres from 'postgres';
import type { PostgresProcess } from '../test/support/postgres-process.ts';
import type { ArrivalsOrder, ArrivalsResult } from './arrivals-process.ts';
import { firstLine, type Peer } from './peers.ts';
import { answerOf, ask, cpuUsOf, median, rssOf, start, sum } from './processes.ts';
import type { Size } from './run.ts';
import { direct, type System, startFloor, startPromptgate } from './systems.ts';

/** One round at saturation. */
export interface Saturation {
  readonly perSecond: number;
  /** Of the gateway's processes, for each request; and of the database's. */
  readonly cpuUs: number;
  readonly databaseCpuUs: number;
}

/** One round at a rate; what the way through the gateway adds to asking the provider at the same rate. */
export interface Latency {
  readonly pauseMs: number;
  /** Of the rate at which the system was saturated. */
  readonly share: number;
  readonly rate: number;
  readonly addedP50Ms: number;
  readonly addedP99Ms: number;
  readonly addedP999Ms: number;
}

export interface SystemResult {
  readonly name: string;
  readonly saturation: Saturation[];
  readonly latency: Latency[];
  readonly rssBytes: number;
  readonly readyMs: number | null;
  /** Answered requests, and those of them that have a row in the end. */
  readonly answered: number;
  readonly rows: number | null;
}

export interface CallResults {
  readonly systems: SystemResult[];
  readonly missing: Readonly<Record<string, string>>;
}

const pausesMs = [0, 20];
const shares = [0.1, 0.5, 0.8];
const connections = 64;

/** A system under measurement. */
interface Subject {
  readonly system: System;
  readonly saturation: Saturation[];
  readonly latency: Latency[];
  answered: number;
}

interface Bench {
  /** Of its first process. */
  readonly databasePid: number;
  readonly provider: ChildProcess;
  readonly load: ChildProcess;
  readonly direct: System;
}

export async function measureCalls(
  database: PostgresProcess,
  peers: readonly Peer[],
  size: Size,
): Promise<CallResults> {
  const provider = start('answering-process.ts');
  const load = start('arrivals-process.ts');
  const { url } = await answerOf<{ url: string }>(provider);
  const databasePid = await readServerPid(database.url);
  const bench = { databasePid, provider, load, direct: direct(url, provider) };
  const { systems, missing } = await startSystems(database, peers, url);
  const subjects = systems.map((system): Subject => ({ system, saturation: [], latency: [], answered: 0 }));
  try {
    for (const subject of subjects) {
      await send(bench, subject, { seconds: 120, connections, requestsMax: size.warmUpRequests });
    }
    for (let round = 0; round < size.rounds; round++) {
      for (const subject of inTurn(subjects, round)) await saturate(bench, subject, size);
    }
    for (const pauseMs of pausesMs) {
      await ask(provider, { pauseMs });
      for (let round = 0; round < size.latencyRounds; round++) {
        for (const share of shares) {
          for (const subject of inTurn(subjects, round)) await time(bench, subject, { pauseMs, share }, size);
        }
      }
    }
    return { systems: await Promise.all(subjects.map((subject) => toResult(subject, subjects))), missing };
  } finally {
    for (const { system } of subjects) await system.stop();
    load.disconnect();
    provider.disconnect();
  }
}

async function startSystems(database: PostgresProcess, peers: readonly Peer[], url: string) {
  const missing: Record<string, string> = {};
  const systems = [
    await startFloor(url),
    ...(await startPromptgate(database.url, url, { audit: 'as it is' })),
    (await startPromptgate(database.url, url, { audit: 'commits not awaited' }))[0],
    (await startPromptgate(database.url, url, { audit: 'no audit' }))[0],
  ];
  for (const peer of peers) {
    try {
      systems.push(await peer.start(url));
    } catch (error) {
      missing[peer.name] = firstLine(error);
    }
  }
  return { systems, missing };
}

/** Whoever goes first gains or loses by it: each in turn. */
function inTurn<T>(all: readonly T[], round: number): T[] {
  return all.map((_, index) => all[(index + round) % all.length]!);
}

async function send(
  { load }: Bench,
  subject: Subject,
  order: Omit<ArrivalsOrder, 'url' | 'headers' | 'body'>,
): Promise<ArrivalsResult> {
  const result = await ask<ArrivalsResult>(load, { ...subject.system.whole, ...order });
  if (result.failed > 0) console.log(`${subject.system.name}: ${result.failed} requests failed`);
  subject.answered += result.answered;
  return result;
}

async function saturate(bench: Bench, subject: Subject, { saturationSeconds }: Size): Promise<void> {
  const { pid } = subject.system;
  const before = { gateway: cpuUsOf(pid), database: cpuUsOf(bench.databasePid) };
  const { answered, seconds } = await send(bench, subject, { seconds: saturationSeconds, connections });
  subject.saturation.push({
    perSecond: answered / seconds,
    cpuUs: (cpuUsOf(pid) - before.gateway) / answered,
    databaseCpuUs: (cpuUsOf(bench.databasePid) - before.database) / answered,
  });
}

async function time(
  bench: Bench,
  subject: Subject,
  { pauseMs, share }: Pick<Latency, 'pauseMs' | 'share'>,
  { latencySeconds }: Size,
): Promise<void> {
  const rate = share * median(subject.saturation.map(({ perSecond }) => perSecond));
  const order = { seconds: latencySeconds, rate };
  const straight = await ask<ArrivalsResult>(bench.load, { ...bench.direct.whole, ...order });
  const through = await send(bench, subject, order);
  subject.latency.push({
    pauseMs,
    share,
    rate,
    addedP50Ms: through.p50Ms - straight.p50Ms,
    addedP99Ms: through.p99Ms - straight.p99Ms,
    addedP999Ms: through.p999Ms - straight.p999Ms,
  });
}

async function toResult(
  { system, ...measured }: Subject,
  subjects: readonly Subject[],
): Promise<SystemResult> {
  const { name, pid, readyMs = null, databaseUrl } = system;
  // Two faces of one gateway write into one database.
  const answered = sum(subjects.filter((other) => other.system.pid === pid).map((other) => other.answered));
  const rows = databaseUrl ? await countRows(databaseUrl) : null;
  return { name, ...measured, answered, rssBytes: rssOf(pid), readyMs, rows };
}

async function readServerPid(databaseUrl: string): Promise<number> {
  const sql = postgres(databaseUrl, { max: 1 });
  const [read] = await sql`select split_part(pg_read_file('postmaster.pid'), E'\n', 1)::int as pid`;
  await sql.end();
  return read?.pid;
}

async function countRows(databaseUrl: string): Promise<number> {
  const sql = postgres(databaseUrl, { max: 1 });
  const [counted] = await sql`select count(*)::int as n from ai_executions where status = 'succeeded'`;
  await sql.end();
  return counted?.n;
}
