-- What executions cost, summed up: so that no question about cost, volume or latency reads the trail.
--
-- How the sums stay exact: whoever inserts an execution (or what became known of one later) leaves its id in
-- execution_rollup_pending, in the same statement. roll_up_executions takes ids out of there and adds what they stand for,
-- in one transaction. An id is there once and is taken once, whenever its transaction commits, so nothing has to be guessed
-- about the order of commits; a row that is late is only later.

-- Never written until now.
drop table execution_rollups;

-- A few bytes for many pages: rows come nearly in the order of their start.
create index ai_executions_started on ai_executions using brin (started_at) with (pages_per_range = 32);

-- kind: s settled, l late outcome, b cost from a back-fill. No index: it is read whole, from the front, and is nearly empty.
create table execution_rollup_pending (
  execution_id uuid not null,
  kind         "char" not null check (kind in ('s', 'l', 'b'))
)
with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_insert_threshold = -1);

create function note_settled_executions() returns trigger language plpgsql as $$
begin
  insert into execution_rollup_pending (execution_id, kind) select id, 's' from settled;
  return null;
end $$;
create trigger note_settled_executions after insert on ai_executions
  referencing new table as settled for each statement execute function note_settled_executions();

create function note_later_costs() returns trigger language plpgsql as $$
begin
  insert into execution_rollup_pending (execution_id, kind) select execution_id, tg_argv[0]::"char" from later;
  return null;
end $$;
create trigger note_later_costs after insert on ai_execution_late_outcomes
  referencing new table as later for each statement execute function note_later_costs('l');

-- One run of `promptgate costs backfill`.
create table cost_backfills (
  id         bigint generated always as identity primary key,
  -- Calls that started in [since, until).
  since      timestamptz not null,
  until      timestamptz not null,
  actor      text not null,
  reason     text not null,
  created_at timestamptz not null default clock_timestamp()
);
call make_append_only('cost_backfills', true);

-- What a call cost of which that was not known when it settled. Beside the execution, which never changes; a cost that was
-- known is never given another one.
create table execution_cost_backfills (
  execution_id uuid primary key,
  backfill_id  bigint not null references cost_backfills (id),
  cost         numeric not null,
  currency     text not null,
  price        json not null,
  created_at   timestamptz not null default clock_timestamp()
);
call make_append_only('execution_cost_backfills', false);

-- A late outcome says itself what an unknown call cost. The price is one that was worked out from what the row holds.
create function check_cost_backfill() returns trigger language plpgsql as $$
begin
  if not exists (select from ai_executions
                  where id = new.execution_id and cost is null and status <> 'unknown' and not simulated) then
    raise exception 'execution % has a cost, or none can be known', new.execution_id using errcode = 'restrict_violation';
  end if;
  return new;
end $$;
create trigger check_cost_backfill before insert on execution_cost_backfills
  for each row execute function check_cost_backfill();
create trigger note_later_costs after insert on execution_cost_backfills
  referencing new table as later for each statement execute function note_later_costs('b');

-- Upper bounds of the buckets of latency_histogram in ms, ten to a decade: a quantile is off by an eighth at most. The last
-- bucket has none.
create function latency_bounds_ms() returns double precision[] language sql immutable parallel safe as $$
  select array[
    1, 1.259, 1.585, 1.995, 2.512, 3.162, 3.981, 5.012, 6.31, 7.943, 10, 12.589, 15.849, 19.953, 25.119, 31.623,
    39.811, 50.119, 63.096, 79.433, 100, 125.893, 158.489, 199.526, 251.189, 316.228, 398.107, 501.187, 630.957,
    794.328, 1000, 1258.92, 1584.89, 1995.26, 2511.89, 3162.28, 3981.07, 5011.87, 6309.57, 7943.28, 10000, 12589.3,
    15848.9, 19952.6, 25118.9, 31622.8, 39810.7, 50118.7, 63095.7, 79432.8, 100000, 125893, 158489, 199526, 251189,
    316228, 398107, 501187, 630957, 794328, 1e+06
  ]::double precision[]
$$;

create function put_in_histogram(p_histogram bigint[], p_bucket integer, p_count bigint) returns bigint[]
language plpgsql immutable as $$
begin
  if p_bucket is not null then p_histogram[p_bucket] := p_histogram[p_bucket] + p_count; end if;
  return p_histogram;
end $$;
create aggregate histogram_of(integer, bigint) (
  sfunc = put_in_histogram, stype = bigint[], initcond = '{0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0}'
);

create function add_histograms(p_left bigint[], p_right bigint[]) returns bigint[] language sql immutable parallel safe as $$
  select array_agg(l + r order by i) from unnest(p_left, p_right) with ordinality as b (l, r, i)
$$;
create aggregate sum_histograms(bigint[]) (
  sfunc = add_histograms, stype = bigint[], initcond = '{0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0}'
);

-- p_quantile is 0 to 1; in ms, evenly between the bounds of its bucket on a scale of ratios. Null of nothing.
create function latency_quantile_ms(p_histogram bigint[], p_quantile double precision) returns double precision
language sql immutable parallel safe as $$
  with buckets as (
    select i::integer as i, n, sum(n) over (order by i) as upto, sum(n) over () as total
      from unnest(p_histogram) with ordinality as b (n, i)
  ), hit as (
    select *, (p_quantile * total - (upto - n)) / n as share
      from buckets where n > 0 and upto >= p_quantile * total order by i limit 1
  )
  select case
      when i = 1 then share * b[1]
      when i > array_length(b, 1) then b[array_length(b, 1)]
      else b[i - 1] * power(b[i] / b[i - 1], share)
    end
    from hit, (select latency_bounds_ms()) as bounds (b)
$$;

-- Sums of one hour. '' and 0 stand for "none": a key column cannot be null. Of executions whose cost is unknown the
-- currency is ''. Money is summed as numeric, latency as whole microseconds: both are exact in any order.
create table execution_rollups (
  hour                  timestamptz not null,
  prompt_name           text not null,
  prompt_version        integer not null,
  label                 text not null,
  model                 text not null,
  key_id                text not null,
  purpose               text not null,
  status                text not null,
  currency              text not null,
  executions            bigint not null,
  prompt_tokens         bigint not null,
  completion_tokens     bigint not null,
  cached_tokens         bigint not null,
  cache_write_tokens    bigint not null,
  reasoning_tokens      bigint not null,
  cost                  numeric not null,
  -- Calls that reached a provider, of which no cost was known when they settled; and of how many it became known later, by
  -- a late outcome or a back-fill, with what that added to cost.
  unknown_costs         bigint not null,
  later_costs           bigint not null,
  later_cost            numeric not null,
  -- For comparisons of versions: calls with known cost and prompt tokens, their prompt tokens, and sums of products.
  priced                bigint not null,
  priced_prompt_tokens  bigint not null,
  cost_squares          numeric not null,
  cost_prompt_tokens    numeric not null,
  prompt_tokens_squares numeric not null,
  attempts              bigint not null,
  latency_us            bigint not null,
  latency_histogram     bigint[] not null,
  primary key (hour, prompt_name, prompt_version, label, model, key_id, purpose, status, currency)
)
with (fillfactor = 80);

-- The same by day (UTC).
create table execution_rollups_daily (like execution_rollups);
alter table execution_rollups_daily rename column hour to day;
alter table execution_rollups_daily add primary key (day, prompt_name, prompt_version, label, model, key_id, purpose, status, currency);
alter table execution_rollups_daily set (fillfactor = 80);
create index execution_rollups_daily_prompt on execution_rollups_daily (prompt_name, day);

create type execution_fact as (
  hour timestamptz, prompt_name text, prompt_version integer, label text, model text, key_id text, purpose text,
  status text, currency text, executions integer, prompt_tokens bigint, completion_tokens bigint, cached_tokens bigint,
  cache_write_tokens bigint, reasoning_tokens bigint, cost numeric, unknown_costs integer, later_costs integer,
  priced boolean, priced_prompt_tokens bigint, attempts integer, latency_us bigint, bucket integer
);

-- The execution as it settled.
create function settled_fact(e ai_executions) returns setof execution_fact language sql stable rows 1 as $$
  select date_trunc('hour', e.started_at at time zone 'UTC') at time zone 'UTC', e.prompt_name,
    coalesce(e.prompt_version, 0), coalesce(e.label, ''), coalesce(e.model, ''), coalesce(e.key_id, ''), e.purpose,
    e.status, case when e.cost is null then '' else e.currency end, 1, coalesce(e.prompt_tokens, 0),
    coalesce(e.completion_tokens, 0), coalesce(e.cached_tokens, 0), coalesce(e.cache_write_tokens, 0),
    coalesce(e.reasoning_tokens, 0), coalesce(e.cost, 0),
    (e.cost is null and not e.simulated and json_array_length(e.attempts) > 0)::integer, 0,
    e.cost is not null and e.prompt_tokens is not null, e.prompt_tokens, json_array_length(e.attempts),
    round(e.latency_ms * 1000)::bigint, width_bucket(e.latency_ms, latency_bounds_ms()) + 1
$$;

-- What became known of it later: o holds the cost, and the tokens that were not known before.
create function later_fact(e ai_executions, o ai_executions) returns setof execution_fact language sql stable rows 1 as $$
  select date_trunc('hour', e.started_at at time zone 'UTC') at time zone 'UTC', e.prompt_name,
    coalesce(e.prompt_version, 0), coalesce(e.label, ''), coalesce(e.model, ''), coalesce(e.key_id, ''), e.purpose,
    e.status, case when o.cost is null then '' else o.currency end, 0,
    case when e.prompt_tokens is null then coalesce(o.prompt_tokens, 0) else 0 end,
    case when e.completion_tokens is null then coalesce(o.completion_tokens, 0) else 0 end,
    case when e.cached_tokens is null then coalesce(o.cached_tokens, 0) else 0 end,
    case when e.cache_write_tokens is null then coalesce(o.cache_write_tokens, 0) else 0 end,
    case when e.reasoning_tokens is null then coalesce(o.reasoning_tokens, 0) else 0 end, coalesce(o.cost, 0), 0,
    (o.cost is not null and not e.simulated and json_array_length(e.attempts) > 0)::integer,
    o.cost is not null and coalesce(e.prompt_tokens, o.prompt_tokens) is not null,
    coalesce(e.prompt_tokens, o.prompt_tokens), 0, 0, null::integer
$$;

create function backfilled_outcome(b execution_cost_backfills) returns ai_executions language sql stable as $$
  select json_populate_record(null::ai_executions, json_build_object('cost', b.cost, 'currency', b.currency))
$$;

-- What an execution with a cost of its own has in a late outcome or a back-fill is not added to it.
create view execution_facts as
  select 's'::"char" as kind, e.id, f.* from ai_executions e cross join lateral settled_fact(e) f
  union all
  select 'l', e.id, f.*
    from ai_execution_late_outcomes l
    join ai_executions e on e.id = l.execution_id and e.cost is null
    cross join lateral json_populate_record(null::ai_executions, l.outcome) o
    cross join lateral later_fact(e, o) f
  union all
  select 'b', e.id, f.*
    from execution_cost_backfills b
    join ai_executions e on e.id = b.execution_id and e.cost is null
    cross join lateral backfilled_outcome(b) o
    cross join lateral later_fact(e, o) f;


-- Takes at most p_limit ids and adds what they stand for. Null: another process is at it.
create function roll_up_executions(p_limit integer) returns integer language plpgsql
set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
declare
  v_taken integer;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('promptgate.rollups', 0)) then return null; end if;
  with taken as materialized (
    delete from execution_rollup_pending
     where ctid = any (array(select ctid from execution_rollup_pending limit p_limit))
    returning execution_id, kind
  ), facts as (
    select f.* from taken t join ai_executions e on e.id = t.execution_id cross join lateral settled_fact(e) f
     where t.kind = 's'
    union all
    select f.*
      from taken t
      join ai_execution_late_outcomes l on l.execution_id = t.execution_id
      join ai_executions e on e.id = l.execution_id and e.cost is null
      cross join lateral json_populate_record(null::ai_executions, l.outcome) o
      cross join lateral later_fact(e, o) f
     where t.kind = 'l'
    union all
    select f.*
      from taken t
      join execution_cost_backfills b on b.execution_id = t.execution_id
      join ai_executions e on e.id = b.execution_id and e.cost is null
      cross join lateral backfilled_outcome(b) o
      cross join lateral later_fact(e, o) f
     where t.kind = 'b'
  ), buckets as (
    select hour, prompt_name, prompt_version, label, model, key_id, purpose, status, currency, bucket,
      sum(executions)::bigint as executions, sum(prompt_tokens) as prompt_tokens,
      sum(completion_tokens) as completion_tokens, sum(cached_tokens) as cached_tokens,
      sum(cache_write_tokens) as cache_write_tokens, sum(reasoning_tokens) as reasoning_tokens, sum(cost) as cost,
      sum(unknown_costs) as unknown_costs, sum(later_costs) as later_costs,
      coalesce(sum(cost) filter (where later_costs > 0), 0) as later_cost,
      count(*) filter (where priced) as priced,
      coalesce(sum(priced_prompt_tokens) filter (where priced), 0) as priced_prompt_tokens,
      coalesce(sum(cost * cost) filter (where priced), 0) as cost_squares,
      coalesce(sum(cost * priced_prompt_tokens) filter (where priced), 0) as cost_prompt_tokens,
      coalesce(sum(priced_prompt_tokens::numeric * priced_prompt_tokens) filter (where priced), 0) as prompt_tokens_squares,
      sum(attempts) as attempts, sum(latency_us) as latency_us
      from facts group by hour, prompt_name, prompt_version, label, model, key_id, purpose, status, currency, bucket
  ), cells as (
    select hour, prompt_name, prompt_version, label, model, key_id, purpose, status, currency,
      sum(executions) as executions, sum(prompt_tokens) as prompt_tokens,
      sum(completion_tokens) as completion_tokens, sum(cached_tokens) as cached_tokens,
      sum(cache_write_tokens) as cache_write_tokens, sum(reasoning_tokens) as reasoning_tokens, sum(cost) as cost,
      sum(unknown_costs) as unknown_costs, sum(later_costs) as later_costs, sum(later_cost) as later_cost,
      sum(priced) as priced, sum(priced_prompt_tokens) as priced_prompt_tokens, sum(cost_squares) as cost_squares,
      sum(cost_prompt_tokens) as cost_prompt_tokens, sum(prompt_tokens_squares) as prompt_tokens_squares,
      sum(attempts) as attempts, sum(latency_us) as latency_us,
      histogram_of(bucket, executions) as latency_histogram
      from buckets group by hour, prompt_name, prompt_version, label, model, key_id, purpose, status, currency
  ), hourly as (
    insert into execution_rollups as h (
      hour, prompt_name, prompt_version, label, model, key_id, purpose, status, currency,
      executions, prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, cost,
      unknown_costs, later_costs, later_cost, priced, priced_prompt_tokens, cost_squares, cost_prompt_tokens,
      prompt_tokens_squares, attempts, latency_us, latency_histogram
    )
    select hour, prompt_name, prompt_version, label, model, key_id, purpose, status, currency,
      executions, prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, cost,
      unknown_costs, later_costs, later_cost, priced, priced_prompt_tokens, cost_squares, cost_prompt_tokens,
      prompt_tokens_squares, attempts, latency_us, latency_histogram
      from cells
    on conflict (hour, prompt_name, prompt_version, label, model, key_id, purpose, status, currency) do update set
      executions = h.executions + excluded.executions,
      prompt_tokens = h.prompt_tokens + excluded.prompt_tokens,
      completion_tokens = h.completion_tokens + excluded.completion_tokens,
      cached_tokens = h.cached_tokens + excluded.cached_tokens,
      cache_write_tokens = h.cache_write_tokens + excluded.cache_write_tokens,
      reasoning_tokens = h.reasoning_tokens + excluded.reasoning_tokens,
      cost = h.cost + excluded.cost,
      unknown_costs = h.unknown_costs + excluded.unknown_costs,
      later_costs = h.later_costs + excluded.later_costs,
      later_cost = h.later_cost + excluded.later_cost,
      priced = h.priced + excluded.priced,
      priced_prompt_tokens = h.priced_prompt_tokens + excluded.priced_prompt_tokens,
      cost_squares = h.cost_squares + excluded.cost_squares,
      cost_prompt_tokens = h.cost_prompt_tokens + excluded.cost_prompt_tokens,
      prompt_tokens_squares = h.prompt_tokens_squares + excluded.prompt_tokens_squares,
      attempts = h.attempts + excluded.attempts,
      latency_us = h.latency_us + excluded.latency_us,
      latency_histogram = add_histograms(h.latency_histogram, excluded.latency_histogram)
  ), daily as (
    insert into execution_rollups_daily as d (
      day, prompt_name, prompt_version, label, model, key_id, purpose, status, currency,
      executions, prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, cost,
      unknown_costs, later_costs, later_cost, priced, priced_prompt_tokens, cost_squares, cost_prompt_tokens,
      prompt_tokens_squares, attempts, latency_us, latency_histogram
    )
    select date_trunc('day', hour at time zone 'UTC') at time zone 'UTC', prompt_name, prompt_version, label, model, key_id, purpose, status, currency,
      sum(executions), sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens), sum(cache_write_tokens),
      sum(reasoning_tokens), sum(cost), sum(unknown_costs), sum(later_costs), sum(later_cost), sum(priced),
      sum(priced_prompt_tokens), sum(cost_squares), sum(cost_prompt_tokens), sum(prompt_tokens_squares),
      sum(attempts), sum(latency_us), sum_histograms(latency_histogram)
      from cells group by 1, prompt_name, prompt_version, label, model, key_id, purpose, status, currency
    on conflict (day, prompt_name, prompt_version, label, model, key_id, purpose, status, currency) do update set
      executions = d.executions + excluded.executions,
      prompt_tokens = d.prompt_tokens + excluded.prompt_tokens,
      completion_tokens = d.completion_tokens + excluded.completion_tokens,
      cached_tokens = d.cached_tokens + excluded.cached_tokens,
      cache_write_tokens = d.cache_write_tokens + excluded.cache_write_tokens,
      reasoning_tokens = d.reasoning_tokens + excluded.reasoning_tokens,
      cost = d.cost + excluded.cost,
      unknown_costs = d.unknown_costs + excluded.unknown_costs,
      later_costs = d.later_costs + excluded.later_costs,
      later_cost = d.later_cost + excluded.later_cost,
      priced = d.priced + excluded.priced,
      priced_prompt_tokens = d.priced_prompt_tokens + excluded.priced_prompt_tokens,
      cost_squares = d.cost_squares + excluded.cost_squares,
      cost_prompt_tokens = d.cost_prompt_tokens + excluded.cost_prompt_tokens,
      prompt_tokens_squares = d.prompt_tokens_squares + excluded.prompt_tokens_squares,
      attempts = d.attempts + excluded.attempts,
      latency_us = d.latency_us + excluded.latency_us,
      latency_histogram = add_histograms(d.latency_histogram, excluded.latency_histogram)
  )
  select count(*) into v_taken from taken;
  return v_taken;
end $$;

-- Sums the hours of [p_since, p_until) anew, in one transaction that readers see whole. What is visible to the statement
-- that queues the executions is queued once; what commits later has queued itself. A dropped month keeps its sums: it
-- cannot be summed again.
create function rebuild_execution_rollups(p_since timestamptz, p_until timestamptz) returns bigint language plpgsql as $$
declare
  v_since timestamptz := date_trunc('hour', p_since at time zone 'UTC') at time zone 'UTC';
  v_until timestamptz := date_trunc('hour', p_until at time zone 'UTC') at time zone 'UTC';
  v_day timestamptz := date_trunc('day', v_since at time zone 'UTC') at time zone 'UTC';
  v_queued bigint;
begin
  if v_until < p_until then v_until := v_until + interval '1 hour'; end if;
  if exists (
    select from generate_series(date_trunc('month', v_since at time zone 'UTC'),
                                (v_until - interval '1 microsecond') at time zone 'UTC', interval '1 month') m
      join audit_retentions r on r.partition = 'ai_executions_' || to_char(m, 'YYYY_MM')
  ) then
    raise exception 'a month of these hours was dropped: its sums are all that is left of it'
      using errcode = 'restrict_violation';
  end if;
  perform pg_advisory_xact_lock(hashtextextended('promptgate.rollups', 0));
  delete from execution_rollups where hour >= v_since and hour < v_until;
  with found as materialized (
    select id from ai_executions
     where started_at >= v_since and started_at < v_until
  ), gone as (
    delete from execution_rollup_pending where execution_id in (select id from found)
  ), queued as (
    insert into execution_rollup_pending (execution_id, kind)
    select id, 's'::"char" from found
    union all
    select execution_id, 'l' from ai_execution_late_outcomes where execution_id in (select id from found)
    union all
    select execution_id, 'b' from execution_cost_backfills where execution_id in (select id from found)
    returning 1
  )
  select count(*) into v_queued from queued;
  loop
    exit when roll_up_executions(5000) = 0;
  end loop;
  delete from execution_rollups_daily where day >= v_day and day < v_until;
  insert into execution_rollups_daily (
    day, prompt_name, prompt_version, label, model, key_id, purpose, status, currency,
    executions, prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, cost,
    unknown_costs, later_costs, later_cost, priced, priced_prompt_tokens, cost_squares, cost_prompt_tokens,
    prompt_tokens_squares, attempts, latency_us, latency_histogram
  )
  select date_trunc('day', hour at time zone 'UTC') at time zone 'UTC', prompt_name, prompt_version, label, model, key_id, purpose, status, currency,
    sum(executions), sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens), sum(cache_write_tokens),
    sum(reasoning_tokens), sum(cost), sum(unknown_costs), sum(later_costs), sum(later_cost), sum(priced),
    sum(priced_prompt_tokens), sum(cost_squares), sum(cost_prompt_tokens), sum(prompt_tokens_squares),
    sum(attempts), sum(latency_us), sum_histograms(latency_histogram)
    from execution_rollups
   where hour >= v_day and hour < date_trunc('day', (v_until - interval '1 microsecond') at time zone 'UTC') at time zone 'UTC' + interval '1 day'
   group by 1, prompt_name, prompt_version, label, model, key_id, purpose, status, currency;
  return v_queued;
end $$;

-- As before, and what is to be dropped is summed first. The lock of the rollups comes before that of the table: whoever
-- sums up now holds the one and wants to read the other.
create or replace function drop_execution_partitions(p_months_kept integer, p_actor text) returns setof audit_retentions
language plpgsql set lock_timeout = '2s' as $$
declare
  v_first_kept text;
  v_partition record;
  v_retention audit_retentions;
begin
  if p_months_kept is null or p_months_kept < 1 then
    raise exception 'retention refused: the current month and the one before it are never dropped'
      using errcode = 'restrict_violation';
  end if;
  v_first_kept := 'ai_executions_' || to_char(
    date_trunc('month', now() at time zone 'UTC') - make_interval(months => p_months_kept), 'YYYY_MM');
  for v_partition in
    select c.relname, c.reltuples from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'ai_executions'::regclass
       and c.relname ~ '^ai_executions_\d{4}_\d{2}$' and c.relname < v_first_kept
     order by c.relname
  loop
    perform pg_advisory_xact_lock(hashtextextended('promptgate.rollups', 0));
    execute format('lock table %I in access exclusive mode', v_partition.relname);
    loop
      exit when roll_up_executions(5000) = 0;
    end loop;
    execute format('drop table %I', v_partition.relname);
    insert into audit_retentions (partition, months_kept, rows_estimated, actor)
    values (v_partition.relname, p_months_kept, greatest(v_partition.reltuples, 0)::bigint, p_actor)
    returning * into v_retention;
    return next v_retention;
  end loop;
end $$;

insert into execution_rollup_pending (execution_id, kind)
select id, 's'::"char" from ai_executions
union all
select execution_id, 'l' from ai_execution_late_outcomes;
