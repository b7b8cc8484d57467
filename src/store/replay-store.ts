/** Batches of replays over `replay_runs`, and what they draw from the audit trail. */
import { z } from 'zod';
import type { ReplayQuestion, ReplayRun, ReplayStore } from '../application/replay-store.ts';
import { clockSlackMs, firstIdAt } from './audit-store.ts';
import { bindGuard, type Pool } from './connection.ts';
import type { QueryCatalog } from './query-catalog.ts';

export function createReplayStore(
  pool: Pool,
  queries: QueryCatalog,
  options: { readonly deadlineMs: number },
): ReplayStore {
  // Its plan depends on how much of the trail the window holds.
  const sampleExecutions = queries.bind('sampleExecutions', { prepare: false });
  const insertReplayRun = queries.bind('insertReplayRun');
  const findReplayRun = queries.bind('findReplayRun');

  const guard = bindGuard(pool, options.deadlineMs);

  return {
    listCandidates(promptName, { from, since, until, size, seed, stratify }, keyId) {
      const args = [
        promptName,
        firstIdAt(Date.parse(until) + clockSlackMs),
        firstIdAt(Date.parse(since) - clockSlackMs),
        since,
        until,
        keyId,
        seed,
        stratify.includes('outcome'),
        stratify.includes('length'),
        size,
        from.label ?? null,
        from.version ?? null,
      ];
      return guard('reading', async () =>
        (await sampleExecutions(pool.sql, ...args)).map((row) => {
          const { id, outcome, quarter, group_size } = candidateSchema.parse(row);
          return { id, group: `${outcome} ${quarter}`, groupSize: group_size };
        }),
      );
    },
    recordRun: ({ runId, promptName, question, executionIds, population, keyId, actor }) =>
      guard('reading', async () => {
        const texts = [JSON.stringify(question), JSON.stringify(executionIds)] as const;
        await insertReplayRun(pool.sql, runId, promptName, ...texts, population, keyId, actor);
      }),
    findRun: (runId) =>
      guard('reading', async () => {
        const [row] = await findReplayRun(pool.sql, runId);
        return row && toReplayRun(runSchema.parse(row));
      }),
  };
}

const candidateSchema = z.object({
  id: z.string(),
  outcome: z.string(),
  quarter: z.coerce.number(),
  group_size: z.coerce.number(),
});

const runSchema = z.object({
  run_id: z.string(),
  prompt_name: z.string(),
  /** Written by this program alone, and the table takes no change. */
  question: z.custom<ReplayQuestion>((value) => typeof value === 'object' && value !== null),
  executions: z.array(z.string()),
  population: z.coerce.number(),
  key_id: z.string().nullable(),
  actor: z.string(),
  created_at: z.date(),
});

function toReplayRun(row: z.infer<typeof runSchema>): ReplayRun {
  const { question, population, actor } = row;
  return {
    runId: row.run_id,
    promptName: row.prompt_name,
    question,
    executionIds: row.executions,
    population,
    keyId: row.key_id,
    actor,
    createdAt: row.created_at,
  };
}
