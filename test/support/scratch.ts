/**
 * A directory for everything that a run of the tests leaves lying about: `tmpdir()` is there from now on, in every worker. It
 * goes with the run, and so does what tests mounted in it.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

export default function setUpScratch(): () => void {
  const scratch = mkdtempSync(join(outside(tmpdir()), prefix));
  // PostgreSQL is another user where the tests run as root, and its data are in here.
  chmodSync(scratch, 0o755);
  process.env.TMPDIR = scratch;
  return () => {
    for (const place of mountsBelow(scratch)) execFileSync('umount', ['--lazy', place]);
    rmSync(scratch, { recursive: true, force: true, maxRetries: 3 });
  };
}

const prefix = 'promptgate-tests-';

/** Each project of a run has one, beside the other's: who ends first takes nothing from the other. */
function outside(directory: string): string {
  return basename(directory).startsWith(prefix) ? dirname(directory) : directory;
}

function mountsBelow(directory: string): string[] {
  if (!existsSync('/proc/mounts')) return [];
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  return mounts.map((line) => line.split(' ')[1] ?? '').filter((place) => place.startsWith(`${directory}/`));
}
