-- The audit trail. Intents live while a call is in flight; executions stay for good.
--
-- Neither has a foreign key to prompt_versions: it would lock the version's row once per execution, and the hottest
-- version would become the bottleneck of every writer. Versions cannot be deleted, so it would protect nothing either.
--
-- What callers sent is json, not jsonb: a template may print an object, and a replay must print the same keys in the
-- same order.

create table ai_execution_intents (
  id                uuid not null,
  attempt           integer not null,
  earlier_attempts  json not null,
  prompt_name       text not null,
  prompt_version_id bigint,
  prompt_version    integer,
  label             text,
  input_payload     json not null,
  parameters        json not null,
  rendered_hash     text,
  variables_hash    text,
  provider          text,
  model             text,
  simulated         boolean not null,
  key_id            text,
  actor             text not null,
  request_id        text not null,
  trace_id          text,
  idempotency_key   text,
  replay_of         uuid,
  metadata          json not null,
  started_at        timestamptz not null,
  created_at        timestamptz not null default clock_timestamp(),
  primary key (id, attempt)
)
-- Every row is deleted within seconds: vacuum by number of dead rows, not by share of a table that is nearly empty.
with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- Partitioned by id, not by a date column: a UUIDv7 begins with its time in milliseconds, so the primary key stays
-- unique over all months (one outcome per execution, whatever is retried) and a lookup by id reads one partition.
create table ai_executions (
  id                  uuid primary key,
  prompt_name         text not null,
  prompt_version_id   bigint,
  prompt_version      integer,
  label               text,
  input_payload       json not null,
  parameters          json not null,
  rendered_hash       text,
  variables_hash      text,
  provider            text,
  model               text,
  simulated           boolean not null,
  key_id              text,
  actor               text not null,
  request_id          text not null,
  trace_id            text,
  idempotency_key     text,
  replay_of           uuid,
  metadata            json not null,
  started_at          timestamptz not null,
  status              text not null check (status in ('succeeded', 'failed', 'refused', 'cancelled', 'unknown')),
  error_code          text,
  error_message       text,
  raw_output          text,
  finish_reason       text,
  response_model      text,
  system_fingerprint  text,
  service_tier        text,
  provider_request_id text,
  usage_source        text not null check (usage_source in ('provider', 'none')),
  prompt_tokens       bigint,
  completion_tokens   bigint,
  cached_tokens       bigint,
  cache_write_tokens  bigint,
  reasoning_tokens    bigint,
  cost                numeric,
  currency            text not null,
  price               json not null,
  response_hash       text,
  output_normalised   boolean not null,
  latency_ms          double precision not null,
  overhead_ms         double precision not null,
  attempts            json not null,
  created_at          timestamptz not null default clock_timestamp()
) partition by range (id);

create index ai_executions_prompt on ai_executions (prompt_name, id desc);
create index ai_executions_status on ai_executions (status, id desc);
create index ai_executions_key on ai_executions (key_id, id desc);
create index ai_executions_trace on ai_executions (trace_id) where trace_id is not null;
create index ai_executions_provider_request on ai_executions (provider_request_id)
  where provider_request_id is not null;
call make_append_only('ai_executions', false);

-- Catches ids of months that have no partition yet, so that an insert never fails for want of one.
create table ai_executions_default partition of ai_executions default;
call make_append_only('ai_executions_default', false);

create function execution_id_at(p_at timestamptz) returns uuid language sql immutable strict as $$
  select rpad(lpad(to_hex(floor(extract(epoch from p_at) * 1000)::bigint), 12, '0'), 32, '0')::uuid
$$;

-- Creates the partitions of this month and the months_ahead next ones. Safe to call at any time by any number of
-- processes. Creating one locks the table briefly; the lock is not waited for beyond two seconds, because every insert
-- would queue behind it, and there are months to try again. A month whose rows are in the default partition already
-- stays there: nothing is moved, and every query is right all the same.
create function ensure_execution_partitions(months_ahead integer) returns integer
language plpgsql security definer set search_path from current set lock_timeout = '2s' as $$
declare
  v_month timestamptz;
  v_name text;
  v_created integer := 0;
begin
  perform pg_advisory_xact_lock(hashtextextended('promptgate.partitions', 0));
  for i in 0 .. months_ahead loop
    v_month := (date_trunc('month', now() at time zone 'UTC') + make_interval(months => i)) at time zone 'UTC';
    v_name := 'ai_executions_' || to_char(v_month at time zone 'UTC', 'YYYY_MM');
    continue when to_regclass(v_name) is not null;
    begin
      execute format('create table %I partition of ai_executions for values from (%L) to (%L)', v_name,
        execution_id_at(v_month),
        execution_id_at(((v_month at time zone 'UTC') + interval '1 month') at time zone 'UTC'));
      call make_append_only(v_name::regclass, false);
      v_created := v_created + 1;
    exception when check_violation then
      raise notice 'rows of % are in the default partition and stay there', v_name;
    end;
  end loop;
  return v_created;
end $$;

select ensure_execution_partitions(3);

-- Hourly sums per version, so that a dashboard never scans the trail. Empty strings and 0 stand for "none": a key
-- column cannot be null. latency_histogram counts by the bucket bounds that the writer states in latency_bounds_ms.
create table execution_rollups (
  hour               timestamptz not null,
  prompt_name        text not null,
  prompt_version     integer not null default 0,
  label              text not null default '',
  model              text not null default '',
  status             text not null,
  executions         bigint not null,
  prompt_tokens      bigint not null,
  completion_tokens  bigint not null,
  cost               numeric not null,
  currency           text not null,
  unknown_costs      bigint not null,
  latency_ms_sum     double precision not null,
  latency_bounds_ms  double precision[] not null,
  latency_histogram  bigint[] not null,
  primary key (hour, prompt_name, prompt_version, label, model, status, currency)
);
