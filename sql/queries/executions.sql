-- Queries on ai_execution_intents and ai_executions. Groups arrive as one json text: half the work of a VALUES list, and
-- one prepared statement whatever the size of the group. What is written is acted on, so each write asks for a commit that
-- is on disk itself: behind a transaction pooler the connection cannot.

-- name: insertIntents
-- Its commit is what permits a call. An idempotency key is claimed in the same statement: a claim that another execution
-- holds keeps its intent out, and its id is returned; so is that of a further attempt whose execution has an outcome: a
-- gateway that was given up sends nothing more. A repeated COMMIT in doubt is no duplicate. Claims are taken in order of
-- their keys, so that two gateways with common keys wait and do not deadlock.
with r as (
  select * from json_to_recordset($1::text::json) as r (
    attempt integer, earlier_attempts json, id uuid, prompt_name text, prompt_version_id bigint, prompt_version integer, label text,
    input_payload json, parameters json, rendered_hash text, variables_hash text, provider text, model text,
    simulated boolean, key_id text, actor text, request_id text, trace_id text, idempotency_key text,
    replay_of uuid, purpose text, run_id uuid, metadata json, started_at timestamptz, gateway_id uuid, claim_scope text, claim_fingerprint text
  ) cross join set_config('synchronous_commit', 'on', true)
), ended as (
  select id from r where attempt > 1 and exists (select from ai_executions e where e.id = r.id)
), claimed as (
  insert into idempotency_keys (scope, key, fingerprint, execution_id)
  select claim_scope, idempotency_key, claim_fingerprint, id from r
   where claim_scope is not null
   order by claim_scope, idempotency_key
  on conflict do nothing
  returning execution_id
), inserted as (
  insert into ai_execution_intents (
    attempt, earlier_attempts, id, prompt_name, prompt_version_id, prompt_version, label, input_payload, parameters, rendered_hash,
    variables_hash, provider, model, simulated, key_id, actor, request_id, trace_id, idempotency_key, replay_of,
    purpose, run_id, metadata, started_at, gateway_id
  )
  select attempt, earlier_attempts, id, prompt_name, prompt_version_id, prompt_version, label, input_payload, parameters, rendered_hash,
    variables_hash, provider, model, simulated, key_id, actor, request_id, trace_id, idempotency_key, replay_of,
    purpose, run_id, metadata, started_at, gateway_id
    from r
   where (claim_scope is null or id in (select execution_id from claimed)) and id not in (select id from ended)
   order by id, attempt
  on conflict do nothing
)
select id from r where claim_scope is not null and id not in (select execution_id from claimed)
union all
select id from ended

-- name: settleExecutions
-- Outcome in, intents out, in one statement and so in one transaction: no moment has neither, and an outcome that is
-- there already stays as it is; its id is returned. Ordered by id, so that two groups with a common execution wait and
-- do not deadlock. A row without a purpose waited in the spool of an older release. Intents are found by an array of ids, for
-- which the index is taken from some dozen pages on, and always by connections of the audit trail: in a join the planner read
-- the whole table, dead rows and all, for every group.
with settled as (
  select * from json_to_recordset($1::text::json) as r (
    id uuid, prompt_name text, prompt_version_id bigint, prompt_version integer, label text,
    input_payload json, parameters json, rendered_hash text, variables_hash text, provider text, model text,
    simulated boolean, key_id text, actor text, request_id text, trace_id text, idempotency_key text,
    replay_of uuid, purpose text, run_id uuid, metadata json, started_at timestamptz,
    status text, error_code text, error_message text, raw_output text, finish_reason text,
    response_model text, system_fingerprint text, service_tier text, provider_request_id text, usage_source text,
    prompt_tokens bigint, completion_tokens bigint, cached_tokens bigint, cache_write_tokens bigint,
    reasoning_tokens bigint, cost numeric, currency text, price json, response_hash text,
    output_normalised boolean, latency_ms double precision, overhead_ms double precision, attempts json,
    time_to_first_token_ms double precision, delivered_bytes bigint, disconnected_at timestamptz, tool_calls json,
    reasoning json
  ) cross join set_config('synchronous_commit', 'on', true)
), inserted as (
  insert into ai_executions (
    id, prompt_name, prompt_version_id, prompt_version, label, input_payload, parameters, rendered_hash,
    variables_hash, provider, model, simulated, key_id, actor, request_id, trace_id, idempotency_key, replay_of,
    purpose, run_id, metadata, started_at,
    status, error_code, error_message, raw_output, finish_reason, response_model, system_fingerprint,
    service_tier, provider_request_id, usage_source, prompt_tokens, completion_tokens, cached_tokens,
    cache_write_tokens, reasoning_tokens, cost, currency, price, response_hash, output_normalised, latency_ms,
    overhead_ms, attempts, time_to_first_token_ms, delivered_bytes, disconnected_at, tool_calls, reasoning
  )
  select
    id, prompt_name, prompt_version_id, prompt_version, label, input_payload, parameters, rendered_hash,
    variables_hash, provider, model, simulated, key_id, actor, request_id, trace_id, idempotency_key, replay_of,
    coalesce(purpose, 'call'), run_id, metadata, started_at,
    status, error_code, error_message, raw_output, finish_reason, response_model, system_fingerprint,
    service_tier, provider_request_id, usage_source, prompt_tokens, completion_tokens, cached_tokens,
    cache_write_tokens, reasoning_tokens, cost, currency, price, response_hash, output_normalised, latency_ms,
    overhead_ms, attempts, time_to_first_token_ms, delivered_bytes, disconnected_at, tool_calls, reasoning
    from settled order by id
  on conflict (id) do nothing
  returning id
), cleared as (
  delete from ai_execution_intents where id = any (array(select id from settled))
)
select id from settled where id not in (select id from inserted)

-- name: findExecution
-- The id names its month: one partition is read.
select * from ai_executions where id = $1::uuid

-- The list comes in six shapes that differ only in the index they walk; the rest filters what the walk finds. All are
-- newest first and stop at the limit. $1 and $2 bound the ids (exclusive, inclusive) and so the months read.

-- name: listExecutions
-- Walks the primary key.
select * from ai_executions
 where id < $1::uuid and id >= $2::uuid
   and ($3::timestamptz is null or started_at >= $3)
   and ($4::timestamptz is null or started_at < $4)
   and ($5::text is null or prompt_name = $5)
   and ($6::integer is null or prompt_version = $6)
   and ($7::text is null or label = $7)
   and ($8::text is null or status = $8)
   and ($9::text is null or key_id = $9)
   and ($10::text is null or purpose = $10)
   and ($11::uuid is null or run_id = $11)
 order by id desc
 limit $12::integer

-- name: listExecutionsOfPrompt
-- Walks (prompt_name, id).
select * from ai_executions
 where prompt_name = $5 and id < $1::uuid and id >= $2::uuid
   and ($3::timestamptz is null or started_at >= $3)
   and ($4::timestamptz is null or started_at < $4)
   and ($5::text is null or prompt_name = $5)
   and ($6::integer is null or prompt_version = $6)
   and ($7::text is null or label = $7)
   and ($8::text is null or status = $8)
   and ($9::text is null or key_id = $9)
   and ($10::text is null or purpose = $10)
   and ($11::uuid is null or run_id = $11)
 order by id desc
 limit $12::integer

-- name: listExecutionsOfKey
-- Walks (key_id, id).
select * from ai_executions
 where key_id = $9 and id < $1::uuid and id >= $2::uuid
   and ($3::timestamptz is null or started_at >= $3)
   and ($4::timestamptz is null or started_at < $4)
   and ($5::text is null or prompt_name = $5)
   and ($6::integer is null or prompt_version = $6)
   and ($7::text is null or label = $7)
   and ($8::text is null or status = $8)
   and ($9::text is null or key_id = $9)
   and ($10::text is null or purpose = $10)
   and ($11::uuid is null or run_id = $11)
 order by id desc
 limit $12::integer

-- name: listExecutionsOfRun
-- Walks (run_id, id).
select * from ai_executions
 where run_id = $11 and id < $1::uuid and id >= $2::uuid
   and ($3::timestamptz is null or started_at >= $3)
   and ($4::timestamptz is null or started_at < $4)
   and ($5::text is null or prompt_name = $5)
   and ($6::integer is null or prompt_version = $6)
   and ($7::text is null or label = $7)
   and ($8::text is null or status = $8)
   and ($9::text is null or key_id = $9)
   and ($10::text is null or purpose = $10)
   and ($11::uuid is null or run_id = $11)
 order by id desc
 limit $12::integer

-- name: listExecutionsOfRequest
-- Walks the index of trace ids or of the provider's request ids; our own request ids have none, and walk what the time
-- leaves. Planned for what it asks.
select * from ai_executions
 where id < $1::uuid and id >= $2::uuid
   and ($3::timestamptz is null or started_at >= $3)
   and ($4::timestamptz is null or started_at < $4)
   and ($5::text is null or prompt_name = $5)
   and ($6::integer is null or prompt_version = $6)
   and ($7::text is null or label = $7)
   and ($8::text is null or status = $8)
   and ($9::text is null or key_id = $9)
   and ($10::text is null or purpose = $10)
   and ($11::uuid is null or run_id = $11)
   and ($13::text is null or trace_id = $13)
   and ($14::text is null or provider_request_id = $14)
   and ($15::text is null or request_id = $15)
 order by id desc
 limit $12::integer

-- name: listExecutionsOfStatus
-- Walks (status, id).
select * from ai_executions
 where status = $8 and id < $1::uuid and id >= $2::uuid
   and ($3::timestamptz is null or started_at >= $3)
   and ($4::timestamptz is null or started_at < $4)
   and ($5::text is null or prompt_name = $5)
   and ($6::integer is null or prompt_version = $6)
   and ($7::text is null or label = $7)
   and ($8::text is null or status = $8)
   and ($9::text is null or key_id = $9)
   and ($10::text is null or purpose = $10)
   and ($11::uuid is null or run_id = $11)
 order by id desc
 limit $12::integer

-- name: countCallsInFlight
-- Reads the whole table: it has a row only for what is in flight.
select count(distinct id)::integer as calls from ai_execution_intents
 where run_id = $1::uuid and ($2::text is null or key_id = $2)

-- name: countTraffic
-- Calls of applications by key and purpose. The ids bound the months and the pages that are read: every execution of the
-- time, once.
select key_id, actor, purpose, currency,
       count(*) filter (where status <> 'refused' and not simulated) as calls,
       count(*) filter (where status <> 'refused' and not simulated and cost is null) as unknown_costs,
       trim_scale(coalesce(sum(cost) filter (where status <> 'refused' and not simulated), 0)) as cost,
       count(*) filter (where status = 'refused') as refused,
       count(*) filter (where status <> 'refused' and simulated) as simulated
  from ai_executions
 where id >= $1::uuid and id < $2::uuid
   and started_at >= $3::timestamptz and started_at < $4::timestamptz
   and purpose in ('call', 'raw')
   and ($5::text is null or key_id = $5)
 group by key_id, actor, purpose, currency

-- name: ensureExecutionPartitions
-- At start-up and daily; see the function for its locks.
select ensure_execution_partitions($1::integer) as created
