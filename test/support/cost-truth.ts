/**
 * What the rollups have to say, worked out from the rows by plain SQL that shares nothing with them, and executions in
 * any number for it.
 */
import type postgres from 'postgres';

/** One row an execution: what it cost, wherever that is known from. */
export const truth = `
  select date_trunc('hour', e.started_at at time zone 'UTC') as hour, e.prompt_name, coalesce(e.prompt_version, 0) as version,
    coalesce(e.label, '') as label, coalesce(e.model, '') as model, coalesce(e.key_id, '') as key, e.purpose, e.status,
    coalesce(e.prompt_tokens, (l.outcome ->> 'prompt_tokens')::bigint) as prompt,
    coalesce(e.completion_tokens, (l.outcome ->> 'completion_tokens')::bigint) as completion,
    e.cached_tokens as cached,
    coalesce(e.cost, (l.outcome ->> 'cost')::numeric, b.cost) as cost,
    case when e.cost is not null then e.currency
         when l.outcome ->> 'cost' is not null then l.outcome ->> 'currency' else b.currency end as currency,
    json_array_length(e.attempts) as attempts, e.simulated, e.latency_ms
  from ai_executions e
  left join ai_execution_late_outcomes l on l.execution_id = e.id
  left join execution_cost_backfills b on b.execution_id = e.id`;

const groups = 'hour, prompt_name, version, label, model, key, purpose, status';

const countsOfRows = `
  select ${groups}, count(*)::numeric, coalesce(sum(prompt), 0)::numeric, coalesce(sum(completion), 0)::numeric,
    sum(attempts)::numeric, sum(round(latency_ms * 1000))::numeric,
    count(*) filter (where cost is null and attempts > 0 and not simulated)::numeric,
    count(*) filter (where latency_ms >= 100)::numeric
  from (${truth}) t group by ${groups}`;

const moneyOfRows = `
  select ${groups}, currency, sum(cost), count(prompt)::numeric, coalesce(sum(prompt), 0)::numeric,
    coalesce(sum(cost * cost) filter (where prompt is not null), 0), coalesce(sum(cost * prompt), 0),
    coalesce(sum(prompt * prompt), 0)::numeric
  from (${truth}) t where cost is not null group by ${groups}, currency`;

function rollups(table: string, time: string) {
  const cells = `select date_trunc('hour', ${time} at time zone 'UTC') as hour, prompt_name, prompt_version, label, model, key_id, purpose, status`;
  return {
    counts: `${cells}, sum(executions), sum(prompt_tokens), sum(completion_tokens), sum(attempts), sum(latency_us),
        sum(unknown_costs - later_costs), sum((select sum(n) from unnest(latency_histogram) with ordinality h (n, i) where i > 21))
      from ${table} group by 1, 2, 3, 4, 5, 6, 7, 8`,
    money: `${cells}, currency, sum(cost), sum(priced), sum(priced_prompt_tokens), sum(cost_squares), sum(cost_prompt_tokens),
        sum(prompt_tokens_squares)
      from ${table} where currency <> '' group by 1, 2, 3, 4, 5, 6, 7, 8, 9`,
  };
}

/** Sums of versions against those of days, column by column: they are kept by triggers. */
const versionSums = (table: string, succeeded: string) => `
  select day, prompt_name, prompt_version, currency, sum(executions), ${succeeded}, sum(prompt_tokens), sum(completion_tokens),
    sum(cached_tokens), sum(cache_write_tokens), sum(reasoning_tokens), sum(cost), sum(unknown_costs), sum(later_costs),
    sum(later_cost), sum(priced), sum(priced_prompt_tokens), sum(cost_squares), sum(cost_prompt_tokens),
    sum(prompt_tokens_squares), sum(attempts), sum(latency_us)
  from ${table} group by 1, 2, 3, 4`;

/** @returns every sum that the rollups have otherwise, or that one side alone has; empty when they are equal */
export async function findWrongSums(sql: postgres.Sql): Promise<unknown[]> {
  const hourly = rollups('execution_rollups', 'hour');
  const daily = rollups('execution_rollups_daily', 'day');
  const byDay = (query: string) => query.replaceAll(`date_trunc('hour', e.`, `date_trunc('day', e.`);
  const pairs = [
    [countsOfRows, hourly.counts],
    [moneyOfRows, hourly.money],
    [byDay(countsOfRows), daily.counts],
    [byDay(moneyOfRows), daily.money],
    [
      versionSums(
        'execution_rollups_daily',
        `coalesce(sum(executions) filter (where status = 'succeeded'), 0)`,
      ),
      versionSums('execution_rollups_daily_versions', 'sum(succeeded)'),
    ],
  ] as const;
  const wrong: unknown[] = [];
  for (const [rows, sums] of pairs) {
    for (const [left, right] of [
      [rows, sums],
      [sums, rows],
    ]) {
      wrong.push(...(await sql.unsafe(`(${left}) except (${right}) limit 3`)));
    }
  }
  return wrong;
}

/**
 * Inserts `count` executions, `ageMs` old at most and spread evenly, as SQL alone can: prompts, versions, labels, models,
 * keys, purposes, outcomes, currencies, costs of many digits, unknown costs, late outcomes for some of the unknown.
 */
export async function insertExecutions(
  sql: postgres.Sql,
  { count, untilMs, spanMs, salt }: { count: number; untilMs: number; spanMs: number; salt: number },
): Promise<void> {
  await sql.unsafe(`
    insert into ai_executions (
      id, prompt_name, prompt_version, label, input_payload, parameters, provider, model, simulated, key_id, actor,
      request_id, metadata, started_at, status, usage_source, prompt_tokens, completion_tokens, cached_tokens,
      raw_output, cost, currency, price, output_normalised, latency_ms, overhead_ms, attempts, purpose
    )
    select
      (substr(lpad(to_hex(ms), 12, '0'), 1, 12) || '7' || substr(h, 1, 3) || '8' || substr(h, 4, 15))::uuid,
      case p when 0 then '' else 'prompt-' || p end, case p when 0 then null else 1 + (r / 7) % 2 + p % 2 end,
      case when p = 0 then null when r % 20 = 0 then 'staging' else 'production' end,
      '{"variables":{"text":"A short text."}}', '{}', 'openai', case p % 3 when 0 then 'gpt-4o' else 'gpt-4o-mini' end, r % 97 = 0,
      'key-' || p % 4, 'key:load', 'req-' || n, '{}', to_timestamp(ms / 1000.0), status,
      case when answered then 'provider' else 'none' end,
      case when answered then 100 + r % 900 end, case when answered then r % 300 end, case when answered then r % 50 end,
      case when answered then 'An answer of some words, as long as a short answer is.' end,
      case when answered and r % 97 <> 0 and r % 13 <> 0 then (r % 1000003)::numeric / 1000000007000 end,
      case p when 3 then 'EUR' else 'USD' end,
      '{"source":"genai-prices@0.1.8","unknownReason":null,"unitPrices":{"gpt-4o-mini":{"input_mtok":"0.15","output_mtok":"0.6"}},"billed":null}',
      false, case status when 'unknown' then 0 else exp((r % 1000) / 100.0) end, 0.5,
      case status when 'refused' then '[]' else '[{"number":1}]' end::json,
      case when p = 0 then 'raw' when r % 20 = 0 then 'evaluation' else 'call' end
    from (
      select *, status in ('succeeded', 'failed') and r % 31 <> 0 as answered from (
        select *, r % 9 as p,
          case when r % 100 < 88 then 'succeeded' when r % 100 < 92 then 'failed' when r % 100 < 95 then 'refused'
               when r % 100 < 97 then 'cancelled' else 'unknown' end as status
          from (
      select n, md5('${salt}-' || n) as h, ('x' || substr(md5('${salt}-' || n), 1, 7))::bit(28)::bigint as r,
        ${Math.round(untilMs - spanMs)}::bigint + (n * ${spanMs}::numeric / ${count})::bigint as ms
      from generate_series(1, ${count}) n
          ) ids
      ) outcomes
    ) s
    on conflict do nothing`);
}

/** Late outcomes for unknown executions that have none, and a back-fill for some of the unpriced, of those since a time. */
export async function insertLaterCosts(sql: postgres.Sql, sinceMs = 0): Promise<void> {
  const since = `id >= execution_id_at('${new Date(sinceMs).toISOString()}')`;
  await sql.unsafe(`
    insert into ai_execution_late_outcomes (execution_id, outcome)
    select id, json_build_object('id', id, 'status', 'succeeded', 'prompt_tokens', 77, 'completion_tokens', 5,
        'cost', case when id::text < 'g' and right(id::text, 1) < '8' then 0.00123 end, 'currency', 'USD')
      from ai_executions where status = 'unknown' and right(id::text, 1) < 'c' and ${since}
    on conflict do nothing`);
  await sql.unsafe(
    `insert into cost_backfills (since, until, actor, reason) values (now(), now(), 'test', 'test')`,
  );
  await sql.unsafe(`
    insert into execution_cost_backfills (execution_id, backfill_id, cost, currency, price)
    select id, (select max(id) from cost_backfills), 0.000321, 'EUR', '{}' from ai_executions
     where cost is null and status = 'succeeded' and not simulated and right(id::text, 1) < '8' and ${since}
    on conflict do nothing`);
}
