/** Probes over `probes`, `probe_runs` and `probe_outcomes`. */
import { z } from 'zod';
import type { ProbeOutcome, ProbeRun, ProbeStore, RegisteredProbe } from '../application/probe-store.ts';
import { PromptgateError } from '../domain/errors.ts';
import { formatMoney, parseMoney } from '../domain/money.ts';
import { probePolicies } from '../domain/probe.ts';
import { bindGuard, type Pool, sqlStateOf } from './connection.ts';
import type { QueryCatalog, Row } from './query-catalog.ts';

export function createProbeStore(pool: Pool, queries: QueryCatalog): ProbeStore {
  const listProbes = queries.bind('listProbes');
  const findProbe = queries.bind('findProbe');
  const insertProbe = queries.bind('insertProbe');
  const insertProbeRun = queries.bind('insertProbeRun');
  const findProbeRun = queries.bind('findProbeRun');
  const findLastProbeRun = queries.bind('findLastProbeRun');
  const findProbeOutcome = queries.bind('findProbeOutcome');
  const insertProbeOutcome = queries.bind('insertProbeOutcome');
  const sumProbeDay = queries.bind('sumProbeDay');
  const listUntakenRuns = queries.bind('listUntakenProbeRuns');
  const guard = bindGuard(pool);

  const list = () => guard('reading', async () => (await listProbes(pool.sql)).map(toProbe));

  async function findOutcome(runId: string): Promise<ProbeOutcome | null> {
    const [row] = await findProbeOutcome(pool.sql, runId);
    return row ? toOutcome(row) : null;
  }

  return {
    list,
    find: (promptName, suite) =>
      guard('reading', async () => {
        const [row] = await findProbe(pool.sql, promptName, suite);
        return row && toProbe(row);
      }),
    register: ({ promptName, suite }, probe, { actor, gitCommit }) =>
      guard('registering', async () => {
        const { label = null, schedule = null, budget = null, dailyBudget = null } = probe ?? {};
        const stated = [label, schedule, budget, dailyBudget, probe?.onFailure ?? null];
        await insertProbe(pool.sql, promptName, suite, ...stated, gitCommit, actor).catch((error) => {
          if (sqlStateOf(error) !== '23503') throw error;
          throw new PromptgateError('not_found', `There is no prompt "${promptName}" for its probe.`);
        });
      }),
    begin: (run) =>
      guard('auditing', async () => {
        const { runId, promptName, suite, dueAt } = run;
        const fixed = [run.label, run.version, run.deploymentId, run.suiteChecksum, run.actor];
        const [row] = await insertProbeRun(pool.sql, runId, promptName, suite, run.probeId, dueAt, ...fixed);
        if (row) return { run: toRun(row), outcome: null };
        const [before] = await findProbeRun(pool.sql, promptName, suite, dueAt);
        const found = toRun(before ?? {});
        return { run: found, outcome: await findOutcome(found.runId) };
      }),
    spentToday: ({ runId, promptName, suite }) =>
      guard('reading', async () => {
        const [row] = await sumProbeDay(pool.sql, promptName, suite, runId);
        return String(row?.spent);
      }),
    end: (runId, outcome) =>
      guard(
        'auditing',
        async () => (await insertProbeOutcome(pool.sql, runId, ...fromOutcome(outcome))).length > 0,
      ),
    listUntaken: (afterMs) =>
      guard('reading', async () => {
        const runs = (await listUntakenRuns(pool.sql, afterMs / 1_000)).map(toRun);
        const outcomes = await Promise.all(runs.map(({ runId }) => findOutcome(runId)));
        return runs.flatMap((run, index) => (outcomes[index] ? [{ run, outcome: outcomes[index] }] : []));
      }),
    async listStates() {
      const probes = await list();
      return guard('reading', () =>
        Promise.all(
          probes.map(async (probe) => {
            const [row] = await findLastProbeRun(pool.sql, probe.promptName, probe.suite);
            if (!row) return { probe, last: null };
            const run = toRun(row);
            return { probe, last: { run, outcome: await findOutcome(run.runId) } };
          }),
        ),
      );
    },
  };
}

const decimal = z.string().transform((text) => formatMoney(parseMoney(text) ?? 0n));

const probeSchema = z.object({
  id: z.number(),
  prompt_name: z.string(),
  suite: z.string(),
  label: z.string(),
  schedule: z.string(),
  budget: decimal,
  daily_budget: decimal.nullable(),
  on_failure: z.enum(probePolicies),
  actor: z.string(),
  created_at: z.date(),
});

const runSchema = z.object({
  run_id: z.string(),
  prompt_name: z.string(),
  suite: z.string(),
  probe_id: z.number(),
  due_at: z.date().nullable(),
  label: z.string(),
  version: z.number(),
  deployment_id: z.number(),
  suite_checksum: z.string(),
  actor: z.string(),
  created_at: z.date(),
});

const outcomeSchema = z.object({
  outcome: z.enum(['passed', 'failed', 'insufficient']),
  reasons: z.array(z.string()),
  failures: z.array(z.object({ case: z.string(), execution: z.string().nullable() })),
  case_count: z.number(),
  trial_count: z.number(),
  passed_count: z.number(),
  call_count: z.number(),
  simulated: z.boolean(),
  cost: decimal.nullable(),
  currency: z.string().nullable(),
  rollback_deployment_id: z.number().nullable(),
  rollback_refusal: z.string().nullable(),
});

function toProbe(row: Row): RegisteredProbe {
  const {
    prompt_name: promptName,
    daily_budget: dailyBudget,
    on_failure: onFailure,
    ...read
  } = probeSchema.parse(row);
  const { created_at: createdAt, ...rest } = read;
  return { ...rest, promptName, dailyBudget, onFailure, createdAt };
}

function toRun(row: Row): ProbeRun {
  const read = runSchema.parse(row);
  return {
    runId: read.run_id,
    promptName: read.prompt_name,
    suite: read.suite,
    probeId: read.probe_id,
    dueAt: read.due_at,
    label: read.label,
    version: read.version,
    deploymentId: read.deployment_id,
    suiteChecksum: read.suite_checksum,
    actor: read.actor,
    createdAt: read.created_at,
  };
}

function toOutcome(row: Row): ProbeOutcome {
  const read = outcomeSchema.parse(row);
  const { rollback_deployment_id: deploymentId, rollback_refusal: refusal } = read;
  return {
    outcome: read.outcome,
    reasons: read.reasons,
    failures: read.failures,
    caseCount: read.case_count,
    trialCount: read.trial_count,
    passedCount: read.passed_count,
    callCount: read.call_count,
    simulated: read.simulated,
    cost: read.cost,
    currency: read.currency,
    rollback: deploymentId !== null ? { deploymentId } : refusal !== null ? { refusal } : null,
  };
}

function fromOutcome(outcome: ProbeOutcome) {
  const { rollback } = outcome;
  return [
    outcome.outcome,
    JSON.stringify(outcome.reasons),
    JSON.stringify(outcome.failures),
    outcome.caseCount,
    outcome.trialCount,
    outcome.passedCount,
    outcome.callCount,
    outcome.simulated,
    outcome.cost,
    outcome.currency,
    rollback && 'deploymentId' in rollback ? rollback.deploymentId : null,
    rollback && 'refusal' in rollback ? rollback.refusal : null,
  ] as const;
}
