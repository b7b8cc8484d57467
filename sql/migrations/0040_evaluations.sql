-- Evidence: which suite is in force for a prompt, and what a run of one said about a version.
--
-- An evaluation is bound to everything that it depended on: the checksums of version and suite, the judges, the model, the
-- renderer. What is bound to something else than what is in force proves nothing any more.

-- One text renders to one request only under one renderer. A change of the renderer that changes what is sent comes with
-- a migration that adds its number here, so the database knows it before the program that has it runs.
create table renderer_versions (
  version    integer primary key check (version > 0),
  created_at timestamptz not null default clock_timestamp()
);
insert into renderer_versions (version) values (1);
call make_append_only('renderer_versions', true);
-- A move that began before the renderer changed must not commit on evidence of the old one.
create trigger raise_registry_revision after insert on renderer_versions
  for each statement execute function raise_registry_revision();

-- First in a transaction that changes what a gate asks, and in one that moves a label: whoever comes second sees what the
-- first one did. The gateway has the lock already; this is for whoever writes SQL. Where the snapshot is older than the
-- lock (repeatable read), PostgreSQL refuses the transaction, because every such change raises the revision.
create function lock_registry() returns trigger language plpgsql as $$
begin
  perform from registry_state for update;
  return null;
end $$;

-- Facts in order: the latest one of a prompt and suite name is in force. files has the text of everything that the suite
-- takes in, judges the prompts that it has answers judged by: [{"name", "version"}].
create table evaluation_suites (
  id          bigint generated always as identity primary key,
  prompt_name text not null references prompts (name),
  suite       text not null,
  checksum    text not null,
  source      text not null,
  files       json not null check (json_typeof(files) = 'object'),
  judges      json not null check (json_typeof(judges) = 'array'),
  path        text,
  git_commit  text,
  actor       text not null,
  created_at  timestamptz not null default clock_timestamp()
);
create index evaluation_suites_subject on evaluation_suites (prompt_name, suite, id desc);
call make_append_only('evaluation_suites', false);
create trigger lock_registry before insert on evaluation_suites
  for each statement execute function lock_registry();
create trigger raise_registry_revision after insert on evaluation_suites
  for each statement execute function raise_registry_revision();

-- Nothing has written evaluations before this. A trial is one answer to one case: a case has at least `repeats` of them, a
-- call that was not answered is a trial that did not pass. calls counts executions, those of judges too.
alter table evaluations
  add column run_id             uuid not null unique,
  add column judges             json not null check (json_typeof(judges) = 'array'),
  add column model              text not null,
  add column simulated          boolean not null,
  add column renderer_version   integer not null references renderer_versions (version),
  add column repeats            integer not null check (repeats > 0),
  add column case_count         integer not null check (case_count >= 0),
  add column trial_count        integer not null check (trial_count >= 0),
  add column passed_count       integer not null check (passed_count between 0 and trial_count),
  add column call_count         integer not null check (call_count >= 0),
  add column pass_rate          double precision generated always as
    (case when trial_count > 0 then passed_count::double precision / trial_count end) stored,
  add column confidence         double precision not null check (confidence > 0 and confidence < 1),
  add column lower_bound        double precision check (lower_bound between 0 and 1),
  add column baseline_version   integer,
  add column baseline_checksum  text,
  add column difference         double precision check (difference between -1 and 1),
  add column difference_lower   double precision check (difference_lower between -1 and 1),
  add column cost               numeric check (cost >= 0),
  add column currency           text,
  add foreign key (prompt_name, baseline_version, baseline_checksum)
    references prompt_versions (name, version, checksum),
  add check ((baseline_version is null) = (baseline_checksum is null)),
  add check (baseline_version is not null or (difference is null and difference_lower is null)),
  drop constraint evaluations_verdict_check,
  add constraint evaluations_verdict_check check (verdict in ('passed', 'failed', 'insufficient')),
  -- What was not tried has not passed: a verdict cannot say more than the numbers beside it.
  add constraint evaluations_passed_check check (verdict <> 'passed' or (
    case_count > 0 and trial_count >= case_count * repeats
    and passed_count >= threshold * trial_count and lower_bound is not null));
create index evaluations_content on evaluations (prompt_name, version_checksum, id desc);

create function check_judges() returns trigger language plpgsql as $$
begin
  if exists (select from json_array_elements(new.judges) judge
              where not exists (select from prompt_versions
                                 where name = judge->>'name' and version = (judge->>'version')::integer
                                   and checksum = judge->>'checksum')) then
    raise exception 'evaluation % names a judge that is no registered version', new.run_id
      using errcode = 'foreign_key_violation';
  end if;
  return new;
end $$;
create trigger check_judges before insert on evaluations
  for each row execute function check_judges();
