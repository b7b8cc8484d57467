-- What makes the audit trail account for every call when processes die: who made an intent and whether it still lives,
-- outcomes that came too late, idempotency claims, and months that were let go.

-- One row per process that admits calls. Its lease is renewed in database time, so clocks of hosts do not matter, and
-- one small update covers every call in flight. No foreign key points here: it would lock the row once per intent.
create table gateway_instances (
  id               uuid primary key,
  host             text not null,
  pid              integer not null,
  started_at       timestamptz not null default clock_timestamp(),
  lease_expires_at timestamptz not null
)
-- Updated every few seconds; the free space lets the update stay on its page.
with (fillfactor = 50);

-- Null: written by a program that knew no leases.
alter table ai_execution_intents add column gateway_id uuid;

-- A gateway that was given up and came back still knows what the provider answered. That is kept beside the unknown
-- outcome, which stays: the row of ai_executions never changes. outcome is the row as it would have been.
create table ai_execution_late_outcomes (
  execution_id uuid primary key,
  outcome      json not null,
  created_at   timestamptz not null default clock_timestamp()
);
call make_append_only('ai_execution_late_outcomes', false);

-- Claimed in the transaction of the first intent, so that of any number of equal requests one is admitted. Rows are
-- let go after a day (Stripe's term); the execution keeps its key for good.
create table idempotency_keys (
  scope        text not null,
  key          text not null,
  fingerprint  text not null,
  execution_id uuid not null,
  created_at   timestamptz not null default clock_timestamp(),
  primary key (scope, key)
);
create index idempotency_keys_created on idempotency_keys (created_at);

create table audit_retentions (
  id          bigint generated always as identity primary key,
  partition   text not null,
  months_kept integer not null,
  -- What the planner knew: counting would read what is to be dropped.
  rows_estimated bigint not null,
  actor       text not null,
  created_at  timestamptz not null default clock_timestamp()
);
call make_append_only('audit_retentions', false);

-- Drops whole months, oldest first, and records each. The current month and the p_months_kept before it stay, and at
-- least one before it has to: idempotency claims and calls in flight may reach over midnight. The lock on the table is
-- not waited for beyond two seconds, because every insert would queue behind it.
create function drop_execution_partitions(p_months_kept integer, p_actor text) returns setof audit_retentions
language plpgsql set lock_timeout = '2s' as $$
declare
  v_first_kept text;
  v_partition record;
  v_retention audit_retentions;
begin
  if p_months_kept is null or p_months_kept < 1 then
    raise exception 'retention refused: the current month and the one before it are never dropped'
      using errcode = 'restrict_violation';
  end if;
  v_first_kept := 'ai_executions_' || to_char(
    date_trunc('month', now() at time zone 'UTC') - make_interval(months => p_months_kept), 'YYYY_MM');
  for v_partition in
    select c.relname, c.reltuples from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'ai_executions'::regclass
       and c.relname ~ '^ai_executions_\d{4}_\d{2}$' and c.relname < v_first_kept
     order by c.relname
  loop
    execute format('drop table %I', v_partition.relname);
    insert into audit_retentions (partition, months_kept, rows_estimated, actor)
    values (v_partition.relname, p_months_kept, greatest(v_partition.reltuples, 0)::bigint, p_actor)
    returning * into v_retention;
    return next v_retention;
  end loop;
end $$;
