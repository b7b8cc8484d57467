/**
 * One process per data directory. PGlite has no lock of its own, and two processes on one directory lose rows that were
 * acknowledged. The lock is SQLite's exclusive file lock: the kernel holds it and drops it with the process, however the
 * process ends, so there is no stale lock to clean up. `gateway.json` beside it says who holds it; it is only
 * information and may outlive its writer.
 */
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { PromptgateError } from '../domain/errors.ts';

const holderSchema = z.object({
  pid: z.number(),
  since: z.string(),
  /** Where the process can be reached, once it serves; null before that. */
  address: z.string().nullable(),
});

/** The process that holds (or held last) a data directory. */
export type Holder = z.infer<typeof holderSchema>;

/** SQLITE_BUSY: somebody else has the lock. */
const sqliteBusy = 5;

export interface DirectoryLock {
  /** Tells later comers where this process can be reached. */
  publishAddress(address: string): void;
  release(): void;
}

/**
 * Makes the directory (0700) when there is none and locks it for the life of this process.
 * @throws PromptgateError conflict — another process holds it; the message names it
 * @throws PromptgateError invalid_request — this user may not write there
 */
export function lockDirectory(directory: string, now: () => Date = () => new Date()): DirectoryLock {
  let file: DatabaseSync | undefined;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    file = new DatabaseSync(join(directory, 'lock'), { timeout: 0 });
    file.exec('pragma locking_mode = exclusive; begin exclusive');
  } catch (cause) {
    file?.close();
    if ((cause as { errcode?: unknown }).errcode === sqliteBusy) {
      throw new PromptgateError('conflict', heldMessage(directory), { cause });
    }
    const message = `The data directory ${directory} cannot be written by this user. Make it writable, or set PROMPTGATE_DATA_DIR.`;
    throw new PromptgateError('invalid_request', message, { cause });
  }
  chmodSync(join(directory, 'lock'), 0o600);
  const holder = { pid: process.pid, since: now().toISOString(), address: null };
  writeHolder(directory, holder);
  let held = true;
  return {
    publishAddress: (address) => writeHolder(directory, { ...holder, address }),
    release() {
      if (held) file.close();
      held = false;
    },
  };
}

/** What `gateway.json` says; undefined when it is missing or unreadable. It does not prove that the process lives. */
export function readHolder(directory: string): Holder | undefined {
  try {
    return holderSchema.parse(JSON.parse(readFileSync(join(directory, 'gateway.json'), 'utf8')));
  } catch {
    return undefined;
  }
}

function writeHolder(directory: string, holder: Holder): void {
  const path = join(directory, 'gateway.json');
  // Renamed into place, so that a reader never sees half of it.
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(holder)}\n`, { mode: 0o600 });
  renameSync(draft, path);
}

function heldMessage(directory: string): string {
  const holder = readHolder(directory);
  const who = holder
    ? `process ${holder.pid}${holder.address ? ` at ${holder.address}` : ''}, since ${holder.since}`
    : 'another process';
  return `The data directory ${directory} is in use by ${who}. Use that gateway, stop it, or choose another directory.`;
}
