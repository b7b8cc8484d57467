/** Many streams at once: what memory each takes, and what the way through the gateway adds to the first token. */
import { setTimeout as delay } from 'node:timers/promises';
import type { PostgresProcess } from '../test/support/postgres-process.ts';
import { firstLine, type Peer } from './peers.ts';
import { answerOf, ask, rssOf, start } from './processes.ts';
import type { Size } from './run.ts';
import type { StreamOrder, StreamReport } from './stream-load-process.ts';
import { type System, startFloor, startPromptgate } from './systems.ts';

export interface StreamResult {
  readonly name: string;
  readonly streams: number;
  readonly whole: number;
  /** While all are open, less what the process takes without them. */
  readonly bytesPerStream: number;
  /** Beside probes that ask the provider at the same moment, in milliseconds. */
  readonly firstP50Ms: number;
  readonly firstP99Ms: number;
  readonly directFirstP50Ms: number;
  readonly directFirstP99Ms: number;
}

const tokens = 40;
const pauseMs = 250;
/** They begin one after another, and all are open for the rest of the time. */
const openingMs = (tokens * pauseMs) / 2;

/** One system at a time, each new: memory that others left would count. */
export async function measureManyStreams(
  database: PostgresProcess,
  peers: readonly Peer[],
  { streams }: Size,
): Promise<{ streams: StreamResult[]; missing: Record<string, string> }> {
  const provider = start('stream-provider-process.ts', [tokens, pauseMs]);
  const { url } = await answerOf<{ url: string }>(provider);
  const starts = [
    async () => [await startFloor(url)],
    () => startPromptgate(database.url, url, { audit: 'as it is' }),
    ...peers.map((peer) => async () => [await peer.start(url)]),
  ];
  const measured: StreamResult[] = [];
  const missing: Record<string, string> = {};
  try {
    for (const begin of starts) {
      const systems: System[] = [];
      try {
        systems.push(...(await begin()));
        for (const system of systems) measured.push(await measure(system, url, streams));
      } catch (error) {
        missing[`Streams, ${systems[0]?.name ?? 'a peer'}`] = firstLine(error);
      } finally {
        for (const system of systems) await system.stop();
      }
    }
    return { streams: measured, missing };
  } finally {
    provider.disconnect();
  }
}

async function measure(system: System, providerUrl: string, streams: number): Promise<StreamResult> {
  const load = start('stream-load-process.ts');
  const order: StreamOrder = {
    target: system.streamed('seed:%s'),
    providerUrl,
    streams,
    tokens,
    openingMs,
    seed: 's',
    probeEvery: 5,
  };
  try {
    // Code is compiled, connections and pools are made.
    await ask<StreamReport>(load, { ...order, streams: 100, openingMs: 2_000, seed: 'warm' });
    const before = rssOf(system.pid);
    const running = ask<StreamReport>(load, order);
    await delay(openingMs + pauseMs);
    const during = rssOf(system.pid);
    const report = await running;
    // Memory of streams that never were would be little.
    if (report.whole === 0)
      throw new Error(`${system.name}: no stream was whole: ${report.faults.join('; ')}`);
    if (report.faults.length > 0) console.log(`${system.name}: ${report.faults.join('; ')}`);
    const at = (times: readonly number[], share: number) =>
      times[Math.floor(times.length * share)] ?? Number.NaN;
    return {
      name: system.name,
      streams,
      whole: report.whole,
      bytesPerStream: (during - before) / streams,
      firstP50Ms: at(report.firstMs, 0.5),
      firstP99Ms: at(report.firstMs, 0.99),
      directFirstP50Ms: at(report.directFirstMs, 0.5),
      directFirstP99Ms: at(report.directFirstMs, 0.99),
    };
  } finally {
    load.disconnect();
  }
}
