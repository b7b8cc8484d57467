-- Who may move a label, of every prompt: actors as the ledger names them. Null: whoever has the scope. Named and not
-- referenced, so that a key that is rotated under its name goes on.
alter table label_policies add column movers json check (json_typeof(movers) = 'array');

create function may_move_label(p_label text, p_actor text) returns boolean language sql stable as $$
  select coalesce(
    (select p_actor in (select json_array_elements_text(movers))
       from (select movers from label_policies where label = p_label order by id desc limit 1) latest
      where movers is not null), true)
$$;

create or replace function check_deployment_allowed() returns trigger language plpgsql as $$
declare
  v_refusal text := deployment_refusal(new.prompt_name, new.label, new.to_version, new.kind);
begin
  if v_refusal is null and not may_move_label(new.label, new.actor) then
    v_refusal := 'not_a_mover';
  end if;
  if v_refusal is not null then
    raise exception 'version % of % may not be put on label % (%)', new.to_version, new.prompt_name, new.label, v_refusal
      using errcode = 'restrict_violation';
  end if;
  return new;
end $$;
