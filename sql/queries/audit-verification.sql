-- The invariants of the audit trail as questions: each answers with what breaks it. A row is a subject for a person to
-- look at; total counts all of them. $1, where it is used, is the smallest execution id to look at.

-- name: verifyExpiredIntents
-- A call that is in flight belongs to a gateway that lives; recovery has had a minute for the others.
select i.id::text as subject, count(*) over ()::integer as total
  from ai_execution_intents i
  left join gateway_instances g on g.id = i.gateway_id
 where i.created_at < clock_timestamp() - interval '1 minute'
   and case when i.gateway_id is null then i.created_at < clock_timestamp() - interval '20 minutes'
            else g.id is null or g.lease_expires_at < clock_timestamp() - interval '1 minute' end
 order by 1 limit 20

-- name: verifySettledIntents
-- An intent and its outcome never coexist for longer than recovery takes to notice a connection that was given up.
select i.id::text as subject, count(*) over ()::integer as total
  from ai_execution_intents i join ai_executions e on e.id = i.id
 where e.created_at < clock_timestamp() - interval '1 minute'
 order by 1 limit 20

-- name: verifyResponseHashes
-- Reads every output. An output that had to be normalised keeps the hash of the original, which is not here; a part of an
-- output has none.
select id::text as subject, count(*) over ()::integer as total
  from ai_executions
 where id >= $1::uuid and raw_output is not null and not output_normalised
   and (status = 'succeeded' or response_hash is not null)
   and response_hash is distinct from encode(sha256(convert_to(raw_output, 'UTF8')), 'hex')
 order by 1 limit 20

-- name: verifyAttempts
-- Whoever has an answer, or may have one, has made a request; attempts are numbered from 1 without gaps.
select id::text as subject, count(*) over ()::integer as total
  from ai_executions
 where id >= $1::uuid
   and (status in ('succeeded', 'unknown') and json_array_length(attempts) = 0
     or exists (select from json_array_elements(attempts) with ordinality as a (value, position)
                 where (a.value ->> 'number')::integer <> a.position))
 order by 1 limit 20

-- name: verifyLateOutcomes
-- Something came late only where the outcome is unknown.
select l.execution_id::text as subject, count(*) over ()::integer as total
  from ai_execution_late_outcomes l join ai_executions e on e.id = l.execution_id
 where e.id >= $1::uuid and e.status <> 'unknown'
 order by 1 limit 20

-- name: verifyClaims
-- A claim belongs to an execution that is in flight or has ended.
select k.scope || ' ' || k.key as subject, count(*) over ()::integer as total
  from idempotency_keys k
 where k.created_at < clock_timestamp() - interval '1 minute'
   and not exists (select from ai_execution_intents i where i.id = k.execution_id)
   and not exists (select from ai_executions e where e.id = k.execution_id)
 order by 1 limit 20

-- name: verifyLedger
-- Each deployment begins where the one before it, of the same label, ended.
select prompt_name || ' ' || label || ' #' || id as subject, count(*) over ()::integer as total
  from (select *, lag(to_version) over (partition by prompt_name, label order by id) as held from prompt_deployments) d
 where from_version is distinct from held
 order by 1 limit 20

-- name: verifyLabels
-- Each label points where its latest deployment says.
select l.prompt_name || ' ' || l.label as subject, count(*) over ()::integer as total
  from prompt_labels l
  left join lateral (
    select id, to_version from prompt_deployments d
     where d.prompt_name = l.prompt_name and d.label = l.label order by id desc limit 1
  ) d on true
 where (d.id, d.to_version) is distinct from (l.deployment_id, l.version)
 order by 1 limit 20

-- name: verifyTriggers
-- The guards that refuse changes are in force, also on every month.
select subject, count(*) over ()::integer as total from (
  select tgrelid::regclass || ' ' || tgname as subject from pg_trigger where not tgisinternal and tgenabled = 'D'
  union all
  select i.inhrelid::regclass || ' refuse_change' from pg_inherits i
   where i.inhparent = 'ai_executions'::regclass
     and not exists (select from pg_trigger t where t.tgrelid = i.inhrelid and t.tgname = 'refuse_change')
) s
 order by 1 limit 20
