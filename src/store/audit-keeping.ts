/** What is asked about the audit trail as a whole: whether its invariants hold, and which months are kept. */
import type postgres from 'postgres';
import { z } from 'zod';
import type { AuditKeeping, Retention } from '../application/audit-verification.ts';
import { firstIdAt } from './audit-store.ts';
import { toStoreError } from './connection.ts';
import type { QueryCatalog, Row } from './query-catalog.ts';
import { inTransaction, snapshot } from './transaction.ts';

const checks = [
  ['intents_alive', 'verifyExpiredIntents', 'every call in flight belongs to a gateway that lives'],
  ['one_outcome', 'verifySettledIntents', 'no intent is left beside its outcome'],
  ['response_hashes', 'verifyResponseHashes', 'every output is the one that was hashed'],
  ['attempts', 'verifyAttempts', 'every outcome accounts for its attempts'],
  ['late_outcomes', 'verifyLateOutcomes', 'late outcomes stand beside unknown ones only'],
  ['claims', 'verifyClaims', 'every idempotency key belongs to an execution'],
  ['ledger', 'verifyLedger', 'the ledger of every label has no gap'],
  ['labels', 'verifyLabels', 'every label points where its ledger says'],
  ['guards', 'verifyTriggers', 'the triggers that refuse changes are in force'],
] as const;

const answerSchema = z.object({ subject: z.string(), total: z.number() });
const retentionSchema = z.object({
  partition: z.string(),
  months_kept: z.number(),
  rows_estimated: z.number(),
  actor: z.string(),
  created_at: z.date(),
});

/**
 * @param open gives a connection for one question alone. It is new, because one of a pool may have lost its server to a
 * route that swallows, and nothing here may have a deadline: a large trail takes long to read.
 */
export function createAuditKeeping(open: () => postgres.Sql, queries: QueryCatalog): AuditKeeping {
  const bound = checks.map(([name, query, about]) => ({
    name,
    about,
    run: queries.bind(query),
    ofExecutions: queries.get(query).includes('$1'),
  }));
  const unlimit = queries.bind('unlimitStatement');
  const drop = queries.bind('dropExecutionPartitions');
  return {
    async verify(since) {
      const firstId = firstIdAt(since?.getTime() ?? 0);
      const sql = open();
      try {
        // One snapshot, so that what is compared belongs together.
        return await inTransaction(
          sql,
          async (tx) => {
            await unlimit(tx);
            const results = [];
            for (const { name, about, run, ofExecutions } of bound) {
              const rows = (await run(tx, ...(ofExecutions ? [firstId] : []))).map((row) =>
                answerSchema.parse(row),
              );
              results.push({
                name,
                about,
                violations: rows[0]?.total ?? 0,
                examples: rows.map(({ subject }) => subject),
              });
            }
            return results;
          },
          snapshot,
        );
      } catch (error) {
        throw toStoreError(error, 'reading');
      } finally {
        await sql.end({ timeout: 1 });
      }
    },
    async retain(monthsKept, actor) {
      const sql = open();
      try {
        return (await drop(sql, monthsKept, actor)).map(toRetention);
      } catch (error) {
        throw toStoreError(error, 'auditing');
      } finally {
        await sql.end({ timeout: 1 });
      }
    },
  };
}

function toRetention(row: Row): Retention {
  const parsed = retentionSchema.parse(row);
  return {
    partition: parsed.partition,
    monthsKept: parsed.months_kept,
    rowsEstimated: parsed.rows_estimated,
    actor: parsed.actor,
    createdAt: parsed.created_at,
  };
}
