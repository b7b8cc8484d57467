-- The registry: prompts, their immutable versions, the labels that point at them, the ledger of every label move,
-- evaluations and keys.
--
-- What this file guarantees, whoever connects and whatever the program forgets:
--   * prompts, versions, ledger rows and evaluations are only ever added;
--   * a label points at a version that exists, and moves only together with its ledger row;
--   * every change raises registry_state.revision under a row lock that is held until the commit, so commit order is
--     revision order and a reader of "registry_revision > n" can never miss one.

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% on % refused: its rows are only ever added', tg_op, tg_table_name
    using errcode = 'restrict_violation',
          hint = 'Add a new row instead. Nothing in the record is corrected in place.';
end $$;

-- Privileges are the second wall behind the triggers: the owner has to grant itself the right before it can even try.
-- A foreign key locks the row it points at, which takes UPDATE on one column; p_referenced keeps exactly that.
create procedure make_append_only(p_table regclass, p_referenced boolean) language plpgsql as $$
begin
  execute format('create trigger refuse_change before update or delete or truncate on %s
                  for each statement execute function refuse_change()', p_table);
  execute format('revoke update, delete, truncate on %s from public', p_table);
  execute format('revoke update, delete, truncate on %s from current_user', p_table);
  if p_referenced then
    execute format('grant update (created_at) on %s to current_user', p_table);
  end if;
end $$;

create table registry_state (
  singleton boolean primary key default true check (singleton),
  revision  bigint not null
);
insert into registry_state (revision) values (0);

create function announce_registry_revision() returns trigger language plpgsql as $$
begin
  if new.revision <= old.revision then
    raise exception 'the registry revision only rises' using errcode = 'restrict_violation';
  end if;
  perform pg_notify('promptgate_registry', new.revision::text);
  return null;
end $$;
create trigger announce_registry_revision after update on registry_state
  for each row execute function announce_registry_revision();
create trigger refuse_change before delete or truncate on registry_state
  for each statement execute function refuse_change();

create function raise_registry_revision() returns trigger language plpgsql as $$
begin
  update registry_state set revision = revision + 1;
  return null;
end $$;

create table prompts (
  name       text primary key,
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null
);
call make_append_only('prompts', true);

-- Schemas, messages and partials are json, not jsonb: the order of keys reaches the provider, and jsonb loses it.
create table prompt_versions (
  id                bigint generated always as identity primary key,
  name              text not null references prompts (name),
  version           integer not null check (version > 0),
  model             text not null,
  system_prompt     text,
  user_template     text,
  messages          json not null,
  temperature       double precision,
  max_tokens        bigint,
  parameters        json not null,
  input_schema      json not null,
  output_schema     json,
  output_format     text not null check (output_format in ('text', 'json')),
  checksum          text not null,
  description       text,
  author            text,
  source            text not null,
  partials          json not null,
  path              text,
  git_commit        text,
  metadata          json not null,
  created_by        text not null,
  registry_revision bigint not null,
  created_at        timestamptz not null default clock_timestamp(),
  unique (name, version),
  unique (name, version, checksum)
);
create index prompt_versions_revision on prompt_versions (registry_revision);
call make_append_only('prompt_versions', true);

create function stamp_registry_revision() returns trigger language plpgsql as $$
begin
  update registry_state set revision = revision + 1 returning revision into new.registry_revision;
  return new;
end $$;
create trigger stamp_registry_revision before insert on prompt_versions
  for each row execute function stamp_registry_revision();

-- An evaluation is bound to the checksum of what it judged, not only to a number.
create table evaluations (
  id               bigint generated always as identity primary key,
  prompt_name      text not null,
  version          integer not null,
  version_checksum text not null,
  suite            text not null,
  suite_checksum   text not null,
  score            numeric not null,
  threshold        numeric not null,
  verdict          text not null check (verdict in ('passed', 'failed')),
  cases            json not null,
  actor            text not null,
  started_at       timestamptz not null,
  created_at       timestamptz not null default clock_timestamp(),
  foreign key (prompt_name, version, version_checksum) references prompt_versions (name, version, checksum)
);
create index evaluations_version on evaluations (prompt_name, version, id desc);
call make_append_only('evaluations', true);

create table prompt_deployments (
  id            bigint generated always as identity primary key,
  prompt_name   text not null,
  label         text not null,
  kind          text not null check (kind in ('deploy', 'rollback', 'sync')),
  from_version  integer,
  to_version    integer not null,
  actor         text not null,
  reason        text,
  git_commit    text,
  evaluation_id bigint references evaluations (id),
  created_at    timestamptz not null default clock_timestamp(),
  foreign key (prompt_name, to_version) references prompt_versions (name, version),
  unique (id, prompt_name, label, to_version)
);
create index prompt_deployments_label on prompt_deployments (prompt_name, label, id desc);
call make_append_only('prompt_deployments', true);

create table prompt_labels (
  prompt_name   text not null,
  label         text not null,
  version       integer not null,
  deployment_id bigint not null unique,
  moved_at      timestamptz not null default clock_timestamp(),
  primary key (prompt_name, label),
  foreign key (prompt_name, version) references prompt_versions (name, version),
  foreign key (deployment_id, prompt_name, label, version)
    references prompt_deployments (id, prompt_name, label, to_version)
);
create trigger refuse_change before delete or truncate on prompt_labels
  for each statement execute function refuse_change();
create trigger raise_registry_revision after insert or update on prompt_labels
  for each statement execute function raise_registry_revision();

-- The foreign key says that the ledger row exists and agrees. This says that it is new, that it is the latest one of
-- its label, and that it tells the truth about where the label came from.
create function check_label_move() returns trigger language plpgsql as $$
declare
  v_from integer;
  v_latest bigint;
  v_recorded_from integer;
begin
  if tg_op = 'UPDATE' then
    if (new.prompt_name, new.label) is distinct from (old.prompt_name, old.label)
       or new.deployment_id <= old.deployment_id then
      raise exception 'label % of % moves only together with a new row of prompt_deployments', old.label, old.prompt_name
        using errcode = 'restrict_violation';
    end if;
    v_from := old.version;
  end if;
  select id, from_version into v_latest, v_recorded_from from prompt_deployments
   where prompt_name = new.prompt_name and label = new.label order by id desc limit 1;
  if v_latest is distinct from new.deployment_id or v_recorded_from is distinct from v_from then
    raise exception 'label % of % does not agree with the latest row of prompt_deployments', new.label, new.prompt_name
      using errcode = 'restrict_violation';
  end if;
  return null;
end $$;
-- After, not before: "insert … on conflict do update" runs the before-insert triggers of a row that is then updated.
create trigger check_label_move after insert or update on prompt_labels
  for each row execute function check_label_move();

-- The other direction, looked at when the transaction commits: a ledger row without its move is refused too.
create function check_deployment_applied() returns trigger language plpgsql as $$
begin
  if not exists (select from prompt_labels
                  where prompt_name = new.prompt_name and label = new.label and deployment_id >= new.id) then
    raise exception 'deployment % was recorded, but label % of % did not move', new.id, new.label, new.prompt_name
      using errcode = 'restrict_violation';
  end if;
  return null;
end $$;
create constraint trigger check_deployment_applied after insert on prompt_deployments
  deferrable initially deferred for each row execute function check_deployment_applied();

create table api_keys (
  id         text primary key,
  name       text not null,
  prefix     text not null,
  hash       text not null unique,
  scopes     json not null,
  created_at timestamptz not null,
  created_by text not null,
  revoked_at timestamptz
);
-- A name is free again once its key is revoked, so that a key can be rotated under its name.
create unique index api_keys_active_name on api_keys (name) where revoked_at is null;

create function check_key_change() returns trigger language plpgsql as $$
begin
  if old.revoked_at is not null or new.revoked_at is null
     or to_jsonb(new) - 'revoked_at' is distinct from to_jsonb(old) - 'revoked_at' then
    raise exception 'a key never changes, except that it is revoked once' using errcode = 'restrict_violation';
  end if;
  return new;
end $$;
create trigger check_key_change before update on api_keys
  for each row execute function check_key_change();
create trigger refuse_change before delete or truncate on api_keys
  for each statement execute function refuse_change();
create trigger raise_registry_revision after insert or update on api_keys
  for each statement execute function raise_registry_revision();
