-- Queries on prompts, prompt_versions, prompt_labels, prompt_deployments and registry_state.
-- Every transaction that writes begins with lockRegistry; the triggers raise the revision.

-- name: lockRegistry
-- First in every writing transaction: the row lock puts registry writes in line, and what is read after it is current.
select revision from registry_state for update

-- name: readRevision
-- Polled by every gateway: one row, one page.
select revision from registry_state

-- name: listVersionsSince
-- Versions are only ever added, so the ones above a revision are all that changed. Ordered by commit.
select * from prompt_versions where registry_revision > $1::bigint order by registry_revision

-- name: listLabels
-- All of them: a pointer changes in place and there are few.
select prompt_name, label, version, moved_at from prompt_labels order by prompt_name, label

-- name: findVersion
select * from prompt_versions where name = $1 and version = $2::integer

-- name: findPrompt
select name from prompts where name = $1

-- name: newestVersion
-- Read behind the lock: numbers only rise unless a backfill is asked for, whichever sync comes first.
select max(version) as newest from prompt_versions where name = $1

-- name: insertPrompt
insert into prompts (name, created_by) values ($1, $2) on conflict do nothing

-- name: insertVersion
-- The trigger stamps registry_revision.
insert into prompt_versions (
  name, version, model, system_prompt, user_template, messages, temperature, max_tokens, parameters, input_schema,
  output_schema, output_format, checksum, description, author, source, partials, path, git_commit,
  git_message, metadata, created_by, tools
) values (
  $1, $2, $3, $4, $5, $6::text::json, $7, $8, $9::text::json, $10::text::json,
  $11::text::json, $12, $13, $14, $15, $16, $17::text::json, $18, $19, $20, $21::text::json, $22, $23::text::json
)
returning *

-- name: decideDeployment
-- Asked before the insert, to refuse with a message that helps; the trigger asks the same function.
select * from decide_deployment($1, $2, $3::integer, $4, $5)

-- name: goesBack
-- Whether a move to a version takes the label back to what it held once.
select exists (
  select from prompt_labels l join prompt_deployments d using (prompt_name, label)
   where l.prompt_name = $1 and l.label = $2 and l.version > $3::integer and d.to_version = $3::integer
) as back

-- name: findLabel
select prompt_name, label, version, moved_at, deployment_id from prompt_labels where prompt_name = $1 and label = $2

-- name: insertDeployment
-- Always followed by pointLabel in the same transaction; the database refuses one without the other.
insert into prompt_deployments (prompt_name, label, kind, from_version, to_version, actor, reason, git_commit)
values ($1, $2, $3, $4::integer, $5::integer, $6, $7, $8)
returning *

-- name: pointLabel
insert into prompt_labels (prompt_name, label, version, deployment_id) values ($1, $2, $3::integer, $4::bigint)
on conflict (prompt_name, label) do update
  set version = excluded.version, deployment_id = excluded.deployment_id, moved_at = excluded.moved_at

-- name: listDeployments
-- The ledger of one prompt, newest first; of one label when $2 is given, older than row $3 when that is.
select * from prompt_deployments
 where prompt_name = $1 and ($2::text is null or label = $2) and ($3::bigint is null or id < $3::bigint)
 order by id desc
 limit $4::integer

-- name: listMoves
-- The whole ledger of one label, oldest first: what a rollback derives its target from.
select kind, to_version from prompt_deployments where prompt_name = $1 and label = $2 order by id

-- name: listLabelsAt
-- From the ledger alone: the last row of each label that was there at the time is what it held. Rows are written under
-- the registry lock, so the order of ids is the order of commits. Without a time: now, whatever our clock says.
-- Times are shown in milliseconds: whoever asks at the time that a row shows gets that row.
select distinct on (prompt_name, label) deployments.*,
       coalesce((gate_policy(prompt_name, label, coalesce($1::timestamptz, 'infinity'))).gated, false) as gated
  from prompt_deployments deployments
 where date_trunc('milliseconds', created_at) <= coalesce($1::timestamptz, 'infinity')
 order by prompt_name, label, id desc

-- name: listArchives
-- The latest fact of each subject: few.
select distinct on (prompt_name, version) * from prompt_archives order by prompt_name, version, id desc

-- name: findArchive
select * from prompt_archives where prompt_name = $1 and version is not distinct from $2::integer
 order by id desc limit 1

-- name: insertArchive
insert into prompt_archives (prompt_name, version, archived, actor, reason)
values ($1, $2::integer, $3::boolean, $4, $5)
returning *

-- name: listLabelPolicies
select * from label_policies where label = $1 order by id desc

-- name: findLabelPolicy
select * from label_policies where label = $1 and prompt_name is not distinct from $2 order by id desc limit 1

-- name: insertLabelPolicy
insert into label_policies (label, prompt_name, gated, movers, suite, pass_rate_min, lower_bound_min, repeats_min, age_max_s,
  margin_max, simulated, actor, reason)
values ($1, $2, $3::boolean, $4::text::json, $5, $6::float8, $7::float8, $8::integer, $9::bigint,
  $10::float8, $11::boolean, $12, $13)
returning *

-- name: findGateDemands
-- Nothing where the label is not gated. The suite that the policy names may not be registered, which is told by its name.
select coalesce(policy.suite, in_force.suite) as suite, policy.repeats_min
  from gate_policy($1, $2) policy
  left join lateral suite_in_force($1, policy.suite) in_force on true
 where policy.gated

-- name: listLabelGates
select prompt_name, label, version, gated, unproven, message, command, evaluation_id, glass_broken from label_gates

-- name: listTestedVersions
select version, tested, untested, message, score, pass_rate, lower_bound, suite, evaluation_id, evaluated_at
  from prompt_versions_tested where name = $1

-- name: listenRegistry
-- The payload is the new revision; a listener reads the registry again instead of trusting it.
listen promptgate_registry
