-- Budgets: facts, and what is taken of them.

-- name: listBudgets
-- Those in force, with what is taken of their present period. Few.
select b.*, coalesce(w.taken, 0) as taken
  from (select distinct on (scope, subject, measure, period, currency) * from budgets
         order by scope, subject, measure, period, currency, id desc) b
  left join budget_windows w
    on (w.scope, w.subject, w.measure, w.period, w.currency) = (b.scope, b.subject, b.measure, b.period, b.currency)
   and w.starts = date_trunc(b.period, clock_timestamp() at time zone 'UTC') at time zone 'UTC'
 where b.refuse_at is not null or b.warn_at is not null
 order by b.scope, b.subject, b.measure, b.period

-- name: insertBudget
insert into budgets (scope, subject, measure, period, currency, refuse_at, warn_at, actor, reason)
values ($1, $2, $3, $4, $5, $6::text::numeric, $7::text::numeric, $8, $9)

-- name: takeBudget
-- See the function for how it locks: one row, for one short statement.
select * from take_budget($1, $2, $3, $4, $5, $6::text::numeric, $7::timestamptz, $8::text::numeric, $9::text::numeric,
  $10::text::numeric, $11::text::numeric)
