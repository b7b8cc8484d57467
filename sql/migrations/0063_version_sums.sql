-- What versions cost by day, without label, model, key, purpose and status: some rows for each version and day, however many
-- keys call it. That is what is asked most, over the longest time.
--
-- Whatever is done to the sums of days is done to these, in the same statement: nobody has to think of both.

create table execution_rollups_daily_versions (
  day                   timestamptz not null,
  prompt_name           text not null,
  prompt_version        integer not null,
  currency              text not null,
  executions            bigint not null,
  succeeded             bigint not null,
  prompt_tokens         bigint not null,
  completion_tokens     bigint not null,
  cached_tokens         bigint not null,
  cache_write_tokens    bigint not null,
  reasoning_tokens      bigint not null,
  cost                  numeric not null,
  unknown_costs         bigint not null,
  later_costs           bigint not null,
  later_cost            numeric not null,
  priced                bigint not null,
  priced_prompt_tokens  bigint not null,
  cost_squares          numeric not null,
  cost_prompt_tokens    numeric not null,
  prompt_tokens_squares numeric not null,
  attempts              bigint not null,
  latency_us            bigint not null,
  primary key (day, prompt_name, prompt_version, currency)
)
with (fillfactor = 70);
create index execution_rollups_daily_versions_prompt on execution_rollups_daily_versions (prompt_name, day);

-- The rows before (taken away) and after (added), whichever of the two a statement has.
create function keep_version_sums() returns trigger language plpgsql as $$
declare
  v_changes text := case tg_op
    when 'INSERT' then 'select 1 as n, a.* from after_rows a'
    when 'DELETE' then 'select -1 as n, b.* from before_rows b'
    else 'select 1 as n, a.* from after_rows a union all select -1, b.* from before_rows b' end;
begin
  execute format('
    insert into execution_rollups_daily_versions as v
    select day, prompt_name, prompt_version, currency, sum(n * executions),
      coalesce(sum(n * executions) filter (where status = ''succeeded''), 0), sum(n * prompt_tokens),
      sum(n * completion_tokens), sum(n * cached_tokens), sum(n * cache_write_tokens), sum(n * reasoning_tokens),
      sum(n * cost), sum(n * unknown_costs), sum(n * later_costs), sum(n * later_cost), sum(n * priced),
      sum(n * priced_prompt_tokens), sum(n * cost_squares), sum(n * cost_prompt_tokens), sum(n * prompt_tokens_squares),
      sum(n * attempts), sum(n * latency_us)
      from (%s) changes
     group by day, prompt_name, prompt_version, currency
     order by day, prompt_name, prompt_version, currency
    on conflict (day, prompt_name, prompt_version, currency) do update set
      executions = v.executions + excluded.executions,
      succeeded = v.succeeded + excluded.succeeded,
      prompt_tokens = v.prompt_tokens + excluded.prompt_tokens,
      completion_tokens = v.completion_tokens + excluded.completion_tokens,
      cached_tokens = v.cached_tokens + excluded.cached_tokens,
      cache_write_tokens = v.cache_write_tokens + excluded.cache_write_tokens,
      reasoning_tokens = v.reasoning_tokens + excluded.reasoning_tokens,
      cost = v.cost + excluded.cost,
      unknown_costs = v.unknown_costs + excluded.unknown_costs,
      later_costs = v.later_costs + excluded.later_costs,
      later_cost = v.later_cost + excluded.later_cost,
      priced = v.priced + excluded.priced,
      priced_prompt_tokens = v.priced_prompt_tokens + excluded.priced_prompt_tokens,
      cost_squares = v.cost_squares + excluded.cost_squares,
      cost_prompt_tokens = v.cost_prompt_tokens + excluded.cost_prompt_tokens,
      prompt_tokens_squares = v.prompt_tokens_squares + excluded.prompt_tokens_squares,
      attempts = v.attempts + excluded.attempts,
      latency_us = v.latency_us + excluded.latency_us', v_changes);
  return null;
end $$;
create trigger keep_version_sums_inserted after insert on execution_rollups_daily
  referencing new table as after_rows for each statement execute function keep_version_sums();
create trigger keep_version_sums_updated after update on execution_rollups_daily
  referencing old table as before_rows new table as after_rows for each statement execute function keep_version_sums();
create trigger keep_version_sums_deleted after delete on execution_rollups_daily
  referencing old table as before_rows for each statement execute function keep_version_sums();

-- The triggers let no other sums in until this commits.
insert into execution_rollups_daily_versions
select day, prompt_name, prompt_version, currency, sum(executions),
  coalesce(sum(executions) filter (where status = 'succeeded'), 0), sum(prompt_tokens), sum(completion_tokens),
  sum(cached_tokens), sum(cache_write_tokens), sum(reasoning_tokens), sum(cost), sum(unknown_costs), sum(later_costs),
  sum(later_cost), sum(priced), sum(priced_prompt_tokens), sum(cost_squares), sum(cost_prompt_tokens),
  sum(prompt_tokens_squares), sum(attempts), sum(latency_us)
  from execution_rollups_daily
 group by day, prompt_name, prompt_version, currency;
