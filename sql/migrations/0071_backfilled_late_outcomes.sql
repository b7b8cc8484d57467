-- A late outcome may come without a price: of a model that no list knew, say. A back-fill gives it one, as it does to a call
-- that settled.

create or replace function check_cost_backfill() returns trigger language plpgsql as $$
begin
  if not exists (
    select from ai_executions e left join ai_execution_late_outcomes l on l.execution_id = e.id
     where e.id = new.execution_id and e.cost is null and not e.simulated
       and (e.status <> 'unknown' or l.execution_id is not null and l.outcome ->> 'cost' is null)
  ) then
    raise exception 'execution % has a cost, or none can be known', new.execution_id using errcode = 'restrict_violation';
  end if;
  return new;
end $$;

create or replace function backfilled_outcome(b execution_cost_backfills) returns ai_executions language sql stable as $$
  select json_populate_record(null::ai_executions, json_build_object('cost', b.cost, 'currency', b.currency, 'prompt_tokens',
    (select l.outcome -> 'prompt_tokens' from ai_execution_late_outcomes l where l.execution_id = b.execution_id)))
$$;

-- As before; and the tokens of a back-fill, which has no status, are in the sums already: it brings them to be priced.
create or replace function later_fact(e ai_executions, o ai_executions) returns setof execution_fact language sql stable rows 1 as $$
  select date_trunc('hour', e.started_at at time zone 'UTC') at time zone 'UTC',
    case when found_no_version(e) then '' else e.prompt_name end,
    case when found_no_version(e) then 0 else coalesce(e.prompt_version, 0) end,
    case when found_no_version(e) then '' else coalesce(e.label, '') end, summed_model(e), coalesce(e.key_id, ''), e.purpose,
    e.status, case when o.cost is null then '' else o.currency end, 0,
    case when e.prompt_tokens is null and o.status is not null then coalesce(o.prompt_tokens, 0) else 0 end,
    case when e.completion_tokens is null then coalesce(o.completion_tokens, 0) else 0 end,
    case when e.cached_tokens is null then coalesce(o.cached_tokens, 0) else 0 end,
    case when e.cache_write_tokens is null then coalesce(o.cache_write_tokens, 0) else 0 end,
    case when e.reasoning_tokens is null then coalesce(o.reasoning_tokens, 0) else 0 end, coalesce(o.cost, 0), 0,
    (o.cost is not null and not e.simulated and json_array_length(e.attempts) > 0)::integer,
    o.cost is not null and coalesce(e.prompt_tokens, o.prompt_tokens) is not null,
    coalesce(e.prompt_tokens, o.prompt_tokens), 0, 0, null::integer
$$;
