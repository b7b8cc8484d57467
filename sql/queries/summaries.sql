-- Summaries of days that a webhook is told.

-- name: findDailySummary
select s.event, s.totals, d.taken_at,
       extract(epoch from clock_timestamp() - s.created_at)::double precision * 1000 as age_ms
  from daily_summaries s left join daily_summary_deliveries d on d.day = s.day
 where s.day = $1::date

-- name: claimDailySummary
-- Who comes second inserts nothing and posts what the first has written.
insert into daily_summaries (day, event, totals, actor)
values ($1::date, $2::text::json, $3::text::json, $4)
on conflict do nothing
returning day::text

-- name: recordDailySummaryTaken
insert into daily_summary_deliveries (day, actor) values ($1::date, $2)
on conflict do nothing

-- name: listDailySummaryTotals
select day::text, totals from daily_summaries where day >= $1::date and day < $2::date order by daily_summaries.day

-- name: listUntakenDays
-- A day that nobody has claimed either, because no gateway ran, is due; but none before the first that ever was.
select d.day::text as day
  from (select $1::date + i as day from generate_series(0, $2::date - $1::date - 1) i) d
 where d.day >= (select min(s.day) from daily_summaries s)
   and not exists (select from daily_summary_deliveries t where t.day = d.day)
 order by d.day

-- name: listBudgetsOfDay
-- Those in force now, with what was taken in the day, or in the month, that the day lies in. A budget that was lifted since
-- is not told.
select b.scope, b.subject, b.measure, b.period, b.currency, b.refuse_at, b.warn_at, trim_scale(w.taken)::text as taken
  from (select distinct on (scope, subject, measure, period, currency) * from budgets
         order by scope, subject, measure, period, currency, id desc) b
  join budget_windows w
    on (w.scope, w.subject, w.measure, w.period, w.currency) = (b.scope, b.subject, b.measure, b.period, b.currency)
   and w.starts = date_trunc(b.period, $1::date::timestamp) at time zone 'UTC'
 where (b.refuse_at is not null or b.warn_at is not null) and b.period <> 'minute'
 order by b.scope, b.subject, b.measure, b.period
