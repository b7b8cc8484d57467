-- Probes: the cases of a suite, asked again by the clock of what a label points at. What they came to is no evidence: a
-- gate asks whether a version is good, a probe whether the model behind it still is what it was.

-- Facts in order: the latest one of a prompt and suite is in force. Without a schedule: there is none any more.
create table probes (
  id           bigint generated always as identity primary key,
  prompt_name  text not null references prompts (name),
  suite        text not null,
  label        text,
  -- Cron, five fields, UTC.
  schedule     text,
  -- The most that a run may cost, and all runs of a day.
  budget       numeric check (budget > 0),
  daily_budget numeric check (daily_budget > 0),
  on_failure   text check (on_failure in ('report', 'rollback')),
  git_commit   text,
  actor        text not null,
  created_at   timestamptz not null default clock_timestamp(),
  check (num_nulls(label, schedule, budget, on_failure) in (0, 4)),
  check (schedule is not null or daily_budget is null)
);
create index probes_subject on probes (prompt_name, suite, id desc);
call make_append_only('probes', true);

-- Begun: what fell due is the name of a run, so it is one run however often the job library gives it out. The version and
-- the ledger row that put it on the label are fixed here: whoever goes on with the run goes on with these.
create table probe_runs (
  run_id         uuid primary key,
  prompt_name    text not null,
  suite          text not null,
  probe_id       bigint not null references probes (id),
  -- Null: somebody asked for it.
  due_at         timestamptz,
  label          text not null,
  version        integer not null,
  deployment_id  bigint not null references prompt_deployments (id),
  suite_checksum text not null,
  actor          text not null,
  created_at     timestamptz not null default clock_timestamp(),
  unique (prompt_name, suite, due_at),
  foreign key (prompt_name, version) references prompt_versions (name, version)
);
create index probe_runs_subject on probe_runs (prompt_name, suite, created_at desc);
call make_append_only('probe_runs', true);

-- Ended. `insufficient`: no answers, a spent budget, too few cases; nothing follows from it.
create table probe_outcomes (
  run_id                 uuid primary key references probe_runs (run_id),
  outcome                text not null check (outcome in ('passed', 'failed', 'insufficient')),
  reasons                json not null check (json_typeof(reasons) = 'array'),
  -- Ids of cases that did not pass, with the execution that shows it: [{"case", "execution"}].
  failures               json not null check (json_typeof(failures) = 'array'),
  case_count             integer not null check (case_count >= 0),
  trial_count            integer not null check (trial_count >= 0),
  passed_count           integer not null check (passed_count between 0 and trial_count),
  call_count             integer not null check (call_count >= 0),
  simulated              boolean not null,
  cost                   numeric check (cost >= 0),
  currency               text,
  -- Where the label was to be rolled back: the ledger row, or why there is none.
  rollback_deployment_id bigint references prompt_deployments (id),
  rollback_refusal       text,
  created_at             timestamptz not null default clock_timestamp(),
  check (num_nonnulls(rollback_deployment_id, rollback_refusal) = 0
         or (outcome = 'failed' and num_nonnulls(rollback_deployment_id, rollback_refusal) = 1))
);
call make_append_only('probe_outcomes', false);

-- A probe takes a version off a label once. Whoever puts it there again has seen that it failed, and has decided.
create unique index prompt_deployments_probe on prompt_deployments (prompt_name, label, from_version)
  where actor like 'probe:%';
