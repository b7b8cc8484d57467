/**
 * The first token of a stream, at a rate that every system can take: what the way through a gateway adds to it. With a
 * thousand streams that all begin at once, two cores decide when each is served, and that is no one's own.
 */
import type { PostgresProcess } from '../test/support/postgres-process.ts';
import { firstLine, type Peer } from './peers.ts';
import { answerOf, ask, quantile, start } from './processes.ts';
import { say } from './progress.ts';
import type { Size } from './run.ts';
import type { StreamOrder, StreamReport } from './stream-load-process.ts';
import { inTurn, type System, streamStarts } from './systems.ts';

/** Milliseconds to the first token; direct is the same asked of the provider itself at the same moments. */
export interface FirstTokenRound {
  readonly whole: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly directP50Ms: number;
  readonly directP99Ms: number;
}

export interface FirstTokenResult {
  readonly name: string;
  readonly streams: number;
  readonly rounds: FirstTokenRound[];
}

export interface FirstTokenResults {
  readonly firstTokens: FirstTokenResult[];
  readonly missing: Readonly<Record<string, string>>;
}

const tokens = 20;
const pauseMs = 100;
/** What a fast provider takes for its first token. */
export const providerFirstMs = 200;
/** Each lasts two seconds: about a hundred are open at any time. */
export const beginPerSecond = 50;

export async function measureFirstTokens(
  database: PostgresProcess,
  peers: readonly Peer[],
  { firstTokenRounds, firstTokenSeconds }: Size,
): Promise<FirstTokenResults> {
  const provider = start('stream-provider-process.ts', [tokens, pauseMs, providerFirstMs]);
  const load = start('stream-load-process.ts');
  const { url } = await answerOf<{ url: string }>(provider);
  const order: Omit<StreamOrder, 'target' | 'seed'> = {
    providerUrl: url,
    streams: beginPerSecond * firstTokenSeconds,
    tokens,
    openingMs: firstTokenSeconds * 1_000,
    secondsMax: 3 * firstTokenSeconds,
    probeEvery: 2,
  };
  const subjects: { system: System; rounds: FirstTokenRound[] }[] = [];
  const missing: Record<string, string> = {};
  try {
    for (const { name, begin } of streamStarts(database, peers, url)) {
      try {
        const system = { ...(await begin()), name };
        subjects.push({ system, rounds: [] });
        await ask<StreamReport>(load, { ...order, target: system.streamed('seed:%s'), seed: 'warm' });
      } catch (error) {
        missing[`${name}, first tokens`] = firstLine(error);
      }
    }
    for (let round = 0; round < firstTokenRounds; round++) {
      say(`first tokens, round ${round + 1} of ${firstTokenRounds}`);
      for (const { system, rounds } of inTurn(subjects, round)) {
        if (missing[`${system.name}, first tokens`]) continue;
        const target = system.streamed('seed:%s');
        const report = await ask<StreamReport>(load, { ...order, target, seed: `r${round}` });
        if (report.faults.length > 0) say(`${system.name}: ${report.faults.join('; ')}`);
        if (report.whole > 0) rounds.push(toRound(report));
        else missing[`${system.name}, first tokens`] = `no stream was whole: ${report.faults.join('; ')}`;
      }
    }
  } finally {
    for (const { system } of subjects) await system.stop();
    load.disconnect();
    provider.disconnect();
  }
  const measured = subjects.filter(({ rounds }) => rounds.length > 0);
  const { streams } = order;
  return {
    firstTokens: measured.map(({ system, rounds }) => ({ name: system.name, streams, rounds })),
    missing,
  };
}

function toRound({ whole, firstMs, directFirstMs }: StreamReport): FirstTokenRound {
  return {
    whole,
    p50Ms: quantile(firstMs, 0.5),
    p99Ms: quantile(firstMs, 0.99),
    directP50Ms: quantile(directFirstMs, 0.5),
    directP99Ms: quantile(directFirstMs, 0.99),
  };
}
