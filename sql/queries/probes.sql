-- Queries on probes, probe_runs and probe_outcomes.

-- name: listProbes
-- The latest fact of each subject; without a schedule there is no probe any more.
select * from (
  select distinct on (prompt_name, suite) * from probes order by prompt_name, suite, id desc
) latest
 where schedule is not null
 order by prompt_name, suite

-- name: findProbe
select * from (
  select * from probes where prompt_name = $1 and suite = $2 order by id desc limit 1
) latest
 where schedule is not null

-- name: insertProbe
insert into probes (prompt_name, suite, label, schedule, budget, daily_budget, on_failure, git_commit, actor)
values ($1, $2, $3, $4, $5::text::numeric, $6::text::numeric, $7, $8, $9)

-- name: insertProbeRun
-- Of one time there is one run: whoever comes second goes on with it.
insert into probe_runs
  (run_id, prompt_name, suite, probe_id, due_at, label, version, deployment_id, suite_checksum, actor)
values ($1::uuid, $2, $3, $4::bigint, $5::timestamptz, $6, $7::integer, $8::bigint, $9, $10)
on conflict (prompt_name, suite, due_at) do nothing
returning *

-- name: findProbeRun
select * from probe_runs where prompt_name = $1 and suite = $2 and due_at = $3::timestamptz

-- name: findProbeOutcome
select * from probe_outcomes where run_id = $1::uuid

-- name: sumProbeDay
select coalesce(sum(coalesce(o.cost, p.budget)), 0)::text as spent
  from probe_runs r
  join probes p on p.id = r.probe_id
  left join probe_outcomes o on o.run_id = r.run_id
 where r.prompt_name = $1 and r.suite = $2 and r.run_id <> $3::uuid
   and r.created_at >= date_trunc('day', clock_timestamp() at time zone 'UTC') at time zone 'UTC'

-- name: insertProbeOutcome
-- Once for each run: of two that went on with it the first has told.
insert into probe_outcomes (run_id, outcome, reasons, failures, case_count, trial_count, passed_count, call_count, simulated,
  cost, currency, rollback_deployment_id, rollback_refusal)
values ($1::uuid, $2, $3::text::json, $4::text::json, $5::integer, $6::integer, $7::integer, $8::integer, $9::boolean,
  $10::text::numeric, $11, $12::bigint, $13)
on conflict (run_id) do nothing
returning run_id

-- name: findLastProbeRun
select * from probe_runs where prompt_name = $1 and suite = $2 order by created_at desc limit 1

-- name: listUntakenProbeRuns
-- Runs of the week that failed more than $1 seconds ago, of which nobody is known to have taken it. Through the failed ones only.
select r.*
  from probe_outcomes o
  join probe_runs r on r.run_id = o.run_id
 where o.outcome = 'failed' and o.run_id >= execution_id_at(now() - interval '7 days')
   and o.created_at <= now() - make_interval(secs => $1::double precision)
   and not exists (select from webhook_deliveries d where d.event_id = 'probe_' || o.run_id)
 order by o.run_id
 limit 100
