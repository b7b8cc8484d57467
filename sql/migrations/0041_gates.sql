-- Gates: what a gated label asks of a version, and the one place that decides whether it may go there.
--
-- decide_deployment says no in words: which thing is missing and the command that supplies it. The program asks it to
-- answer kindly, the trigger on the ledger asks it for everybody, the owner of the tables included.

-- A fact about one prompt goes before the fact about the label of every prompt; gated null takes it back. Movers are of
-- the label alone. A condition that is null is not asked for; suite null is the prompt's own.
alter table label_policies
  alter column gated drop not null,
  add column prompt_name     text references prompts (name),
  add column suite           text,
  add column pass_rate_min   double precision check (pass_rate_min between 0 and 1),
  add column lower_bound_min double precision check (lower_bound_min between 0 and 1),
  add column repeats_min     integer check (repeats_min > 0),
  add column age_max_s       bigint check (age_max_s > 0),
  add column margin_max      double precision check (margin_max between 0 and 1),
  add column simulated       boolean not null default false,
  add check (gated is not null or prompt_name is not null),
  add check (prompt_name is null or movers is null);

alter table prompt_deployments
  drop constraint prompt_deployments_kind_check,
  add constraint prompt_deployments_kind_check check (kind in ('deploy', 'rollback', 'sync', 'break_glass')),
  -- The glass is never broken in silence.
  add constraint prompt_deployments_reason_check check (kind <> 'break_glass' or btrim(coalesce(reason, '')) <> '');

create trigger lock_registry before insert on label_policies for each statement execute function lock_registry();
create trigger lock_registry before insert on prompt_archives for each statement execute function lock_registry();
create trigger lock_registry before insert on prompt_deployments for each statement execute function lock_registry();

create or replace function may_move_label(p_label text, p_actor text) returns boolean language sql stable as $$
  select coalesce(
    (select p_actor in (select json_array_elements_text(movers))
       from (select movers from label_policies where label = p_label and prompt_name is null
              order by id desc limit 1) latest
      where movers is not null), true)
$$;

-- The policy in force for a label of a prompt, or that was at a time; null where there is none. Times in milliseconds, as
-- they are shown.
create function gate_policy(p_prompt text, p_label text, p_at timestamptz default 'infinity') returns label_policies
language sql stable as $$
  select * from (
    (select * from label_policies
      where label = p_label and prompt_name = p_prompt and date_trunc('milliseconds', created_at) <= p_at
      order by id desc limit 1)
    union all
    (select * from label_policies
      where label = p_label and prompt_name is null and date_trunc('milliseconds', created_at) <= p_at
      order by id desc limit 1)
  ) facts
  where gated is not null order by prompt_name nulls last limit 1
$$;

-- The suite that speaks for a prompt: the one that the policy names, else the one without a name of its own, else the only one.
create function suite_in_force(p_prompt text, p_suite text) returns evaluation_suites language sql stable as $$
  select * from evaluation_suites
   where prompt_name = p_prompt and suite = coalesce(p_suite, (
     select case when bool_or(suite = 'default') then 'default' when count(distinct suite) = 1 then min(suite) end
       from evaluation_suites where prompt_name = p_prompt))
   order by id desc limit 1
$$;

-- What judges are, whatever their number: a name and a checksum. A judge that is not registered has none.
create function judges_in_force(p_judges json) returns jsonb language sql stable as $$
  select coalesce(jsonb_agg(distinct jsonb_build_array(judge->>'name', v.checksum)), '[]')
    from json_array_elements(p_judges) judge
    left join prompt_versions v on v.name = judge->>'name' and v.version = (judge->>'version')::integer
$$;

create type deployment_decision as (
  refusal       text,
  message       text,
  command       text,
  evaluation_id bigint
);

create function refusal_of(p_refusal text, p_message text, p_command text, p_evaluation bigint default null)
returns deployment_decision language sql immutable as $$
  select p_refusal, p_message, p_command, p_evaluation
$$;

-- Every evaluation of this content by this suite, with the first thing that keeps it from being evidence; fault null: it
-- is evidence. Stale ones say nothing at all (rank 0). Of the others those decide that say yes or no (rank 2); the rest
-- is too little (rank 1), and a small run never hides a large one.
create function weigh_evaluations(
  p_version prompt_versions, p_suite evaluation_suites, p_policy label_policies, p_baseline_checksum text
) returns table (id bigint, fault text, rank integer) language sql stable as $$
  select e.id, f.fault,
         case when f.fault is null or f.fault in ('failed', 'below_threshold', 'inferior') then 2
              when f.fault in ('insufficient', 'too_few_repeats', 'too_uncertain', 'not_compared') then 1
              else 0 end
    from evaluations e,
         lateral (select jsonb_agg(distinct jsonb_build_array(j->>'name', j->>'checksum')) as judges
                    from json_array_elements(e.judges) j) ran,
         lateral (select case
           when e.suite_checksum <> p_suite.checksum then 'stale_suite'
           when coalesce(ran.judges, '[]') <> judges_in_force(p_suite.judges) then 'stale_judge'
           when e.model <> p_version.model then 'stale_model'
           when e.renderer_version <> (select max(version) from renderer_versions) then 'stale_renderer'
           when e.simulated and not coalesce(p_policy.simulated, false) then 'simulated'
           when least(e.started_at, e.created_at) < clock_timestamp() - make_interval(secs => p_policy.age_max_s)
             then 'stale_age'
           when e.verdict = 'failed' then 'failed'
           when e.verdict = 'insufficient' then 'insufficient'
           when e.pass_rate < p_policy.pass_rate_min then 'below_threshold'
           when p_policy.margin_max is not null and e.baseline_checksum = p_baseline_checksum
             and e.difference_lower < -p_policy.margin_max then 'inferior'
           when e.repeats < p_policy.repeats_min then 'too_few_repeats'
           when e.lower_bound < p_policy.lower_bound_min then 'too_uncertain'
           -- The suite chooses its confidence; a bound that the label asks for is none below the usual one.
           when e.confidence < 0.95 and coalesce(p_policy.lower_bound_min, p_policy.margin_max) is not null
             then 'too_uncertain'
           when p_policy.margin_max is not null and p_baseline_checksum is not null
             and (e.baseline_checksum is distinct from p_baseline_checksum or e.difference_lower is null)
             then 'not_compared'
         end as fault) f
   where e.prompt_name = p_version.name and e.version_checksum = p_version.checksum and e.suite = p_suite.suite
$$;

create function percent(p_rate double precision) returns text language sql immutable as $$
  select trim_scale(round((p_rate * 100)::numeric, 1)) || ' %'
$$;

-- Why an evaluation is no evidence, as half a sentence that follows "the evaluation of …".
create function explain_fault(p_fault text, e evaluations, p_policy label_policies, p_held integer) returns text
language sql stable as $$
  select case p_fault
    when 'stale_suite' then 'is of another text of the suite: the suite has changed since'
    when 'stale_judge' then 'was judged by another version of a judge than the one in force'
    when 'stale_model' then format('ran on another model (%s) than the version names', e.model)
    when 'stale_renderer' then format('was rendered by renderer %s, and %s is in force', e.renderer_version,
                                      (select max(version) from renderer_versions))
    when 'simulated' then 'has answers of the simulated provider, which prove nothing about a model'
    when 'stale_age' then format('is older than %s, which the label allows', make_interval(secs => p_policy.age_max_s))
    when 'failed' then format('failed: %s of %s passed', e.passed_count, e.trial_count)
    when 'insufficient' then format('is insufficient evidence: %s of %s passed', e.passed_count, e.trial_count)
    when 'below_threshold' then format('passed %s, and the label asks for %s', percent(e.pass_rate),
                                       percent(p_policy.pass_rate_min))
    when 'inferior' then format('may be worse than version %s by up to %s, and the label allows %s', p_held,
                                percent(-e.difference_lower), percent(p_policy.margin_max))
    when 'too_few_repeats' then format('tried each case %s, and the label asks for %s times',
                                       case e.repeats when 1 then 'once' else e.repeats || ' times' end,
                                       p_policy.repeats_min)
    when 'too_uncertain' then format('is insufficient evidence: %s of %s passed prove at least %s at %s confidence, and the label asks for %s',
                                     e.passed_count, e.trial_count, percent(e.lower_bound), percent(e.confidence),
                                     concat_ws(' with ', percent(p_policy.lower_bound_min),
                                               case when e.confidence < 0.95 then 'bounds at 95 %' end))
    when 'not_compared' then format('was not compared with version %s, which the label holds', p_held)
  end
$$;

-- Whether there is evidence for a version that satisfies a policy. p_held: what the label holds, null where nothing.
create function decide_evidence(p_prompt text, p_version integer, p_policy label_policies, p_held integer)
returns deployment_decision language plpgsql stable as $$
declare
  v_version prompt_versions;
  v_suite evaluation_suites := suite_in_force(p_prompt, p_policy.suite);
  v_baseline text;
  v_evaluation evaluations;
  v_fault text;
  v_other integer;
  v_name text := case when v_suite.suite = 'default' then 'suite' else format('suite "%s"', v_suite.suite) end;
  v_command text;
begin
  if v_suite.id is null then
    if p_policy.suite is null and exists (select from evaluation_suites where prompt_name = p_prompt) then
      return refusal_of('which_suite',
        format('"%s" has several suites (%s), and which one speaks for it is not said.', p_prompt,
               (select string_agg(distinct suite, ', ') from evaluation_suites where prompt_name = p_prompt)),
        format('promptgate gate set %s on --suite SUITE', coalesce(p_policy.label, 'LABEL')));
    end if;
    return refusal_of('no_suite',
      format('"%s" has no suite%s. Put %s.eval.yaml beside its definition and register it.', p_prompt,
             case when p_policy.suite is null then '' else format(' "%s"', p_policy.suite) end, p_prompt),
      'promptgate sync');
  end if;
  v_command := format('promptgate eval %s --version %s', p_prompt, p_version)
    || case when v_suite.suite <> 'default' then format(' --suite %s', v_suite.suite) else '' end
    || case when p_policy.repeats_min > 1 then format(' --repeats %s', p_policy.repeats_min) else '' end;

  select * into v_version from prompt_versions where name = p_prompt and version = p_version;
  if p_policy.margin_max is not null then
    select checksum into v_baseline from prompt_versions
     where name = p_prompt and version = p_held and checksum <> v_version.checksum;
    if v_baseline is not null then
      v_command := v_command || format(' --against %s', p_policy.label);
    end if;
  end if;
  select w.id, w.fault into v_evaluation.id, v_fault
    from weigh_evaluations(v_version, v_suite, p_policy, v_baseline) w order by w.rank desc, w.id desc limit 1;
  if v_evaluation.id is null then
    select version into v_other from evaluations
     where prompt_name = p_prompt and suite = v_suite.suite and version <> p_version order by id desc limit 1;
    return refusal_of('not_evaluated',
      format('Version %s of "%s" has not been evaluated by its %s.', p_version, p_prompt, v_name)
        || case when v_other is null then ''
                else format(' The latest evaluation is of version %s, which has other content.', v_other) end,
      v_command);
  elsif v_fault is null then
    return refusal_of(null, null, null, v_evaluation.id);
  end if;
  select * into v_evaluation from evaluations where id = v_evaluation.id;
  return refusal_of(v_fault,
    format('The evaluation of version %s of "%s" by its %s, of %s, %s.', p_version, p_prompt, v_name,
           to_char(v_evaluation.created_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),
           explain_fault(v_fault, v_evaluation, p_policy, p_held)),
    -- Running again what has failed would be gambling: the way out is a better version.
    case when v_fault in ('failed', 'below_threshold', 'inferior') then format('promptgate make %s', p_prompt)
         else v_command end,
    v_evaluation.id);
end $$;

drop function deployment_refusal(text, text, integer, text);

-- Whether a ledger row may be written, and on which evaluation it then stands. refusal null: it may.
create function decide_deployment(p_prompt text, p_label text, p_version integer, p_kind text, p_actor text)
returns deployment_decision language plpgsql stable as $$
declare
  v_policy label_policies := gate_policy(p_prompt, p_label);
  v_decision deployment_decision;
  v_held_before boolean := exists (select from prompt_deployments where prompt_name = p_prompt and label = p_label
                                                                    and to_version = p_version);
begin
  if is_archived(p_prompt, null) then
    return refusal_of('prompt_archived', format('"%s" is archived, so no version of it is deployed.', p_prompt),
                      format('promptgate archive %s --undo', p_prompt));
  elsif is_archived(p_prompt, p_version) then
    return refusal_of('version_archived',
      format('Version %s of "%s" is archived. Take it out again, or choose another.', p_version, p_prompt),
      format('promptgate archive %s %s --undo', p_prompt, p_version));
  elsif not may_move_label(p_label, p_actor) then
    return refusal_of('not_a_mover',
      format('Label "%s" is moved by certain keys only, and %s is none of them.', p_label, p_actor),
      format('promptgate gate show %s', p_label));
  elsif p_kind = 'rollback' and not v_held_before then
    return refusal_of('never_held',
      format('Label "%s" of "%s" never held version %s, so it cannot go back to it.', p_label, p_prompt, p_version),
      format('promptgate history %s --label %s', p_prompt, p_label));
  elsif p_kind in ('rollback', 'break_glass') or not coalesce(v_policy.gated, false) then
    return null;
  end if;
  v_decision := decide_evidence(p_prompt, p_version, v_policy,
    (select version from prompt_labels where prompt_name = p_prompt and label = p_label));
  if v_decision.refusal is not null then
    v_decision.message := format('Label "%s" is gated. ', p_label) || v_decision.message
      || case when v_held_before then
           format(' It held the version before; going back needs no evidence: promptgate rollback %s %s --to %s', p_prompt,
                  p_label, p_version) else '' end;
  end if;
  return v_decision;
end $$;

create or replace function check_deployment_allowed() returns trigger language plpgsql as $$
declare
  v_decision deployment_decision :=
    decide_deployment(new.prompt_name, new.label, new.to_version, new.kind, new.actor);
begin
  if v_decision.refusal is not null then
    raise exception 'version % of % may not be put on label % (%): %', new.to_version, new.prompt_name, new.label,
      v_decision.refusal, v_decision.message
      using errcode = 'restrict_violation', hint = coalesce(v_decision.command, '');
  end if;
  if new.evaluation_id is not null and new.evaluation_id is distinct from v_decision.evaluation_id then
    raise exception 'evaluation % is not what this move of label % of % stands on', new.evaluation_id, new.label,
      new.prompt_name using errcode = 'restrict_violation', hint = 'Leave evaluation_id out: it is filled in.';
  end if;
  new.evaluation_id := v_decision.evaluation_id;
  return new;
end $$;

-- Each label as its gate sees it now. unproven says why what it holds would not be let in again, null where it would; the
-- glass is broken until that version has passed, or the label holds another.
create view label_gates as
  select l.prompt_name, l.label, l.version, coalesce(policy.gated, false) as gated,
         evidence.refusal as unproven, evidence.message, evidence.command, evidence.evaluation_id,
         d.kind = 'break_glass' and case
           when coalesce(policy.gated, false) then evidence.refusal is not null
           else not exists (select from evaluations e join prompt_versions v
                              on v.name = e.prompt_name and v.checksum = e.version_checksum
                             where v.name = l.prompt_name and v.version = l.version and e.verdict = 'passed'
                               and not e.simulated and e.created_at > d.created_at)
         end as glass_broken,
         d.id as deployment_id, d.actor, d.reason, l.moved_at
    from prompt_labels l
    join prompt_deployments d on d.id = l.deployment_id
    left join lateral gate_policy(l.prompt_name, l.label) policy on true
    left join lateral decide_evidence(l.prompt_name, l.version, policy, l.version) evidence
      on coalesce(policy.gated, false);

-- The plain flag: whether the suite in force has passed a version as it would run now, and with which score. A gate may
-- ask for more.
create view prompt_versions_tested as
  select v.name, v.version, evidence.refusal is null as tested, evidence.refusal as untested, evidence.message,
         e.score, e.pass_rate, e.lower_bound, e.confidence, e.suite, e.verdict, e.id as evaluation_id, e.run_id,
         e.created_at as evaluated_at
    from prompt_versions v
    left join lateral decide_evidence(v.name, v.version, null, null) evidence on true
    left join evaluations e on e.id = evidence.evaluation_id;
