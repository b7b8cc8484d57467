/**
 * The embedded default: PGlite in a worker thread, reached through the PostgreSQL wire like any other server, so there
 * is one SQL code path. Rows survive the death of the process; fsync is off in it, so not a power loss.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { PromptgateError } from '../domain/errors.ts';
import { type DirectoryLock, lockDirectory } from './directory-lock.ts';

export interface EmbeddedDatabase {
  readonly url: string;
  /** Tells later comers where the gateway of this directory can be reached. */
  publishAddress(address: string): void;
  close(): Promise<void>;
}

export interface EmbeddedOptions {
  readonly directory: string;
  /** The database died. Everything that follows fails; the process should end. */
  readonly onCrash?: (error: unknown) => void;
}

/** PGlite makes files that everyone may write. The directory keeps others out; this keeps them out of copies of it. */
const privateUmask = 0o077;

/** @throws PromptgateError conflict — another process uses the directory; internal — the database does not start */
export async function openEmbeddedDatabase(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  const umask = process.umask(privateUmask);
  let lock: DirectoryLock | undefined;
  try {
    lock = lockDirectory(options.directory);
    return await startWorker(options, lock, umask);
  } catch (error) {
    process.umask(umask);
    lock?.release();
    if (error instanceof PromptgateError) throw error;
    throw new PromptgateError('internal', 'The embedded database did not start.', { cause: error });
  }
}

async function startWorker(
  options: EmbeddedOptions,
  lock: DirectoryLock,
  umask: number,
): Promise<EmbeddedDatabase> {
  const password = randomBytes(24).toString('hex');
  const workerData = { directory: join(options.directory, 'pglite'), password };
  // From source this file is .ts, built it is .js, and the worker's file is what this one is.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./embedded-worker.${extension}`, import.meta.url), { workerData });
  const ready = Promise.withResolvers<number>();
  const exited = Promise.withResolvers<void>();
  let closing = false;
  let failure: unknown;
  worker.once('message', ({ port }: { port: number }) => ready.resolve(port));
  worker.on('error', (error) => {
    failure = error;
  });
  worker.once('exit', (code) => {
    const error = failure ?? new Error(`the embedded database ended with code ${code}`);
    ready.reject(error);
    exited.resolve();
    if (!closing) options.onCrash?.(error);
  });
  const port = await ready.promise;
  return {
    url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
    publishAddress: (address) => lock.publishAddress(address),
    async close() {
      if (closing) return exited.promise;
      closing = true;
      worker.postMessage('stop');
      await exited.promise;
      lock.release();
      process.umask(umask);
    },
  };
}
