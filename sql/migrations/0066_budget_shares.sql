-- Shares that shrink as room does, so that any number of gateways finds some, and the time that the period lasts in place of
-- its end, so that no clock of a host is compared with the database's. The function of ten arguments is that of gateways
-- which have not been replaced yet.

-- Adds what is owed (below zero: gives it back) whatever the budget says, because it was spent; then takes p_amount for one
-- call, or p_ahead in its place as far as that is a twentieth of the room there is; where p_amount does not fit, what is left
-- if that is p_least or more, or nothing.
create function take_budget(
  p_scope text, p_subject text, p_measure text, p_period text, p_currency text, p_refuse_at numeric, p_starts timestamptz,
  p_owed numeric, p_amount numeric, p_ahead numeric, p_least numeric
) returns table (granted numeric, taken numeric, starts timestamptz, left_ms numeric) language plpgsql as $$
declare
  v_starts timestamptz := date_trunc(p_period, clock_timestamp() at time zone 'UTC') at time zone 'UTC';
  v_taken numeric;
  v_room numeric;
  v_granted numeric;
begin
  if p_owed <> 0 and p_starts is not null then
    update budget_windows w set taken = greatest(w.taken + p_owed, 0)
     where (w.scope, w.subject, w.measure, w.period, w.currency, w.starts)
         = (p_scope, p_subject, p_measure, p_period, p_currency, p_starts);
  end if;
  insert into budget_windows values (p_scope, p_subject, p_measure, p_period, p_currency, v_starts, 0)
  on conflict do nothing;
  select w.taken into v_taken from budget_windows w
   where (w.scope, w.subject, w.measure, w.period, w.currency, w.starts)
       = (p_scope, p_subject, p_measure, p_period, p_currency, v_starts)
   for update;
  v_room := p_refuse_at - v_taken;
  v_granted := case
    when v_room is null then greatest(p_amount, p_ahead)
    when p_amount <= v_room then greatest(p_amount, least(p_ahead, trunc(v_room / 20, 12)))
    when p_least <= v_room then v_room
    else 0 end;
  update budget_windows w set taken = v_taken + v_granted
   where (w.scope, w.subject, w.measure, w.period, w.currency, w.starts)
       = (p_scope, p_subject, p_measure, p_period, p_currency, v_starts);
  return query select v_granted, v_taken + v_granted, v_starts,
    1000 * extract(epoch from
      (v_starts at time zone 'UTC' + ('1 ' || p_period)::interval) at time zone 'UTC' - clock_timestamp());
end $$;
