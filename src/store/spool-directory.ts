/** Where the journals of a data directory are: each belongs to one process, so each worker has its own. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The first worker has the place of a gateway that is one process: whichever comes next, it finds what is there. */
export function spoolDirectoryOf(dataDirectory: string, worker: number): string {
  return join(dataDirectory, worker === 1 ? 'spool' : `spool-${worker}`);
}

/** Journals of workers that there are no more, because fewer were started this time. */
export function findOrphanedSpools(dataDirectory: string, workers: number): string[] {
  if (!existsSync(dataDirectory)) return [];
  return readdirSync(dataDirectory)
    .filter((name) => Number(/^spool-(\d+)$/.exec(name)?.[1] ?? 0) > workers)
    .map((name) => join(dataDirectory, name));
}
