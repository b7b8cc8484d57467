// Every question in SQL of every dashboard, asked by the role that dashboards have, of a database with thousands of
// executions: the answer is what a plain query over the rows says. Where the rows are summed, the plain query knows
// nothing of the sums.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import postgres from 'postgres';
import { v7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { ProbeOutcome } from '../../src/application/probe-store.ts';
import { createRollupKeeper } from '../../src/application/rollup-keeper.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { insertExecutions, insertLaterCosts, truth } from '../support/cost-truth.ts';
import {
  type Dashboard,
  dashboards,
  expandSql,
  grafanaDirectory,
  type Picked,
  type Question,
  questionsOf,
  variablesOf,
} from '../support/dashboards.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import {
  driftFinding,
  driftRun,
  evaluation,
  evaluationSuite,
  execution,
  promptVersion,
} from '../support/records.ts';

const hourMs = 3_600_000;
const postgresType = 'grafana-postgresql-datasource';
const questions = dashboards.flatMap((dashboard) => questionsOf(dashboard, 'rawSql'));
/** A choice of a person who looks at one prompt. */
const chosen: Record<string, string> = { prompt: 'prompt-1', label: 'production' };
const bucketSeconds = 3 * 3_600;

const quoted = (values: readonly string[] = []) =>
  values.map((value) => `'${value.replaceAll("'", "''")}'`).join();

/** What each question means, of plain rows. t: the executions that are picked. */
function plainQueries({ from, to, variables }: Picked): Record<string, string> {
  const rows = (unit: string) => `(select * from (select *, hour at time zone 'UTC' as at,
      prompt_name || ' v' || version as named from (${truth}) e) e
    where at >= date_trunc('${unit}', '${from.toISOString()}'::timestamptz, 'UTC')
      and prompt_name in (${quoted(variables.prompt)}) and label in (${quoted(variables.label)})
      and purpose in (${quoted(variables.purpose)})) t`;
  const [hours, days] = [rows('hour'), rows('day')];
  const group = `floor(extract(epoch from at) / ${bucketSeconds}) * ${bucketSeconds}`;
  const day = `date_trunc('day', at, 'UTC')`;
  const mine = `currency = ${quoted(variables.currency)}`;
  const within = `created_at between '${from.toISOString()}' and '${to.toISOString()}'`;
  const unpriced = `count(*) filter (where cost is null and attempts > 0 and not simulated)`;
  const p = (share: number) => `percentile_disc(${share}) within group (order by latency_ms)`;
  const perK = `1000 * sum(cost) filter (where ${mine}) / nullif(sum(prompt) filter (where ${mine} and cost is not null), 0)`;
  const moves = `select created_at, prompt_name || ' ' || label || ': ' || coalesce('v' || from_version, 'nothing') || ' → v' || to_version,
    kind || ',' || actor from prompt_deployments where ${within} order by 1`;
  return {
    'promptgate-overview/Executions': `select count(*) from ${hours}`,
    'promptgate-overview/Succeeded': `select avg((status = 'succeeded')::integer) from ${hours}`,
    'promptgate-overview/Cost': `select currency, sum(cost) from ${hours} where cost is not null group by 1 order by 1`,
    'promptgate-overview/Cost not known': `select ${unpriced} from ${hours}`,
    'promptgate-overview/Latency p95': `select ${p(0.95)} from ${hours}`,
    'promptgate-overview/Executions by outcome': `select ${group}, status, count(*) from ${hours} group by 1, 2 order by 1, 2`,
    'promptgate-overview/Cost over time': `select ${group}, currency, sum(cost) from ${hours} where cost is not null group by 1, 2 order by 1, 2`,
    'promptgate-overview/Prompts': `select prompt_name, count(*), count(*) filter (where status = 'failed'), count(*) filter (where status = 'refused'),
      count(*) filter (where status = 'unknown'), coalesce(sum(prompt), 0), coalesce(sum(completion), 0), ${p(0.5)}, ${p(0.95)} from ${hours} group by 1 order by 2 desc, 1`,
    'promptgate-overview/@Label moves': moves,
    'promptgate-costs/Versions': `with v as (select prompt_name as prompt, version, count(*), coalesce(sum(t.prompt), 0), coalesce(sum(completion), 0),
        sum(cost) filter (where ${mine}), sum(cost) filter (where ${mine}) / nullif(count(t.prompt) filter (where ${mine} and cost is not null), 0) as per_run, ${perK}, ${unpriced} from ${days} where version > 0 group by 1, 2)
      select v.*, v.per_run / before.per_run - 1 from v left join v before on before.prompt = v.prompt
        and before.version = (select max(version) from v b where b.prompt = v.prompt and b.version < v.version) order by 1, 2 desc`,
    'promptgate-costs/Cost a day, by version': `select ${day}, named, sum(cost) from ${days} where ${mine} and cost is not null group by 1, 2 order by 1, 2`,
    'promptgate-costs/Cost of 1,000 prompt tokens, by version': `select ${day}, named, ${perK} from ${days} where ${mine} group by 1, 2 having sum(prompt) filter (where cost is not null) > 0 order by 1, 2`,
    'promptgate-costs/Models': `select model, count(*), coalesce(sum(prompt), 0), coalesce(sum(cached), 0), coalesce(sum(completion), 0), sum(cost) filter (where ${mine}) from ${days} group by 1 order by 6 desc nulls last, 1`,
    'promptgate-costs/Keys': `select case key when 'key-1' then 'billing' when '' then 'no key' else key end, count(*), sum(cost) filter (where ${mine}) from ${days} group by 1 order by 3 desc nulls last, 1`,
    'promptgate-costs/Cost not known': `select prompt_name, version, model, ${unpriced} from ${days} group by 1, 2, 3 having ${unpriced} > 0 order by 4 desc, 1, 2, 3`,
    'promptgate-costs/@Label moves': moves,
    'promptgate-costs/Budgets of the present period': `select * from (values
        ('EUR', 'prompt prompt-1', 'day', 2, null, 4, 0.5), ('EUR', 'key billing', 'month', 0, 10, null, 0), ('USD', 'prompt prompt-1', 'day', 0.5, null, 2, 0.25),
        ('USD', 'label production', 'day', 0, null, 1, 0)) b (currency, budget, period, taken, warned, refused, used)
      where ${mine} order by used desc, budget`.replace(
      'select *',
      'select budget, period, taken, warned, refused, used',
    ),
    'promptgate-costs/Budgets of a day, used': `select * from (values
        (date_trunc('day', now(), 'UTC') - interval '1 day', 'USD', 'prompt prompt-1', 1.1),
        (date_trunc('day', now(), 'UTC'), 'USD', 'prompt prompt-1', 0.25),
        (date_trunc('day', now(), 'UTC'), 'EUR', 'prompt prompt-1', 0.5)) b (at, currency, budget, used)
      where ${mine} order by 1`.replace('select *', 'select at, budget, used'),
    'promptgate-drift-and-gates/Label moves': `select 4`,
    'promptgate-drift-and-gates/Rollbacks': `select 1`,
    'promptgate-drift-and-gates/Moves past a gate': `select 1`,
    'promptgate-drift-and-gates/What labels hold, and on which evidence': `select 'prompt-1', 'production', 2, d.created_at, 'deploy', 'cli:ada', 'because', true, 'default', 1, 0.861, e.created_at
      from prompt_deployments d, evaluations e where d.id = 4`,
    'promptgate-drift-and-gates/Moves': `select created_at, 'prompt-1', 'production', (array[null, 1, 2, 1])[id], (array[1, 2, 1, 2])[id],
      (array['deploy', 'break_glass', 'rollback', 'deploy'])[id], 'cli:ada', 'because', null from prompt_deployments order by id desc`,
    'promptgate-drift-and-gates/Drift: findings': `select created_at, 'prompt-1', 1, 'openai/gpt-4o-mini', 'call', measure, 'median 312 ms',
      'median 498 ms', case measure when 'latency' then 0.0004 end, null, evidence_after from drift_findings order by id desc`,
    'promptgate-drift-and-gates/Drift: runs': `select created_at, 'every prompt', since, until, 0, 12, 2, 'key:ci' from drift_runs`,
    'promptgate-drift-and-gates/Probes': `select r.created_at, 'prompt-1', 'default', 'production', 2, coalesce(o.outcome, 'not ended'), o.passed_count,
      o.trial_count, o.cost, o.currency, false, 'schedule:probes' from probe_runs r left join probe_outcomes o using (run_id) order by 1 desc`,
    'promptgate-drift-and-gates/Evaluations: share that passed, by version': `select created_at, 'prompt-1 v2', 1 from evaluations`,
    'promptgate-drift-and-gates/Executions that failed, by version': `select ${group}, named, avg((status = 'failed')::integer) from ${hours} where version > 0 group by 1, 2 order by 1, 2`,
    'promptgate-drift-and-gates/Length of an answer in tokens, by version': `select ${group}, named, nullif(sum(completion), 0) / count(*) from ${hours} where version > 0 and status = 'succeeded' group by 1, 2 order by 1, 2`,
    'promptgate-drift-and-gates/Latency p95, by version': `select ${group}, named, ${p(0.95)} from ${hours} where version > 0 and status = 'succeeded' group by 1, 2 order by 1, 2`,
    'promptgate-drift-and-gates/@Label moves': moves,
  };
}

/** A number where the driver makes a text of it, and what Grafana makes of a time. */
function plain(value: unknown): unknown {
  if (value instanceof Date) return value.getTime();
  return typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
}

/** Percentiles come from buckets that are a quarter wide; all else is exact but for the last digit of a division. */
function isClose(column: string, one: unknown, other: unknown): boolean {
  if (typeof one !== 'number' || typeof other !== 'number') return one === other;
  const tolerance = /^p\d\d$/.test(column) ? 1 + 0.26 * Math.abs(other) : 1e-9 * Math.abs(other);
  return Math.abs(one - other) <= tolerance;
}

describe.each(databases)('the dashboards on $name', ({ create }) => {
  let database: TestDatabase;
  let store: Store;
  /** May become the reader; on PostgreSQL the owner of the tables may not. */
  let sql: postgres.Sql;
  const now = new Date();

  beforeAll(async () => {
    database = await create();
    store = await openStore({ databaseUrl: database.url });
    await store.audit.ensurePartitions();
    sql = postgres(adminUrl(database), { max: 1, onnotice: () => {}, fetch_types: false });
    await insertExecutions(sql, { count: 700, untilMs: now.getTime(), spanMs: 40 * hourMs, salt: 7 });
    await insertLaterCosts(sql);
    await fillRegistry(store);
    await fillBudgets(store, sql);
    await createRollupKeeper(store.costs, {
      onError(error) {
        throw error;
      },
    }).catchUp();
    const [, grants = ''] =
      /-- begin grants\n([\s\S]*)-- end grants/.exec(
        readFileSync(join(grafanaDirectory, 'reader.sql'), 'utf8'),
      ) ?? [];
    await sql.unsafe(
      `do $$ begin create role promptgate_reader; exception when duplicate_object then null; end $$; ${grants}`,
    );
  });
  afterAll(async () => {
    await sql.end();
    await store.close();
    await database.drop();
  });

  const asReader = (text: string): Promise<Record<string, unknown>[]> =>
    sql.begin(async (tx) => {
      await tx.unsafe('set local role promptgate_reader');
      return [...(await tx.unsafe(text))];
    });

  const picks = new Map<string, Promise<Picked>>();
  function pick({ dashboard }: Question, narrow: boolean): Promise<Picked> {
    const key = `${dashboard.uid} ${narrow}`;
    const known = picks.get(key) ?? fillVariables(dashboard, narrow);
    picks.set(key, known);
    return known;
  }

  async function fillVariables(dashboard: Dashboard, narrow: boolean): Promise<Picked> {
    const to = new Date(now.getTime() + 60_000);
    const range = { from: new Date(now.getTime() - 30 * hourMs), to, intervalSeconds: bucketSeconds };
    const variables: Record<string, string[]> = {};
    for (const { name, multi, text } of variablesOf(dashboard, postgresType)) {
      const rows = await asReader(expandSql(text, { ...range, variables: {} }));
      const values = rows.map((row) => String(Object.values(row)[0]));
      if (narrow && chosen[name]) expect(values).toContain(chosen[name]);
      if (!multi) variables[name] = values.slice(narrow ? -1 : 0, narrow ? undefined : 1);
      else variables[name] = narrow && chosen[name] ? [chosen[name]] : values;
    }
    return { ...range, variables };
  }

  it('have a plain query for each of their questions', async () => {
    const [question] = questions;
    const { variables } = await pick(question as Question, false);
    expect(variables.prompt).toContain("it's prompt-8");
    expect(variables.label).toContain('');
    const names = questions.map(({ name }) => name).sort();
    expect(Object.keys(plainQueries(await pick(question as Question, false))).sort()).toEqual(names);
  });

  it.each(questions.map((question) => ({ name: question.name, question })))(
    '$name is what the rows say',
    async ({ name, question }) => {
      for (const narrow of [false, true]) {
        const picked = await pick(question, narrow);
        const answer = await asReader(expandSql(question.text, picked));
        expect(answer.length).toBeGreaterThan(0);
        const columns = Object.keys(answer[0] ?? {});
        const rows = answer.map((row) => Object.values(row).map(plain));
        const wanted = (await sql.unsafe(plainQueries(picked)[name] ?? '').values()).map((row) =>
          row.map(plain),
        );
        expect(rows.length).toBe(wanted.length);
        const wrong = rows.flatMap((row, at) =>
          row.length === wanted[at]?.length &&
          row.every((value, i) => isClose(columns[i] ?? '', value, wanted[at]?.[i]))
            ? []
            : [{ row, wanted: wanted[at] }],
        );
        expect(wrong).toEqual([]);
        // What Grafana asks of a time series: ascending times, and one value for each time and name.
        if (question.format === 'time_series') {
          expect(columns[0]).toBe('time');
          expect(rows.map(([time]) => time)).toEqual(
            rows.map(([time]) => time).sort((a, b) => Number(a) - Number(b)),
          );
          expect(new Set(rows.map(([time, series]) => `${time} ${series}`)).size).toBe(rows.length);
        }
      }
    },
  );

  it('cannot read what callers sent, what models answered, prompts or hashes, nor write', async () => {
    for (const text of [
      'select input_payload from ai_executions',
      'select 1 from ai_execution_intents',
      'select outcome from ai_execution_late_outcomes',
      'select source from prompt_versions',
      'select cases from evaluations',
      'select hash from api_keys',
      'select reasons from probe_outcomes',
      'select failures from probe_outcomes',
      'select executions from replay_runs',
      'select source from evaluation_suites',
      'select reason from budgets',
      'delete from execution_rollups',
      "insert into api_keys (id, name) values ('x', 'x')",
      'select roll_up_executions(1)',
    ]) {
      await expect(asReader(text), text).rejects.toMatchObject({ code: '42501' });
    }
  });
});

function adminUrl({ kind, url }: TestDatabase): string {
  if (kind === 'embedded') return url;
  const admin = new URL(inject('postgresUrl'));
  admin.pathname = new URL(url).pathname;
  return admin.href;
}

/** One that was changed, one that was lifted, one of no money, one that nobody has used yet; of today and yesterday. */
async function fillBudgets({ budgets }: Store, sql: postgres.Sql): Promise<void> {
  const set = (scope: string, subject: string, more: object) =>
    budgets.set(
      {
        ...{ scope, subject, measure: 'cost', period: 'day', currency: 'USD', refuseAt: null, warnAt: null },
        ...more,
      } as never,
      'ada',
      'a reason that is nobody’s business',
    );
  await set('prompt', 'prompt-1', { refuseAt: '1' });
  await set('prompt', 'prompt-1', { refuseAt: '2' });
  await set('prompt', 'prompt-1', { refuseAt: '4', currency: 'EUR' });
  await set('prompt', 'prompt-2', { refuseAt: '1' });
  await set('prompt', 'prompt-2', {});
  await set('label', 'production', { refuseAt: '1' });
  await set('label', 'production', { measure: 'requests', period: 'minute', currency: '', refuseAt: '5' });
  await set('key', 'key-1', { period: 'month', currency: 'EUR', warnAt: '10' });
  await sql.unsafe(`insert into budget_windows values
    ('prompt', 'prompt-1', 'cost', 'day', 'USD', date_trunc('day', now(), 'UTC'), 0.5),
    ('prompt', 'prompt-1', 'cost', 'day', 'USD', date_trunc('day', now(), 'UTC') - interval '1 day', 2.2),
    ('prompt', 'prompt-1', 'cost', 'day', 'EUR', date_trunc('day', now(), 'UTC'), 2),
    ('prompt', 'prompt-2', 'cost', 'day', 'USD', date_trunc('day', now(), 'UTC'), 0.5)`);
}

const probe = {
  ...{ label: 'production', schedule: '*/30 * * * *', budget: '0.05', dailyBudget: null },
  onFailure: 'report',
} as const;
const probeOutcome: ProbeOutcome = {
  ...{
    outcome: 'failed',
    reasons: ['3 of 5 answers passed'],
    failures: [{ case: 'short', execution: null }],
  },
  ...{ caseCount: 5, trialCount: 5, passedCount: 3, callCount: 5, simulated: false },
  ...{ cost: '0.0123', currency: 'USD', rollback: null },
};

/** A version deployed, a next one put past the gate, taken back, and deployed on evidence. */
async function fillRegistry({ registry, evaluations, audit, drift, probes }: Store): Promise<void> {
  const promptName = 'prompt-1';
  const who = { actor: 'cli:ada', reason: 'because', gitCommit: null };
  for (const version of [1, 2]) {
    await registry.addVersion(promptVersion({ name: promptName, version, checksum: `${version}` }), 'ada');
  }
  await evaluations.registerSuite(evaluationSuite({ promptName, checksum: 's1' }));
  const move = { promptName, label: 'production', ...who };
  await registry.moveLabel({ ...move, toVersion: 1, kind: 'deploy' });
  await registry.setLabelPolicy({ label: 'production', gated: true, actor: 'ada', reason: null });
  await registry.moveLabel({ ...move, toVersion: 2, kind: 'break_glass' });
  await registry.rollBack(move);
  await evaluations.recordEvaluation(
    evaluation({ promptName, version: 2, versionChecksum: '2', suiteChecksum: 's1', startedAt: new Date() }),
  );
  await registry.moveLabel({ ...move, toVersion: 2, kind: 'deploy' });
  const fact = driftFinding({ promptName, measure: 'response_model', pValue: null, correctedP: null });
  await drift.record(driftRun(), [driftFinding({ promptName }), fact]);
  const subject = { promptName, suite: 'default' };
  await probes.register(subject, probe, { actor: 'cli:ada', gitCommit: null });
  const { id: probeId } = (await probes.find(promptName, 'default'))!;
  const fixed = {
    ...subject,
    probeId,
    label: 'production',
    version: 2,
    deploymentId: 4,
    suiteChecksum: 's1',
  };
  for (const outcome of [probeOutcome, null]) {
    const runId = v7();
    await probes.begin({ ...fixed, runId, dueAt: null, actor: 'schedule:probes' });
    if (outcome) await probes.end(runId, outcome);
  }
  const key = {
    prefix: 'pg_1',
    scopes: ['execute' as const],
    createdAt: new Date(),
    createdBy: 'ada',
    revokedAt: null,
  };
  await registry.createKey({
    ...key,
    id: 'key-1',
    name: 'billing',
    hash: 'secret',
    limits: { prompts: null, labels: null },
  } as never);
  // A name that only quoting keeps from being SQL.
  await audit.settle([execution({ promptName: "it's prompt-8", purpose: 'call', startedAt: new Date() })]);
}
