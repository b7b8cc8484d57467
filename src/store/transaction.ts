/** A transaction, and what becomes of it when its connection is lost: the client leaves both to us. */
import type postgres from 'postgres';
import { isConnectionLost } from './connection.ts';

/**
 * Runs `work` in one transaction and commits what it did, or nothing.
 *
 * postgres.js 3.4.9 answers any error of `work` with a ROLLBACK on the same connection. On one that is lost it dereferences
 * null in a timer, which ends the process, or waits for ever (its issues 1154 and 1208). So a connection that is lost is told
 * to nobody there, and its end is what rejects. The connection is used again then, by others, while `work` may still
 * run: whatever it sends from then on is refused here, for it would be outside of any transaction.
 *
 * @param mode as after BEGIN, e.g. `isolation level repeatable read read only`
 * @throws whatever `work` threw; the client's own error where the connection was lost
 */
export async function inTransaction<T>(
  sql: postgres.Sql,
  work: (tx: postgres.TransactionSql) => Promise<T>,
  mode = '',
): Promise<T> {
  let over: { readonly error: unknown } | undefined;
  const transaction = sql.begin(mode, async (tx) => {
    const send = tx.unsafe;
    tx.unsafe = ((...args: Parameters<typeof send>) => {
      if (over) throw over.error;
      return send(...args);
    }) as typeof send;
    try {
      return { result: await work(tx) };
    } catch (error) {
      if (over || isConnectionLost(error)) return new Promise<never>(() => {});
      throw error;
    }
  });
  try {
    return ((await transaction) as { result: T }).result;
  } catch (error) {
    over = { error };
    throw error;
  }
}
