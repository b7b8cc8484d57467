-- Batches of replays. What was drawn and what runs instead is fixed when the batch begins, so that whoever goes on with it
-- goes on with the same; what became of each call is in ai_executions, by run_id and replay_of.

-- question: source, target, window, seed. executions: ids in the order in which they are replayed, each a random sample as
-- far as it goes. population counts what they were drawn from.
create table replay_runs (
  run_id      uuid primary key,
  prompt_name text not null,
  question    json not null check (json_typeof(question) = 'object'),
  executions  json not null check (json_typeof(executions) = 'array'),
  population  bigint not null check (population >= 0),
  key_id      text,
  actor       text not null,
  created_at  timestamptz not null default clock_timestamp()
);
call make_append_only('replay_runs', false);
