/**
 * Reads and writes of the registry. Every writing transaction takes the row lock of `registry_state` first. That puts
 * registry writes of all processes in line: what a transaction reads after it is current, commit order is revision
 * order, and no two can deadlock.
 */
import type postgres from 'postgres';
import { type Pool, toStoreError, withinPool } from './connection.ts';
import type { QueryCatalog, Sql } from './query-catalog.ts';
import { inTransaction } from './transaction.ts';

export interface RegistryTransactions {
  read<T>(work: (sql: postgres.Sql) => Promise<T>, on?: Pool, deadlineMs?: number): Promise<T>;
  write<T>(work: (tx: Sql) => Promise<T>): Promise<T>;
}

/** @param deadlineMs how long one verb may take before it counts as failed */
export function bindRegistryTransactions(
  pool: Pool,
  queries: QueryCatalog,
  deadlineMs: number,
): RegistryTransactions {
  const lock = queries.bind('lockRegistry');
  return {
    async read(work, on = pool, ms = deadlineMs) {
      try {
        return await withinPool(on, ms, work);
      } catch (error) {
        throw toStoreError(error, 'reading');
      }
    },
    async write<T>(work: (tx: Sql) => Promise<T>): Promise<T> {
      const transaction = (sql: postgres.Sql) =>
        inTransaction(sql, async (tx) => {
          await lock(tx);
          return work(tx);
        });
      try {
        return await withinPool(pool, deadlineMs, transaction);
      } catch (error) {
        throw toStoreError(error, 'registering');
      }
    },
  };
}
