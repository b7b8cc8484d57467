-- Sums by what is known, not by what was sent: a name that somebody made up is a row of the trail and no row of the sums.
--
-- A call that was refused before a version was found has prompt, version and label as they were sent; whoever has a key can
-- send as many of them as he likes, and each would be a row in three tables for good. They are summed as a call without a
-- prompt. Whether a name is one of the registry is not asked: then a key that may not see a prompt could tell from its own
-- costs whether there is one.
--
-- Nothing is summed anew here: rebuild_execution_rollups folds what was summed before.

-- A draft that was run has no version either, but its calls were made: it keeps its name.
create function found_no_version(e ai_executions) returns boolean language sql immutable parallel safe as $$
  select e.prompt_version_id is null and json_array_length(e.attempts) = 0
$$;

-- Who brings a model of his own can make one up. It has proven itself when it answered, or when nobody knows.
create function summed_model(e ai_executions) returns text language sql immutable parallel safe as $$
  select case
      when (e.prompt_version_id is null or e.purpose = 'replay') and e.usage_source = 'none'
        and e.status in ('refused', 'failed', 'cancelled') then ''
      else coalesce(e.model, '')
    end
$$;

-- Without a request to a provider there is no latency of one, and that of an unknown outcome is not known: its row says 0.
create function has_latency(e ai_executions) returns boolean language sql immutable parallel safe as $$
  select json_array_length(e.attempts) > 0 and e.status <> 'unknown'
$$;

-- The execution as it settled.
create or replace function settled_fact(e ai_executions) returns setof execution_fact language sql stable rows 1 as $$
  select date_trunc('hour', e.started_at at time zone 'UTC') at time zone 'UTC',
    case when found_no_version(e) then '' else e.prompt_name end,
    case when found_no_version(e) then 0 else coalesce(e.prompt_version, 0) end,
    case when found_no_version(e) then '' else coalesce(e.label, '') end, summed_model(e), coalesce(e.key_id, ''), e.purpose,
    e.status, case when e.cost is null then '' else e.currency end, 1, coalesce(e.prompt_tokens, 0),
    coalesce(e.completion_tokens, 0), coalesce(e.cached_tokens, 0), coalesce(e.cache_write_tokens, 0),
    coalesce(e.reasoning_tokens, 0), coalesce(e.cost, 0),
    (e.cost is null and not e.simulated and json_array_length(e.attempts) > 0)::integer, 0,
    e.cost is not null and e.prompt_tokens is not null, e.prompt_tokens, json_array_length(e.attempts),
    case when has_latency(e) then round(e.latency_ms * 1000)::bigint else 0 end,
    case when has_latency(e) then width_bucket(e.latency_ms, latency_bounds_ms()) + 1 end
$$;

-- What became known of it later: o holds the cost, and the tokens that were not known before.
create or replace function later_fact(e ai_executions, o ai_executions) returns setof execution_fact language sql stable rows 1 as $$
  select date_trunc('hour', e.started_at at time zone 'UTC') at time zone 'UTC',
    case when found_no_version(e) then '' else e.prompt_name end,
    case when found_no_version(e) then 0 else coalesce(e.prompt_version, 0) end,
    case when found_no_version(e) then '' else coalesce(e.label, '') end, summed_model(e), coalesce(e.key_id, ''), e.purpose,
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
