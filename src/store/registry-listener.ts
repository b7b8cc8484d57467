/**
 * Hears of registry changes through LISTEN, on a connection of its own that is renewed for as long as it takes. It is
 * an accelerator: where notifications do not arrive (a pooler in between, a server that is away) the poll remains.
 */
import type postgres from 'postgres';
import { connect, withDeadline } from './connection.ts';
import type { QueryCatalog } from './query-catalog.ts';

export interface RegistryListener {
  /** Resolves after the first try, whether it succeeded or not. */
  listen(listener: () => void): Promise<void>;
  close(): Promise<void>;
}

/** First wait before a new connection and the longest one, in milliseconds; doubled in between. */
const firstWaitMs = 250;
const longestWaitMs = 15_000;
/** A server that takes the connection and then says nothing must not hold up a start. */
const listenDeadlineMs = 5_000;

export function createRegistryListener(url: string, queries: QueryCatalog): RegistryListener {
  const listenQuery = queries.get('listenRegistry');
  const listeners: (() => void)[] = [];
  const announce = () => {
    for (const listener of listeners) listener();
  };
  let client: postgres.Sql | undefined;
  let timer: NodeJS.Timeout | undefined;
  let waitMs = firstWaitMs;
  let closed = false;

  async function start(): Promise<void> {
    const mine = connect(url, { max: 1, onNotify: announce, onClose: () => renew(mine) });
    client = mine;
    try {
      // A simple query: a prepared LISTEN is not allowed everywhere that LISTEN is.
      await withDeadline(mine.unsafe(listenQuery).execute(), listenDeadlineMs);
      if (client !== mine) return;
      waitMs = firstWaitMs;
      // What was announced while nobody listened is announced now.
      announce();
    } catch {
      renew(mine);
    }
  }

  function renew(lost: postgres.Sql): void {
    if (closed || client !== lost) return;
    client = undefined;
    void lost.end({ timeout: 0 }).catch(() => {});
    timer = setTimeout(() => void start(), waitMs);
    timer.unref();
    waitMs = Math.min(2 * waitMs, longestWaitMs);
  }

  return {
    async listen(listener) {
      listeners.push(listener);
      if (listeners.length === 1) await start();
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      const last = client;
      client = undefined;
      await last?.end({ timeout: 0 });
    },
  };
}
