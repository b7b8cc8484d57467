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
import { startPostgres } from '../test/support/postgres-process.ts';
import { measureCalls } from './calls.ts';
import { plotLatency } from './latency-plot.ts';
import { measureManyStreams } from './many-streams.ts';
import { installPeers } from './peers.ts';
import { fillPage, type Results } from './performance-page.ts';

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

/** How much of everything. */
export interface Size {
  readonly rounds: number;
  readonly warmUpRequests: number;
  readonly saturationSeconds: number;
  readonly latencyRounds: number;
  readonly latencySeconds: number;
  readonly streams: number;
}

const size: Size = values.quick
  ? {
      rounds: 3,
      warmUpRequests: 1_000,
      saturationSeconds: 2,
      latencyRounds: 1,
      latencySeconds: 1,
      streams: 100,
    }
  : {
      rounds: 9,
      warmUpRequests: 30_000,
      saturationSeconds: 10,
      latencyRounds: 3,
      latencySeconds: 8,
      streams: 1_000,
    };

function describeMachine(): string {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${cpu?.model.trim() || process.arch}, ${memory} GiB, Node ${process.versions.node}`;
}

function readCommit(): string {
  const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim();
  const changed =
    git('status', '--porcelain', 'src', 'sql', 'bin', 'package-lock.json') === '' ? '' : ' with changes';
  return `${git('rev-parse', '--short', 'HEAD')}${changed}`;
}

const { peers, missing } = values['no-peers'] ? { peers: [], missing: {} } : await installPeers(values.peers);
console.log('Calls, then streams. It is best done on a machine that does nothing else.');
const database = await startPostgres(['max_connections=200']);
try {
  const calls = await measureCalls(database, peers, size);
  const many = await measureManyStreams(database, peers, size);
  const results: Results = {
    commit: readCommit(),
    machine: describeMachine(),
    date: new Date().toISOString().slice(0, 10),
    size,
    peers: Object.fromEntries(peers.map(({ name, version }) => [name, version])),
    missing: { ...missing, ...calls.missing, ...many.missing },
    systems: calls.systems,
    streams: many.streams,
  };
  const directory = join(values.docs, 'performance');
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'results.json'), `${JSON.stringify(results, null, 1)}\n`);
  writeFileSync(join(directory, 'latency.svg'), plotLatency(results));
  const page = readFileSync(join(ownDocs, 'performance.md'), 'utf8');
  writeFileSync(join(values.docs, 'performance.md'), fillPage(page, results));
} finally {
  await database.stop();
}
