-- That a webhook took what drift found, or that a probe failed. What is found by the clock and has no row here is told again by
-- a later run: whoever found it may have been stopped between its tries.

create table webhook_deliveries (
  -- As the receiver has it: drift_RUN, probe_RUN.
  event_id text primary key,
  taken_at timestamptz not null default clock_timestamp()
);
call make_append_only('webhook_deliveries', false);

create index probe_outcomes_failed on probe_outcomes (run_id) where outcome = 'failed';

-- What failed before this was kept is not told again.
insert into webhook_deliveries (event_id) select 'probe_' || run_id from probe_outcomes where outcome = 'failed';
