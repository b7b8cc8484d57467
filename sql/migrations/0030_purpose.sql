-- What a call was made for, and which run made it. Calls of evaluations, replays and probes are executions like any other,
-- with a row each; whoever counts traffic or cost must be able to leave them out.

-- 'raw': a call that names no prompt and was let through; its prompt_name is ''.
alter table ai_execution_intents
  add column purpose text not null default 'call' check (purpose in ('call', 'raw', 'evaluation', 'replay', 'probe')),
  -- The evaluation, batch or probe that made the call.
  add column run_id  uuid;

alter table ai_executions
  add column purpose text not null default 'call' check (purpose in ('call', 'raw', 'evaluation', 'replay', 'probe')),
  add column run_id  uuid;

create index ai_executions_run on ai_executions (run_id, id desc) where run_id is not null;
