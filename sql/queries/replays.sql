-- Queries of batches of replays: what is drawn from the trail, and what was drawn.

-- name: sampleExecutions
-- The first $10 of each group, in an order that a seed makes of the ids: the same seed draws the same from the same rows, and
-- rows that are added later change little. A group is an outcome ($8) and a quarter of the completion tokens ($9). What
-- was refused, cancelled or lost says nothing of a version, so only answers and failures are drawn.
with candidates as (
  select id, md5($7::text || id::text) as draw,
         case when $8::boolean then coalesce(error_code, status) else '' end as outcome,
         case when $9::boolean and completion_tokens is not null
              then ntile(4) over (partition by completion_tokens is null order by completion_tokens, id)
              else 0 end as quarter
    from ai_executions
   where prompt_name = $1 and id < $2::uuid and id >= $3::uuid
     and started_at >= $4::timestamptz and started_at < $5::timestamptz
     and purpose = 'call' and status in ('succeeded', 'failed') and rendered_hash is not null
     and ($6::text is null or key_id = $6)
     and ($11::text is null or label = $11)
     and ($12::integer is null or prompt_version = $12)
), ranked as (
  select id, draw, outcome, quarter, count(*) over (partition by outcome, quarter) as group_size,
         row_number() over (partition by outcome, quarter order by draw, id) as place
    from candidates
)
select id, outcome, quarter, group_size from ranked where place <= $10::integer order by draw, id

-- name: insertReplayRun
-- Once for each run: a commit in doubt is simply repeated.
insert into replay_runs (run_id, prompt_name, question, executions, population, key_id, actor)
values ($1::uuid, $2, $3::text::json, $4::text::json, $5::bigint, $6, $7)
on conflict (run_id) do nothing

-- name: findReplayRun
select * from replay_runs where run_id = $1::uuid
