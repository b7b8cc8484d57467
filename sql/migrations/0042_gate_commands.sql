-- A refusal names the command that supplies what is missing. Running again does not where the suite itself is what is too
-- small or too unsure.

-- Whether there is evidence for a version that satisfies a policy. p_held: what the label holds, null where nothing.
create or replace function decide_evidence(p_prompt text, p_version integer, p_policy label_policies, p_held integer)
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
           explain_fault(v_fault, v_evaluation, p_policy, p_held))
      || case when v_fault = 'too_uncertain' and v_evaluation.confidence < 0.95
                then ' Say `confidence: 0.95` in the suite and register it.'
              when v_fault in ('insufficient', 'too_uncertain') then ' More cases prove more, more tries do not.'
              else '' end,
    -- Running again what has failed would be gambling: the way out is a better version.
    -- What the cases cannot prove no number of tries does: it takes more cases, or a suite that is as sure as asked.
    case when v_fault in ('failed', 'below_threshold', 'inferior') then format('promptgate make %s', p_prompt)
         when v_fault = 'too_uncertain' and v_evaluation.confidence < 0.95
           then 'promptgate sync'
         when v_fault in ('insufficient', 'too_uncertain')
           then format('promptgate eval add %s --from-execution ID', p_prompt)
         else v_command end,
    v_evaluation.id);
end $$;
