/** How long the disk itself has a small write wait while nothing else runs: no commit on it is faster than that. */
import { constants, mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { quantile } from './processes.ts';

export interface DiskStalls {
  readonly writes: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly mostMs: number;
}

/** What PostgreSQL writes at once, at least. */
const block = Buffer.alloc(8_192, 'p');
const blocks = 64;
const gapMs = 10;

export async function measureDiskStalls(seconds: number): Promise<DiskStalls> {
  const directory = mkdtempSync(join(tmpdir(), 'promptgate-bench-'));
  const file = await open(
    join(directory, 'blocks'),
    constants.O_RDWR | constants.O_CREAT | constants.O_DSYNC,
    0o600,
  );
  const times: number[] = [];
  try {
    // Written once before: what is timed is the data, not the growth of a file.
    for (let index = 0; index < blocks; index++)
      await file.write(block, 0, block.length, index * block.length);
    for (const until = performance.now() + seconds * 1_000; performance.now() < until; await delay(gapMs)) {
      const from = performance.now();
      await file.write(block, 0, block.length, (times.length % blocks) * block.length);
      times.push(performance.now() - from);
    }
  } finally {
    await file.close();
    rmSync(directory, { recursive: true });
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => quantile(times, share);
  return { writes: times.length, p50Ms: at(0.5), p99Ms: at(0.99), mostMs: at(1) };
}
