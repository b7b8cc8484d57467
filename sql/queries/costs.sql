-- What executions cost, from the rollups: no query here but those of the back-fill reads the trail.

-- name: rollUpExecutions
-- One batch; see the function. Null: another process is at it.
select roll_up_executions($1::integer) as taken

-- name: rebuildExecutionRollups
-- Takes as long as the hours have executions.
select rebuild_execution_rollups($1::timestamptz, $2::timestamptz) as queued

-- name: countPendingRollups
-- The table holds what was settled in the last seconds.
select count(*)::integer as pending from execution_rollup_pending

-- name: sumCosts
-- Whole days, [$13, $14), come from sums of days, and the hours of [$1, $2) around them from sums of hours: time grows with
-- days and versions, never with executions. $15: nothing is asked that the sums of versions leave out, so they answer for
-- the days. $3 is a json array of what to group by; $4 to $10 filter where they are not null. Planned for what is asked:
-- the rest of the columns and tables costs nothing. Latency is summed only where it is asked for ($11), and so are the
-- products that a comparison needs ($12). At most $16 groups; null: all.
with sums as (
  select day as at, prompt_name, prompt_version, null::text as label, null::text as model, null::text as key_id,
    null::text as purpose, null::text as status, currency, executions, succeeded, prompt_tokens, completion_tokens,
    cached_tokens, cache_write_tokens, reasoning_tokens, cost, unknown_costs, later_costs, later_cost, priced,
    priced_prompt_tokens, cost_squares, cost_prompt_tokens, prompt_tokens_squares, attempts, latency_us,
    null::bigint[] as latency_histogram
    from execution_rollups_daily_versions
   where $15::boolean and day >= $13::timestamptz and day < $14::timestamptz
     and ($4::text is null or prompt_name = $4) and ($5::integer is null or prompt_version = $5)
  union all
  select day, prompt_name, prompt_version, label, model, key_id, purpose, status, currency, executions,
    case when status = 'succeeded' then executions else 0 end, prompt_tokens, completion_tokens, cached_tokens,
    cache_write_tokens, reasoning_tokens, cost, unknown_costs, later_costs, later_cost, priced, priced_prompt_tokens,
    cost_squares, cost_prompt_tokens, prompt_tokens_squares, attempts, latency_us, latency_histogram
    from execution_rollups_daily
   where not $15::boolean and day >= $13::timestamptz and day < $14::timestamptz
     and ($4::text is null or prompt_name = $4) and ($5::integer is null or prompt_version = $5)
     and ($6::text is null or label = $6) and ($7::text is null or model = $7) and ($8::text is null or key_id = $8)
     and ($9::text is null or purpose = $9) and ($10::text is null or status = $10)
  union all
  select hour, prompt_name, prompt_version, label, model, key_id, purpose, status, currency, executions,
    case when status = 'succeeded' then executions else 0 end, prompt_tokens, completion_tokens, cached_tokens,
    cache_write_tokens, reasoning_tokens, cost, unknown_costs, later_costs, later_cost, priced, priced_prompt_tokens,
    cost_squares, cost_prompt_tokens, prompt_tokens_squares, attempts, latency_us, latency_histogram
    from execution_rollups
   where (hour >= $1::timestamptz and hour < $13::timestamptz or hour >= $14::timestamptz and hour < $2::timestamptz)
     and ($4::text is null or prompt_name = $4) and ($5::integer is null or prompt_version = $5)
     and ($6::text is null or label = $6) and ($7::text is null or model = $7) and ($8::text is null or key_id = $8)
     and ($9::text is null or purpose = $9) and ($10::text is null or status = $10)
), parts as (
  select
    case when $3::text::jsonb ? 'day' then to_char(at at time zone 'UTC', 'YYYY-MM-DD') end as day,
    case when $3::text::jsonb ? 'prompt' then prompt_name end as prompt, case when $3::text::jsonb ? 'version' then prompt_version end as version,
    case when $3::text::jsonb ? 'label' then label end as label, case when $3::text::jsonb ? 'model' then model end as model,
    case when $3::text::jsonb ? 'key' then key_id end as key, case when $3::text::jsonb ? 'purpose' then purpose end as purpose,
    case when $3::text::jsonb ? 'status' then status end as status, currency,
    sum(executions) as executions, sum(succeeded) as succeeded,
    sum(prompt_tokens) as prompt_tokens, sum(completion_tokens) as completion_tokens,
    sum(cached_tokens) as cached_tokens, sum(cache_write_tokens) as cache_write_tokens,
    sum(reasoning_tokens) as reasoning_tokens, sum(cost) as cost, sum(unknown_costs) as unknown_costs,
    sum(later_costs) as later_costs, sum(later_cost) as later_cost, sum(priced) as priced,
    sum(priced_prompt_tokens) as priced_prompt_tokens,
    case when $12::boolean then sum(cost_squares) else 0 end as cost_squares,
    case when $12::boolean then sum(cost_prompt_tokens) else 0 end as cost_prompt_tokens,
    case when $12::boolean then sum(prompt_tokens_squares) else 0 end as prompt_tokens_squares,
    sum(attempts) as attempts, sum(latency_us) as latency_us,
    case when $11::boolean then sum_histograms(latency_histogram) end as histogram
  from sums
  group by 1, 2, 3, 4, 5, 6, 7, 8, currency
)
select p.day, p.prompt, p.version, p.label, p.model, p.key, p.purpose, p.status,
  sum(executions)::bigint as executions, coalesce(sum(succeeded), 0)::bigint as succeeded,
  sum(prompt_tokens)::bigint as prompt_tokens, sum(completion_tokens)::bigint as completion_tokens,
  sum(cached_tokens)::bigint as cached_tokens, sum(cache_write_tokens)::bigint as cache_write_tokens,
  sum(reasoning_tokens)::bigint as reasoning_tokens, sum(attempts)::bigint as attempts,
  (sum(unknown_costs) - sum(later_costs))::bigint as unknown_costs, sum(later_costs)::bigint as later_costs,
  sum(latency_us)::bigint as latency_us,
  case when $11::boolean then (select sum(n)::bigint from unnest(sum_histograms(histogram)) n) end as measured,
  case when $11::boolean then latency_quantile_ms(sum_histograms(histogram), 0.5) end as p50_ms,
  case when $11::boolean then latency_quantile_ms(sum_histograms(histogram), 0.95) end as p95_ms,
  case when $11::boolean then latency_quantile_ms(sum_histograms(histogram), 0.99) end as p99_ms,
  coalesce(json_agg(json_build_object('currency', currency, 'cost', trim_scale(cost)::text, 'later_cost', trim_scale(later_cost)::text,
    'priced', priced, 'priced_prompt_tokens', priced_prompt_tokens, 'cost_squares', cost_squares::text,
    'cost_prompt_tokens', cost_prompt_tokens::text, 'prompt_tokens_squares', prompt_tokens_squares::text)
    order by currency) filter (where currency <> ''), '[]') as costs
from parts p
group by 1, 2, 3, 4, 5, 6, 7, 8
order by 1, 2, 3, 4, 5, 6, 7, 8
limit $16::integer

-- name: listUnpricedExecutions
-- What was billed and not priced, oldest first, past an id. $1 and $2 bound the start, $3 the page. The bill of an unknown
-- outcome is in what came of it later.
select e.id, e.provider, e.model, e.started_at, coalesce(l.outcome -> 'price', e.price) as price
  from ai_executions e
  left join ai_execution_late_outcomes l on l.execution_id = e.id and e.status = 'unknown'
 where e.started_at >= $1::timestamptz and e.started_at < $2::timestamptz and e.id > $3::uuid
   and e.cost is null and l.outcome ->> 'cost' is null and not e.simulated
   and coalesce(l.outcome -> 'price', e.price) ->> 'billed' is not null
   and not exists (select from execution_cost_backfills b where b.execution_id = e.id)
 order by e.id
 limit $4::integer

-- name: insertCostBackfill
insert into cost_backfills (since, until, actor, reason)
values ($1::timestamptz, $2::timestamptz, $3, $4)
returning id

-- name: insertBackfilledCosts
-- A cost that somebody else worked out meanwhile stays.
insert into execution_cost_backfills (execution_id, backfill_id, cost, currency, price)
select r.execution_id, r.backfill_id, r.cost, r.currency, r.price
  from json_to_recordset($1::text::json) as r (
    execution_id uuid, backfill_id bigint, cost numeric, currency text, price json
  )
 order by r.execution_id
on conflict do nothing
returning execution_id

-- name: findBackfilledCost
select b.cost, b.currency, b.price, b.created_at, r.actor, r.reason
  from execution_cost_backfills b join cost_backfills r on r.id = b.backfill_id
 where b.execution_id = $1::uuid
