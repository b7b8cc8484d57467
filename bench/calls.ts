/** Calls: CPU and throughput where a system does all that it can, and latency at rates that it can take. */
import type { ChildProcess } from 'node:child_process';
import postgres from 'postgres';
import type { PostgresProcess } from '../test/support/postgres-process.ts';
import type { ArrivalsOrder, ArrivalsResult } from './arrivals-process.ts';
import { firstLine, type Peer } from './peers.ts';
import { answerOf, ask, cpuUsOf, median, rssOf, start, sum } from './processes.ts';
import { say } from './progress.ts';
import type { Size } from './run.ts';
import {
  direct,
  inMemoryName,
  inTurn,
  type System,
  startFloor,
  startInMemory,
  startPromptgate,
} from './systems.ts';

/** One round at saturation. */
export interface Saturation {
  readonly pauseMs: number;
  readonly perSecond: number;
  /** Of the gateway's processes, for each request; and of the database's, NaN where there is none. */
  readonly cpuUs: number;
  readonly databaseCpuUs: number;
}

/** One round at a rate; what the way through the gateway adds to asking the provider at the same rate. */
export interface Latency {
  readonly pauseMs: number;
  /** Of the rate at which a system was saturated with the same pause: itself, or the one beside which it is measured. */
  readonly share: number;
  readonly rateOf: string;
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
  readonly failed: number;
  readonly rows: number | null;
}

export interface CallResults {
  readonly systems: SystemResult[];
  /** promptgate once more, with PostgreSQL's files in memory: asked only at the rate that is judged. */
  readonly inMemory: SystemResult[];
  readonly missing: Readonly<Record<string, string>>;
}

/** Where a slow provider has calls wait for it, more of them saturate a gateway. */
const upstreams = [
  { pauseMs: 0, connections: 64 },
  { pauseMs: 20, connections: 256 },
];
const shares = [0.1, 0.5, 0.8];
/** What the target of p99 is about. */
export const judged: Pick<Latency, 'pauseMs' | 'share'> = { pauseMs: 20, share: 0.5 };
/** At the rate that is half of what this one takes whoever keeps an audit is asked as well. */
export const peer = 'Portkey';
/** What is left out of each run at a rate. */
const untimedSeconds = 0.5;
/** V8 goes on compiling for so many. */
const warmUpRequests = 30_000;

/** A system under measurement. */
interface Subject {
  readonly system: System;
  /** Of its database's first process. */
  readonly databasePid: number | null;
  readonly saturation: Saturation[];
  readonly latency: Latency[];
  answered: number;
  failed: number;
}

interface Bench {
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
  const bench = { provider, load, direct: direct(url, provider) };
  const { systems, missing } = await startSystems(database, peers, url);
  const subjects = await Promise.all(systems.map(toSubject));
  try {
    for (const subject of subjects) await warmUp(bench, subject, subjects, size);
    for (const { pauseMs, connections } of upstreams) {
      await ask(provider, { pauseMs });
      // The first also says what a request costs; the others only which rates there are.
      const rounds = pauseMs === 0 ? size.rounds : size.latencyRounds;
      const saturated = subjects.filter(({ system }) => isAsked(system, { pauseMs }));
      for (let round = 0; round < rounds; round++) {
        say(`calls at saturation, ${pauseMs} ms upstream, round ${round + 1} of ${rounds}`);
        for (const subject of inTurn(saturated, round))
          await saturate(bench, subject, { pauseMs, connections }, size);
      }
      for (let round = 0; round < size.judgedRounds; round++) {
        for (const share of shares) {
          const rounds = isJudged({ pauseMs, share }) ? size.judgedRounds : size.latencyRounds;
          if (round >= rounds) continue;
          say(`calls at ${share * 100} %, ${pauseMs} ms upstream, round ${round + 1} of ${rounds}`);
          const timed = subjects.filter(({ system }) => isAsked(system, { pauseMs, share }));
          for (const subject of inTurn(timed, round)) {
            const beside = isJudged({ pauseMs, share }) ? besideOf(subject, subjects) : [];
            for (const rateOf of inTurn([subject, ...beside], round))
              await time(bench, subject, { pauseMs, share, rateOf }, size);
          }
        }
      }
    }
    const resultsOf = (some: readonly Subject[]) =>
      Promise.all(some.map((subject) => toResult(subject, subjects)));
    const isInMemory = ({ system }: Subject) => system.asked === 'judged rate';
    return {
      systems: await resultsOf(subjects.filter((subject) => !isInMemory(subject))),
      inMemory: await resultsOf(subjects.filter(isInMemory)),
      missing,
    };
  } finally {
    for (const { system } of subjects) await system.stop();
    load.disconnect();
    provider.disconnect();
  }
}

/** Whose rate a system is asked at besides its own. */
function besideOf({ databasePid }: Subject, subjects: readonly Subject[]): Subject[] {
  return databasePid === null ? [] : subjects.filter(({ system }) => system.name === peer);
}

function isJudged({ pauseMs, share }: typeof judged): boolean {
  return pauseMs === judged.pauseMs && share === judged.share;
}

/** Whether a system is asked for its saturation with an upstream, or for its latency at a share of it. */
function isAsked({ asked }: System, { pauseMs, share }: { pauseMs: number; share?: number }): boolean {
  switch (asked) {
    case 'cost':
      return pauseMs === 0 && share === undefined;
    case 'judged rate':
      return isJudged({ pauseMs, share: share ?? judged.share });
    default:
      return true;
  }
}

async function startSystems(database: PostgresProcess, peers: readonly Peer[], url: string) {
  const missing: Record<string, string> = {};
  const systems: System[] = [
    await startFloor(url),
    ...(await startPromptgate(database.url, url, { audit: 'as it is' })),
    { ...(await startPromptgate(database.url, url, { audit: 'commits not awaited' }))[0], asked: 'cost' },
    (await startPromptgate(database.url, url, { audit: 'no audit' }))[0],
  ];
  const others = [
    { name: inMemoryName, start: () => startInMemory(url) },
    ...peers.map((peer) => ({ name: peer.name, start: async () => [await peer.start(url)] })),
  ];
  for (const { name, start } of others) {
    try {
      systems.push(...(await start()));
    } catch (error) {
      missing[name] = firstLine(error);
    }
  }
  return { systems, missing };
}

async function toSubject(system: System): Promise<Subject> {
  const databasePid = system.databaseUrl ? await readServerPid(system.databaseUrl) : null;
  return { system, databasePid, saturation: [], latency: [], answered: 0, failed: 0 };
}

async function send(
  { load }: Bench,
  subject: Subject,
  order: Omit<ArrivalsOrder, 'url' | 'headers' | 'body'>,
): Promise<ArrivalsResult> {
  const result = await ask<ArrivalsResult>(load, { ...subject.system.whole, ...order });
  if (result.failed > 0) say(`${subject.system.name}: ${result.failed} requests failed`);
  subject.failed += result.failed;
  subject.answered += result.answered;
  return result;
}

/** By time, too: who is slow would take longer to warm up than everyone to be measured. */
async function warmUp(
  bench: Bench,
  subject: Subject,
  subjects: readonly Subject[],
  { warmUpSeconds }: Size,
): Promise<void> {
  const { name, pid } = subject.system;
  say(`warming up ${name}`);
  // Each process for as long as any other, also one with two faces.
  const faces = subjects.filter(({ system }) => system.pid === pid).length;
  const requestsMax = warmUpRequests / faces;
  const { connections } = upstreams[0]!;
  await send(bench, subject, { seconds: warmUpSeconds / faces, connections, requestsMax });
}

async function saturate(
  bench: Bench,
  subject: Subject,
  { pauseMs, connections }: (typeof upstreams)[number],
  { saturationSeconds }: Size,
): Promise<void> {
  const { databasePid, system } = subject;
  const usedUs = () => ({
    gateway: cpuUsOf(system.pid),
    database: databasePid === null ? Number.NaN : cpuUsOf(databasePid),
  });
  const before = usedUs();
  const { answered, seconds } = await send(bench, subject, { seconds: saturationSeconds, connections });
  const after = usedUs();
  subject.saturation.push({
    pauseMs,
    perSecond: answered / seconds,
    cpuUs: (after.gateway - before.gateway) / answered,
    databaseCpuUs: (after.database - before.database) / answered,
  });
}

async function time(
  bench: Bench,
  subject: Subject,
  { pauseMs, share, rateOf }: Pick<Latency, 'pauseMs' | 'share'> & { rateOf: Subject },
  { latencySeconds, directSeconds }: Size,
): Promise<void> {
  const rate = share * median(saturationAt(rateOf, pauseMs).map(({ perSecond }) => perSecond));
  const direct = { ...bench.direct.whole, seconds: directSeconds, untimedSeconds, rate };
  const straight = await ask<ArrivalsResult>(bench.load, direct);
  const through = await send(bench, subject, { seconds: latencySeconds, untimedSeconds, rate });
  subject.latency.push({
    pauseMs,
    share,
    rateOf: rateOf.system.name,
    rate,
    addedP50Ms: through.p50Ms - straight.p50Ms,
    addedP99Ms: through.p99Ms - straight.p99Ms,
    addedP999Ms: through.p999Ms - straight.p999Ms,
  });
}

export function saturationAt(
  { saturation }: Pick<SystemResult, 'saturation'>,
  pauseMs: number,
): Saturation[] {
  return saturation.filter((one) => one.pauseMs === pauseMs);
}

async function toResult(
  { system, saturation, latency, failed }: Subject,
  subjects: readonly Subject[],
): Promise<SystemResult> {
  const { name, pid, readyMs = null, databaseUrl } = system;
  // Two faces of one gateway write into one database.
  const answered = sum(subjects.filter((other) => other.system.pid === pid).map((other) => other.answered));
  const rows = databaseUrl ? await countRows(databaseUrl) : null;
  return { name, saturation, latency, failed, answered, rssBytes: rssOf(pid), readyMs, rows };
}

async function readServerPid(databaseUrl: string): Promise<number> {
  const sql = postgres(databaseUrl, { max: 1 });
  const [read] = await sql`select split_part(pg_read_file('postmaster.pid'), E'\n', 1)::int as pid`;
  await sql.end();
  return read?.pid;
}

export async function countRows(databaseUrl: string): Promise<number> {
  const sql = postgres(databaseUrl, { max: 1 });
  const [counted] = await sql`select count(*)::int as n from ai_executions where status = 'succeeded'`;
  await sql.end();
  return counted?.n;
}
