-- Queries of drift: samples out of the trail, and what was found in them.

-- name: sampleDrift
-- Calls and probes of one prompt ($1) in [$2, $3) that reached a provider: of each of $4 slices of the time the newest $5,
-- so that what is read is bounded and every hour has its share. Each slice walks (prompt_name, id). Of a long output only
-- the beginning is read.
with slices as (
  select $2::timestamptz + i * (($3::timestamptz - $2::timestamptz) / $4::integer) as since,
         $2::timestamptz + (i + 1) * (($3::timestamptz - $2::timestamptz) / $4::integer) as until
    from generate_series(0, $4::integer - 1) i
)
select e.id, e.prompt_name, e.prompt_version, e.purpose, e.simulated, e.provider, e.model, e.started_at, e.status,
       e.error_code, e.variables_hash, e.rendered_hash, e.parameters, e.response_hash, e.response_model,
       e.system_fingerprint, e.finish_reason, e.prompt_tokens, e.completion_tokens, e.latency_ms,
       e.cost::double precision as cost, e.currency, e.price,
       length(e.raw_output) as output_length, octet_length(e.raw_output) <= 65536 as whole,
       case when octet_length(e.raw_output) <= 65536 then e.raw_output else left(e.raw_output, 2000) end as output
  from slices
  cross join lateral (
    select * from ai_executions
     where prompt_name = $1
       and id >= execution_id_at(slices.since) and id < execution_id_at(slices.until)
       and purpose in ('call', 'probe') and status in ('succeeded', 'failed')
       and prompt_version is not null and provider is not null and model is not null
       and json_array_length(attempts) > 0
     order by id desc
     limit $5::integer
  ) e

-- name: insertDriftRun
-- Of one time there is one run: who comes second inserts nothing.
insert into drift_runs (id, actor, prompt_name, baseline_since, since, until, tests, compared, due_at)
values ($1::uuid, $2, $3, $4::timestamptz, $5::timestamptz, $6::timestamptz, $7::integer, $8::text::json,
  $9::timestamptz)
on conflict (due_at) do nothing
returning id

-- name: insertDriftFindings
-- $2: findings as a json array. One is known if the last run of the week before that compared its subject found it too, and
-- of a model or a price the same one. A schedule goes by its own runs: what somebody looked at by hand is no reason to be
-- silent. Runs are walked from the newest, by the time in their ids, as far as the first that compared it; one that had too
-- few executions for a test has not, unless it found it.
insert into drift_findings (
  run_id, prompt_name, prompt_version, purpose, simulated, provider, model, detector, measure, p_value, corrected_p,
  effect, baseline_count, now_count, before, after, evidence_before, evidence_after, new_values, known_since
)
select run.id, r.prompt_name, r.prompt_version, r.purpose, r.simulated, r.provider, r.model, r.detector, r.measure,
       r.p_value, r.corrected_p, r.effect, r.baseline_count, r.now_count, r.before, r.after, r.evidence_before,
       r.evidence_after, r.new_values, known.since
  from drift_runs run
  cross join json_to_recordset($2::text::json) as r (
    prompt_name text, prompt_version integer, purpose text, simulated boolean, provider text, model text, detector text,
    measure text, p_value double precision, corrected_p double precision, effect double precision,
    baseline_count integer, now_count integer, before text, after text, evidence_before uuid, evidence_after uuid,
    new_values text[]
  )
  left join lateral (
    select e.id
      from drift_runs e
      cross join lateral json_to_recordset(e.compared) as c (
        "promptName" text, "promptVersion" integer, purpose text, simulated boolean, provider text, model text,
        "baselineCount" integer, "nowCount" integer, note text
      )
     where e.id < run.id and e.id >= execution_id_at(now() - interval '7 days')
       and (e.prompt_name is null or e.prompt_name = r.prompt_name)
       and (run.actor not like 'schedule:%' or e.actor = run.actor)
       and (c."promptName", c."promptVersion", c.purpose, c.simulated, c.provider, c.model)
         = (r.prompt_name, r.prompt_version, r.purpose, r.simulated, r.provider, r.model)
       and c."baselineCount" > 0 and c."nowCount" > 0
       and (r.p_value is null or c.note is null or exists (
         select from drift_findings f
          where f.run_id = e.id and (f.prompt_name, f.prompt_version, f.purpose, f.simulated, f.provider, f.model, f.measure)
            = (r.prompt_name, r.prompt_version, r.purpose, r.simulated, r.provider, r.model, r.measure)
       ))
     order by e.id desc
     limit 1
  ) earlier on true
  left join lateral (
    select coalesce(f.known_since, f.created_at) as since
      from drift_findings f
     where f.run_id = earlier.id
       and (f.prompt_name, f.prompt_version, f.purpose, f.simulated, f.provider, f.model, f.measure)
         = (r.prompt_name, r.prompt_version, r.purpose, r.simulated, r.provider, r.model, r.measure)
       and (r.new_values is null or r.new_values <@ f.new_values)
     limit 1
  ) known on true
 where run.id = $1::uuid
returning *

-- name: listDriftFindings
-- Newest first, before the id $3; of one prompt it walks (prompt_name, id).
select * from drift_findings
 where ($1::text is null or prompt_name = $1)
   and ($2::timestamptz is null or created_at >= $2)
   and ($3::bigint is null or id < $3)
 order by id desc
 limit $4::integer

-- name: listUntakenDriftRuns
-- Runs of the week by the clock, older than $1 seconds, whose news nobody is known to have taken.
select r.*
  from drift_runs r
 where r.id >= execution_id_at(now() - interval '7 days')
   and r.created_at <= now() - make_interval(secs => $1::double precision)
   and r.due_at is not null
   and exists (select from drift_findings f where f.run_id = r.id and f.known_since is null)
   and not exists (select from webhook_deliveries d where d.event_id = 'drift_' || r.id)
 order by r.id
 limit 100

-- name: listDriftFindingsOfRun
select * from drift_findings where run_id = $1::uuid order by id
