/**
 * `npm run bench`: the gateway beside the floor and its peers, in one run and in turns, with the same provider, bodies
 * and load. Machines drift, so what counts is ratios of the same round. It writes docs/performance.md, its plot and the
 * raw figures. `--quick` is a look of a few minutes; `--peers <directory>` keeps what was installed for the next run.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { measureCalls } from './calls.ts';
import { measureDiskStalls } from './disk-stalls.ts';
import { measureFirstTokens } from './first-tokens.ts';
import { measureManyStreams } from './many-streams.ts';
import { installPeers } from './peers.ts';
import { fillPage, type Results } from './performance-page.ts';
import { plot } from './plot.ts';
import { say } from './progress.ts';
import { startUsedPostgres } from './used-postgres.ts';

const ownDocs = resolve(import.meta.dirname, '../docs');

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    peers: { type: 'string', default: join(tmpdir(), 'promptgate-bench-peers') },
    'no-peers': { type: 'boolean', default: false },
    /** Where the page goes, filled in. */
    docs: { type: 'string', default: ownDocs },
  },
});

/** How much of everything; seconds of a part are those of one system in one round. */
export interface Size {
  readonly diskSeconds: number;
  readonly warmUpSeconds: number;
  readonly rounds: number;
  readonly saturationSeconds: number;
  /** At each rate, and for the rates themselves. */
  readonly latencyRounds: number;
  /** At the rate and pause that decide: one stall of the machine is a round's p99, and three rounds are luck. */
  readonly judgedRounds: number;
  readonly latencySeconds: number;
  /** The same rate, asked of the provider itself just before. */
  readonly directSeconds: number;
  readonly streams: number;
  readonly streamRounds: number;
  readonly firstTokenRounds: number;
  readonly firstTokenSeconds: number;
}

const size: Size = values.quick
  ? {
      diskSeconds: 3,
      warmUpSeconds: 6,
      rounds: 3,
      saturationSeconds: 2,
      latencyRounds: 1,
      judgedRounds: 3,
      latencySeconds: 1,
      directSeconds: 1,
      streams: 200,
      streamRounds: 1,
      firstTokenRounds: 1,
      firstTokenSeconds: 3,
    }
  : {
      diskSeconds: 20,
      warmUpSeconds: 20,
      rounds: 7,
      saturationSeconds: 4,
      latencyRounds: 3,
      judgedRounds: 9,
      latencySeconds: 4,
      directSeconds: 2,
      streams: 1_000,
      streamRounds: 2,
      firstTokenRounds: 3,
      firstTokenSeconds: 6,
    };

function describeMachine(): string {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${cpu?.model.trim() || process.arch}, ${memory} GiB, Node ${process.versions.node}`;
}

function readCommit(): string {
  const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim();
  const changed =
    git('status', '--porcelain', 'src', 'sql', 'bin', 'bench', 'package-lock.json') === ''
      ? ''
      : ' with changes';
  return `${git('rev-parse', '--short', 'HEAD')}${changed}`;
}

async function measure(): Promise<Results> {
  const commit = readCommit();
  const { peers, missing } = values['no-peers']
    ? { peers: [], missing: {} }
    : await installPeers(values.peers);
  say(`measured beside promptgate: ${peers.map(({ name }) => name).join(', ') || 'no peer'}`);
  say(`what the disk has a write wait, ${size.diskSeconds} s`);
  const disk = await measureDiskStalls(size.diskSeconds);
  const database = await startUsedPostgres();
  try {
    const calls = await measureCalls(database, peers, size);
    const many = await measureManyStreams(database, peers, size);
    const first = await measureFirstTokens(database, peers, size);
    return {
      // Gateways are started until the end.
      commit: readCommit() === commit ? commit : `${commit}, changed while this ran`,
      machine: describeMachine(),
      date: new Date().toISOString().slice(0, 10),
      minutes: performance.now() / 60_000,
      size,
      disk,
      peers: Object.fromEntries(peers.map(({ name, version }) => [name, version])),
      missing: { ...missing, ...calls.missing, ...many.missing, ...first.missing },
      systems: calls.systems,
      inMemory: calls.inMemory,
      streams: many.streams,
      firstTokens: first.firstTokens,
    };
  } finally {
    await database.stop();
  }
}

console.log('Calls, then streams. It is best done on a machine that does nothing else.');
const results = await measure();
const directory = join(values.docs, 'performance');
mkdirSync(directory, { recursive: true });
writeFileSync(join(directory, 'results.json'), `${JSON.stringify(results, null, 1)}\n`);
writeFileSync(join(directory, 'figures.svg'), plot(results));
const page = readFileSync(join(ownDocs, 'performance.md'), 'utf8');
writeFileSync(join(values.docs, 'performance.md'), fillPage(page, results));
say(`written: ${join(values.docs, 'performance.md')}`);
