-- Queries on evaluation_suites and evaluations. Registering a suite is a registry write: lockRegistry comes first.

-- name: listSuites
-- The latest of each name: it is in force. Of one prompt when $1 is given.
select distinct on (prompt_name, suite) * from evaluation_suites
 where $1::text is null or prompt_name = $1
 order by prompt_name, suite, id desc

-- name: findSuite
select * from evaluation_suites where prompt_name = $1 and suite = $2 order by id desc limit 1

-- name: insertSuite
insert into evaluation_suites (prompt_name, suite, checksum, source, files, judges, path, git_commit, actor)
values ($1, $2, $3, $4, $5::text::json, $6::text::json, $7, $8, $9)
returning *

-- name: insertEvaluation
-- Once for each run: a commit in doubt is simply repeated.
insert into evaluations (
  run_id, prompt_name, version, version_checksum, suite, suite_checksum, judges, model, simulated, renderer_version,
  repeats, case_count, trial_count, passed_count, call_count, lower_bound, confidence, score, threshold,
  baseline_version, baseline_checksum, difference, difference_lower, verdict, cases, cost, currency, actor, started_at
) values (
  $1::uuid, $2, $3::integer, $4, $5, $6, $7::text::json, $8, $9::boolean, $10::integer,
  $11::integer, $12::integer, $13::integer, $14::integer, $15::integer, $16::float8, $17::float8, $18::float8, $19::float8,
  $20::integer, $21, $22::float8, $23::float8, $24, $25::text::json, $26::text::numeric, $27, $28, $29::timestamptz
)
on conflict (run_id) do nothing
returning *

-- name: findEvaluation
select * from evaluations where run_id = $1::uuid

-- name: listEvaluations
select * from evaluations
 where prompt_name = $1 and ($2::integer is null or version = $2) and ($3::text is null or suite = $3)
   and ($4::bigint is null or id < $4)
 order by id desc
 limit $5::integer
