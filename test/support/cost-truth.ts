/**
 * What the rollups have to say, worked out from the rows by plain SQL that shares nothing with them, and executions in
 * any number for it.
 */
import type postgres from 'postgres';

/** A prompt, a version and a label that were sent and under which nothing was found: invented, as far as anybody knows. */
const isInvented = `(e.prompt_version_id is null and json_array_length(e.attempts) = 0)`;
/** A caller's own model that answered nothing. */
const isModelInvented = `((e.prompt_version_id is null or e.purpose = 'replay') and e.usage_source = 'none'
  and e.status in ('refused', 'failed', 'cancelled'))`;
const tokens = ['prompt', 'completion', 'cached', 'cache_write', 'reasoning'] as const;

/** One row an execution: what it cost, wherever that is known from; own_ as it settled, late_ and back_ what came after. */
export const truth = `
  select date_trunc('hour', e.started_at at time zone 'UTC') as hour, case when ${isInvented} then '' else e.prompt_name end as prompt_name,
    case when ${isInvented} then 0 else coalesce(e.prompt_version, 0) end as version,
    case when ${isInvented} then '' else coalesce(e.label, '') end as label,
    case when ${isModelInvented} then '' else coalesce(e.model, '') end as model, coalesce(e.key_id, '') as key, e.purpose, e.status,
    ${tokens.map((one) => `coalesce(e.${one}_tokens, (l.outcome ->> '${one}_tokens')::bigint) as ${one}, e.${one}_tokens as own_${one}`).join()},
    coalesce(e.cost, (l.outcome ->> 'cost')::numeric, b.cost) as cost,
    case when e.cost is not null then e.currency
         when l.outcome ->> 'cost' is not null then l.outcome ->> 'currency' else b.currency end as currency,
    e.cost as own_cost, e.currency as own_currency, (l.outcome ->> 'cost')::numeric as late_cost,
    l.outcome ->> 'currency' as late_currency, l.execution_id is not null as is_late, b.cost as back_cost, b.currency as back_currency,
    json_array_length(e.attempts) as attempts, e.simulated,
    case when json_array_length(e.attempts) > 0 and e.status <> 'unknown' then e.latency_ms end as latency_ms
  from ai_executions e
  left join ai_execution_late_outcomes l on l.execution_id = e.id
  left join execution_cost_backfills b on b.execution_id = e.id`;

const groups = 'hour, prompt_name, version, label, model, key, purpose, status';

/** What each execution adds, when it settles and later: to a currency, or to none. */
const parts = `
  select ${groups}, case when own_cost is null then '' else own_currency end as currency, 1 as executions,
    ${tokens.map((one) => `own_${one} as ${one}`).join()}, own_cost as cost,
    (own_cost is null and attempts > 0 and not simulated)::integer as unknown, 0 as later,
    own_prompt as own_prompt_tokens, attempts, round(latency_ms * 1000) as latency_us
  from t
  union all
  select ${groups}, case when late_cost is null then '' else late_currency end, 0,
    ${tokens.map((one) => `case when own_${one} is null then ${one} end`).join()}, late_cost,
    0, (late_cost is not null and attempts > 0 and not simulated)::integer, prompt, 0, 0
  from t where own_cost is null and is_late
  union all
  select ${groups}, back_currency, 0, ${tokens.map(() => 'null').join()}, back_cost, 0, (attempts > 0 and not simulated)::integer, prompt, 0, 0
  from t where own_cost is null and late_cost is null and back_cost is not null`;

const sumsOfRows = `
  with t as materialized (${truth})
  select ${groups}, currency, sum(executions)::numeric, ${tokens.map((one) => `coalesce(sum(${one}), 0)::numeric`).join()}, coalesce(sum(cost), 0),
    sum(unknown)::numeric, sum(later)::numeric, coalesce(sum(cost) filter (where later > 0), 0),
    count(cost + own_prompt_tokens)::numeric, coalesce(sum(own_prompt_tokens) filter (where cost is not null), 0)::numeric,
    coalesce(sum(cost * cost) filter (where own_prompt_tokens is not null), 0), coalesce(sum(cost * own_prompt_tokens), 0),
    coalesce(sum(own_prompt_tokens::numeric * own_prompt_tokens) filter (where cost is not null), 0), sum(attempts)::numeric, coalesce(sum(latency_us), 0)::numeric
  from (${parts}) p group by ${groups}, currency`;

const latenciesOfRows = `
  select ${groups}, width_bucket(latency_ms, latency_bounds_ms()) + 1, count(*)::numeric
  from (${truth}) t where latency_ms is not null group by ${groups}, 9`;

/** Column by column. */
function rollups(table: string, time: string) {
  const cells = `select date_trunc('hour', ${time} at time zone 'UTC') as hour, prompt_name, prompt_version, label, model, key_id, purpose, status`;
  const columns = [
    'executions',
    ...tokens.map((one) => `${one}_tokens`),
    ...[
      'cost',
      'unknown_costs',
      'later_costs',
      'later_cost',
      'priced',
      'priced_prompt_tokens',
      'cost_squares',
    ],
    ...['cost_prompt_tokens', 'prompt_tokens_squares', 'attempts', 'latency_us'],
  ];
  return {
    sums: `${cells}, currency, ${columns.map((one) => `${one}::numeric`).join()} from ${table}`,
    latencies: `${cells}, i::integer, sum(n) from ${table}, unnest(latency_histogram) with ordinality as h (n, i)
      where n > 0 group by 1, 2, 3, 4, 5, 6, 7, 8, 9`,
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
    [sumsOfRows, hourly.sums],
    [latenciesOfRows, hourly.latencies],
    [byDay(sumsOfRows), daily.sums],
    [byDay(latenciesOfRows), daily.latencies],
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
      id, prompt_name, prompt_version_id, prompt_version, label, input_payload, parameters, provider, model, simulated, key_id, actor,
      request_id, metadata, started_at, status, usage_source, prompt_tokens, completion_tokens, cached_tokens,
      cache_write_tokens, reasoning_tokens, raw_output, cost, currency, price, output_normalised, latency_ms, overhead_ms, attempts, purpose
    )
    select
      (substr(lpad(to_hex(ms), 12, '0'), 1, 12) || '7' || substr(h, 1, 3) || '8' || substr(h, 4, 15))::uuid,
      case p when 0 then '' else 'prompt-' || p end, case when p > 0 and (status <> 'refused' or r % 2 = 0) then p end,
      case p when 0 then null else 1 + (r / 7) % 2 + p % 2 end,
      case when p = 0 then null when r % 20 = 0 then 'staging' else 'production' end,
      '{"variables":{"text":"A short text."}}', '{}', 'openai', case p % 3 when 0 then 'gpt-4o' else 'gpt-4o-mini' end, r % 97 = 0,
      'key-' || p % 4, 'key:load', 'req-' || n, '{}', to_timestamp(ms / 1000.0), status,
      case when answered then 'provider' else 'none' end,
      case when answered then 100 + r % 900 end, case when answered then r % 300 end, case when answered then r % 50 end,
      case when answered and r % 3 = 0 then r % 40 end, case when answered and r % 5 = 0 then r % 30 end,
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
        'cached_tokens', 3, 'cache_write_tokens', null, 'reasoning_tokens', 2, 'cost', case when id::text < 'g' and right(id::text, 1) < '8' then 0.00123 end, 'currency', 'USD')
      from ai_executions where status = 'unknown' and right(id::text, 1) < 'c' and ${since}
    on conflict do nothing`);
  await sql.unsafe(
    `insert into cost_backfills (since, until, actor, reason) values (now(), now(), 'test', 'test')`,
  );
  await sql.unsafe(`
    insert into execution_cost_backfills (execution_id, backfill_id, cost, currency, price)
    select id, (select max(id) from cost_backfills), 0.000321, 'EUR', '{}' from ai_executions
     where cost is null and not simulated and ${since} and (status = 'succeeded' and right(id::text, 1) < '8'
       or status = 'unknown' and id in (select execution_id from ai_execution_late_outcomes where outcome ->> 'cost' is null))
    on conflict do nothing`);
}
