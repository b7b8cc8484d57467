/** A transaction, and what becomes of it when its connection is lost: the client leaves both to us. */
import type postgres from 'postgres';
import { isConnectionLost } from './connection.ts';

/** The mode in which all statements see the same moment. */
export const snapshot = 'isolation level repeatable read read only';

/**
 * Runs `work` in one transaction and commits what it did, or nothing.
 *
 * postgres.js 3.4.9 answers any error of `work` with a ROLLBACK on the same connection. On one that is lost it dereferences
 * null in a timer, which ends the process, or waits for ever (its issues 1154 and 1208). So a connection that is lost is told
 * to nobody there, and its end is what rejects. The connection is used again then, by others, while `work` may still
 * run: whatever it sends from then on is refused here, for it would be outside of any transaction.
 *
 * @param mode as after BEGIN, e.g. `snapshot`
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
      const statement = send(...args);
      statement.catch((error) => {
        if (isConnectionLost(error)) over ??= { error };
      });
      return statement;
    }) as typeof send;
    try {
      const result = await work(tx);
      return over ? never() : result;
    } catch (error) {
      if (over) return never();
      throw error;
    }
  });
  try {
    return (await transaction) as T;
  } catch (error) {
    over ??= { error };
    throw error;
  }
}

/** The end of the connection rejects `begin`; what its callback gives would be answered with a COMMIT or ROLLBACK. */
function never(): Promise<never> {
  return new Promise(() => {});
}
