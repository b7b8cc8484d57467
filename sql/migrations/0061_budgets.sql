-- Budgets: what a key, a prompt or a label may cost, or how often it may be called.
--
-- Gateways take a share of a budget ahead, in one transaction, and admit calls against it in memory. What is taken never
-- exceeds the budget, whoever asks at the same time; what a call cost beyond its estimate is added when it has settled.

-- Facts in order: the latest one of its subject, measure and period is in force. Without thresholds: no budget.
create table budgets (
  id         bigint generated always as identity primary key,
  scope      text not null check (scope in ('key', 'prompt', 'label')),
  -- Id of the key, name of the prompt or of the label.
  subject    text not null,
  measure    text not null check (measure in ('cost', 'requests', 'tokens')),
  period     text not null check (period in ('minute', 'day', 'month')),
  -- Of a cost.
  currency   text not null check (currency = case when measure = 'cost' then currency else '' end),
  refuse_at  numeric check (refuse_at > 0),
  warn_at    numeric check (warn_at > 0),
  actor      text not null,
  reason     text,
  created_at timestamptz not null default clock_timestamp(),
  check ((measure = 'cost') = (period in ('day', 'month')))
);
create index budgets_subject on budgets (scope, subject, measure, period, currency, id desc);
call make_append_only('budgets', false);

-- What was taken of a budget in one period. Kept: a day of a budget is a small row.
create table budget_windows (
  scope    text not null,
  subject  text not null,
  measure  text not null,
  period   text not null,
  currency text not null,
  starts   timestamptz not null,
  taken    numeric not null,
  primary key (scope, subject, measure, period, currency, starts)
)
with (fillfactor = 50);

-- Adds what is owed (below zero: gives it back) whatever the budget says, because it was spent; then takes p_wanted, or what
-- is left if that is p_least or more, or nothing. The period is the database's, so clocks of hosts do not matter.
create function take_budget(
  p_scope text, p_subject text, p_measure text, p_period text, p_currency text, p_refuse_at numeric, p_starts timestamptz,
  p_owed numeric, p_wanted numeric, p_least numeric
) returns table (granted numeric, taken numeric, starts timestamptz, ends timestamptz) language plpgsql as $$
declare
  v_starts timestamptz := date_trunc(p_period, clock_timestamp() at time zone 'UTC') at time zone 'UTC';
  v_taken numeric;
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
  v_granted := case
    when p_refuse_at is null or v_taken + p_wanted <= p_refuse_at then p_wanted
    when v_taken + p_least <= p_refuse_at then p_refuse_at - v_taken
    else 0 end;
  update budget_windows w set taken = v_taken + v_granted
   where (w.scope, w.subject, w.measure, w.period, w.currency, w.starts)
       = (p_scope, p_subject, p_measure, p_period, p_currency, v_starts);
  return query select v_granted, v_taken + v_granted, v_starts,
    (v_starts at time zone 'UTC' + ('1 ' || p_period)::interval) at time zone 'UTC';
end $$;
