-- What runs of `promptgate drift` found. A run says what it looked at, so that "nothing was found" can be told from
-- "nothing was looked at"; its findings name the executions that show them.

create table drift_runs (
  id             uuid primary key,
  actor          text not null,
  -- Null: every prompt.
  prompt_name    text,
  -- Executions of [baseline_since, since) are compared with those of [since, until).
  baseline_since timestamptz not null,
  since          timestamptz not null,
  until          timestamptz not null,
  tests          integer not null check (tests >= 0),
  -- [{promptName, promptVersion, …, baselineCount, nowCount, tests, note}]
  compared       json not null check (json_typeof(compared) = 'array'),
  created_at     timestamptz not null default clock_timestamp(),
  check (baseline_since < since and since < until)
);
call make_append_only('drift_runs', true);

create table drift_findings (
  id              bigint generated always as identity primary key,
  run_id          uuid not null references drift_runs (id),
  prompt_name     text not null,
  prompt_version  integer not null,
  -- Answers of applications' calls and of probes are never compared with each other, nor are simulated with real ones.
  purpose         text not null check (purpose in ('call', 'probe')),
  simulated       boolean not null,
  provider        text not null,
  model           text not null,
  detector        text not null check (detector in ('answers', 'identity', 'distribution')),
  measure         text not null,
  -- Null: a fact, not a test. corrected_p is corrected for every test of the run.
  p_value         double precision check (p_value between 0 and 1),
  corrected_p     double precision check (corrected_p between 0 and 1),
  effect          double precision not null,
  baseline_count  integer not null,
  now_count       integer not null,
  before          text not null,
  after           text not null,
  evidence_before uuid,
  evidence_after  uuid,
  -- When the same was first found, no more than a week before the time after; null: it is new.
  known_since     timestamptz,
  created_at      timestamptz not null default clock_timestamp(),
  check ((p_value is null) = (corrected_p is null))
);
create index drift_findings_prompt on drift_findings (prompt_name, id desc);
create index drift_findings_run on drift_findings (run_id);
call make_append_only('drift_findings', false);
