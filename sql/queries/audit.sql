-- Queries that keep the audit trail complete: leases, recovery, late outcomes, idempotency claims, retention.

-- name: renewGatewayLease
-- Every few seconds, one row per gateway; database time alone. Also brings back a row that was given up.
insert into gateway_instances (id, host, pid, lease_expires_at)
values ($1::uuid, $2, $3::integer, clock_timestamp() + make_interval(secs => $4::double precision))
on conflict (id) do update set lease_expires_at = excluded.lease_expires_at

-- name: endGatewayLease
-- A clean stop: whatever is left of this gateway may be recovered at once.
delete from gateway_instances where id = $1::uuid

-- name: forgetGateways
-- Rows of gateways that are long gone; what they left has been recovered by then.
delete from gateway_instances where lease_expires_at < clock_timestamp() - interval '1 day'

-- name: lockExpiredIntents
-- Calls whose gateway no longer lives, one row each: the last attempt. Skips what another process is recovering. Of this
-- gateway ($1) only those it gave up itself ($2, ids as a json array); of others all ($3: the directory lock proves that
-- they are dead) or those without a lease. An intent beside its outcome was committed late by a connection given up: asked
-- with a scalar subquery, for an "exists" on one side of an "or" is answered by hashing all executions that there are.
select i.* from ai_execution_intents i
 where not exists (select from ai_execution_intents l where l.id = i.id and l.attempt > i.attempt)
   and (
     (select true from ai_executions e where e.id = i.id)
     or case
       when i.gateway_id = $1::uuid then i.id::text in (select value from json_array_elements_text($2::text::json))
       when i.gateway_id is null then $3::boolean or i.created_at < clock_timestamp() - interval '15 minutes'
       else $3::boolean or not exists (
         select from gateway_instances g where g.id = i.gateway_id and g.lease_expires_at > clock_timestamp())
     end
   )
 order by i.id
 limit $4::integer
 for update of i skip locked

-- name: keepLateOutcomes
-- After settleExecutions, for what it did not insert: an outcome that found "unknown" in its place is kept beside it. A
-- repeated COMMIT in doubt finds itself, and is none.
insert into ai_execution_late_outcomes (execution_id, outcome)
select e.id, r.value
  from json_array_elements($1::text::json) as r (value)
  cross join set_config('synchronous_commit', 'on', true)
  join ai_executions e on e.id = (r.value ->> 'id')::uuid
 where e.status = 'unknown' and r.value ->> 'status' <> 'unknown'
 order by e.id
on conflict do nothing

-- name: findLateOutcome
-- In the shape of ai_executions; recorded_at is when it came. Columns that are younger than it are as in the row.
select r.*, l.created_at as recorded_at
  from ai_execution_late_outcomes l join ai_executions e on e.id = l.execution_id
  cross join json_populate_record(e, l.outcome) as r
 where l.execution_id = $1::uuid

-- name: findIdempotencyKey
-- Who holds a claim, and what became of it: no status means in flight. Claims expire after a day; one whose execution
-- ended before any request was made may be taken over.
select k.execution_id, k.fingerprint, e.status,
  k.created_at < clock_timestamp() - interval '1 day' or coalesce(e.status <> 'unknown' and json_array_length(e.attempts) = 0, false) as released
  from idempotency_keys k left join ai_executions e on e.id = k.execution_id
 where k.scope = $1 and k.key = $2

-- name: releaseIdempotencyKey
-- Only the claim that was looked at: a newer one stays.
delete from idempotency_keys where scope = $1 and key = $2 and execution_id = $3::uuid

-- name: forgetIdempotencyKeys
-- Daily. An expired claim that is still there counts as released.
delete from idempotency_keys where created_at < clock_timestamp() - interval '1 day'

-- name: findRetention
-- Whether, and when, a month (2026_11) of executions was dropped.
select created_at from audit_retentions where partition = 'ai_executions_' || $1 order by id limit 1

-- name: dropExecutionPartitions
-- See the function for what it refuses and how it locks.
select * from drop_execution_partitions($1::integer, $2)
