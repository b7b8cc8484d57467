-- Facts beside the registry: what is archived, which labels are gated, what a key is limited to.
--
-- Archives and policies are facts in order, like the ledger: the latest one of its subject is in force, and none is
-- ever corrected in place.

alter table prompt_versions add column git_message text;

-- version is null where the whole prompt is meant. archived = false takes it out of the archive again.
create table prompt_archives (
  id          bigint generated always as identity primary key,
  prompt_name text not null references prompts (name),
  version     integer,
  archived    boolean not null,
  actor       text not null,
  reason      text,
  created_at  timestamptz not null default clock_timestamp(),
  foreign key (prompt_name, version) references prompt_versions (name, version)
);
create index prompt_archives_subject on prompt_archives (prompt_name, version, id desc);
call make_append_only('prompt_archives', false);
create trigger raise_registry_revision after insert on prompt_archives
  for each statement execute function raise_registry_revision();

create table label_policies (
  id         bigint generated always as identity primary key,
  label      text not null,
  gated      boolean not null,
  actor      text not null,
  reason     text,
  created_at timestamptz not null default clock_timestamp()
);
create index label_policies_label on label_policies (label, id desc);
call make_append_only('label_policies', false);
create trigger raise_registry_revision after insert on label_policies
  for each statement execute function raise_registry_revision();

-- Null: not limited. check_key_change covers these columns like every other.
alter table api_keys
  add column prompts json check (json_typeof(prompts) = 'array'),
  add column labels  json check (json_typeof(labels) = 'array');

create function is_archived(p_prompt text, p_version integer) returns boolean language sql stable as $$
  select coalesce((select archived from prompt_archives
                    where prompt_name = p_prompt and version is not distinct from p_version
                    order by id desc limit 1), false)
$$;

-- Why a ledger row may not be written, or null when it may: the one place that decides, for the program (which asks
-- first, to say it kindly) and for whoever writes SQL. What counts as evidence for a gated label is decided here too:
-- nothing yet, so a gated label holds what it has, except that it can go back to what ran there.
create function deployment_refusal(p_prompt text, p_label text, p_version integer, p_kind text) returns text
language sql stable as $$
  select case
    when is_archived(p_prompt, null) then 'prompt_archived'
    when is_archived(p_prompt, p_version) then 'version_archived'
    when p_kind = 'rollback' then
      case when not exists (select from prompt_deployments
                             where prompt_name = p_prompt and label = p_label and to_version = p_version)
           then 'never_held' end
    when (select gated from label_policies where label = p_label order by id desc limit 1) then 'gated'
  end
$$;

create function check_deployment_allowed() returns trigger language plpgsql as $$
declare
  v_refusal text := deployment_refusal(new.prompt_name, new.label, new.to_version, new.kind);
begin
  if v_refusal is not null then
    raise exception 'version % of % may not be put on label % (%)', new.to_version, new.prompt_name, new.label, v_refusal
      using errcode = 'restrict_violation';
  end if;
  return new;
end $$;
create trigger check_deployment_allowed before insert on prompt_deployments
  for each row execute function check_deployment_allowed();
