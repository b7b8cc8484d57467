/** Many streams at once: what memory each takes while all are open, and what a token costs. */
import type { ChildProcess } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { PostgresProcess } from '../test/support/postgres-process.ts';
import { countRows } from './calls.ts';
import { HeldMemoryReader } from './held-memory.ts';
import { firstLine, type Peer } from './peers.ts';
import { answerOf, ask, cpuUsOf, rssOf, start } from './processes.ts';
import { say } from './progress.ts';
import type { Size } from './run.ts';
import type { StreamOrder, StreamReport } from './stream-load-process.ts';
import { inTurn, type System, type SystemStart, streamStarts } from './systems.ts';

/** All streams of one system, in a process of its own. */
export interface StreamRound {
  readonly whole: number;
  /** Resident while all are open, less what the process takes without them. */
  readonly bytesPerStream: number;
  /** The same of what is held after a collection; null where nobody can tell: of what is not Node. */
  readonly heldBytesPerStream: number | null;
  readonly cpuUsPerToken: number;
  /** From the start of the process to the first moment at which it takes requests; of systems that say so. */
  readonly readyMs: number | null;
  /** Whole streams without a row, of systems that keep them. */
  readonly lost: number | null;
}

export interface StreamResult {
  readonly name: string;
  readonly streams: number;
  readonly rounds: StreamRound[];
}

export interface StreamResults {
  readonly streams: StreamResult[];
  readonly missing: Readonly<Record<string, string>>;
}

const tokens = 24;
const pauseMs = 250;
/** They begin one after another, and all are open for the rest of the time. */
const openingMs = 4_000;
const warmUp = 100;

/** One system at a time, each new: memory that others left would count. */
export async function measureManyStreams(
  database: PostgresProcess,
  peers: readonly Peer[],
  { streams, streamRounds }: Size,
): Promise<StreamResults> {
  const provider = start('stream-provider-process.ts', [tokens, pauseMs]);
  const { url } = await answerOf<{ url: string }>(provider);
  const held = new HeldMemoryReader();
  const subjects = streamStarts(database, peers, url, held.environment).map((begin) => ({
    ...begin,
    rounds: [] as StreamRound[],
  }));
  const missing: Record<string, string> = {};
  try {
    for (let round = 0; round < streamRounds; round++) {
      say(`${streams} streams at once, round ${round + 1} of ${streamRounds}`);
      for (const subject of inTurn(subjects, round)) {
        if (missing[subject.name]) continue;
        try {
          subject.rounds.push(await measureOnce(subject, url, streams, held));
        } catch (error) {
          missing[subject.name] = firstLine(error);
        }
      }
    }
  } finally {
    provider.disconnect();
    held.close();
  }
  const measured = subjects.filter(({ rounds }) => rounds.length > 0);
  return {
    streams: measured.map(({ name, rounds }) => ({ name, streams, rounds })),
    missing: Object.fromEntries(Object.entries(missing).map(([name, why]) => [`${name}, many streams`, why])),
  };
}

async function measureOnce(
  { name, begin }: SystemStart,
  providerUrl: string,
  streams: number,
  held: HeldMemoryReader,
): Promise<StreamRound> {
  const started = await begin();
  try {
    return await measure({ ...started, name }, providerUrl, streams, held);
  } finally {
    await started.stop();
  }
}

async function measure(
  system: System,
  providerUrl: string,
  streams: number,
  held: HeldMemoryReader,
): Promise<StreamRound> {
  const load = start('stream-load-process.ts');
  const order: StreamOrder = {
    target: system.streamed('seed:%s'),
    providerUrl,
    streams,
    tokens,
    openingMs,
    // Who cannot keep up is not waited for: what is not whole by then is counted.
    secondsMax: (2 * (openingMs + tokens * pauseMs)) / 1_000,
    seed: 's',
    probeEvery: 0,
  };
  try {
    // Code is compiled, connections and pools are made.
    const warm = await ask<StreamReport>(load, { ...order, streams: warmUp, openingMs: 1_000, seed: 'warm' });
    const before = { rss: rssOf(system.pid), cpuUs: cpuUsOf(system.pid) };
    const running = ask<StreamReport>(load, order);
    await delay(openingMs + pauseMs);
    const during = rssOf(system.pid);
    const report = await running;
    // Memory of streams that never were would be little.
    if (report.whole === 0) throw new Error(`no stream was whole: ${report.faults.join('; ')}`);
    if (report.faults.length > 0) say(`${system.name}: ${report.faults.join('; ')}`);
    const cpuUs = cpuUsOf(system.pid) - before.cpuUs;
    // Once more, for a collection would be in the way of the first.
    const again = isNode(system.pid) ? await measureHeld(system, load, order, held) : null;
    const rows = warm.whole + report.whole + (again?.whole ?? 0);
    const { databaseUrl } = system;
    return {
      whole: report.whole,
      bytesPerStream: (during - before.rss) / streams,
      heldBytesPerStream: again?.bytesPerStream ?? null,
      cpuUsPerToken: cpuUs / report.whole / tokens,
      readyMs: system.readyMs ?? null,
      lost: databaseUrl ? rows - (await countRows(databaseUrl)) : null,
    };
  } finally {
    load.disconnect();
  }
}

function isNode(pid: number): boolean {
  return basename(readlinkSync(`/proc/${pid}/exe`)) === 'node';
}

async function measureHeld(
  { pid }: System,
  load: ChildProcess,
  order: StreamOrder,
  held: HeldMemoryReader,
): Promise<{ whole: number; bytesPerStream: number }> {
  const empty = await held.read(pid);
  const running = ask<StreamReport>(load, { ...order, seed: 'again' });
  running.catch(() => {});
  await delay(openingMs + pauseMs);
  const full = await held.read(pid);
  const { whole } = await running;
  if (whole === 0) throw new Error('no stream was whole when what they hold was read');
  return { whole, bytesPerStream: (full - empty) / order.streams };
}
