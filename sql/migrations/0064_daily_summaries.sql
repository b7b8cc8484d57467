-- Summaries of a day's costs that a webhook is told. The row is the claim: of any number of gateways that want to post a
-- day, one writes it, and all of them post what it says under the same id, so that a receiver tells a repetition.

create table daily_summaries (
  -- UTC.
  day        date primary key,
  -- The event as it is posted, whoever posts it and however often. totals: what it says of the whole day, to be compared
  -- with what the sums say later.
  event      json not null check (json_typeof(event) = 'object'),
  totals     json not null check (json_typeof(totals) = 'object'),
  actor      text not null,
  created_at timestamptz not null default clock_timestamp()
);
call make_append_only('daily_summaries', true);

-- That it was taken. Without this row a summary is posted again: at least once, never only nearly.
create table daily_summary_deliveries (
  day      date primary key references daily_summaries (day),
  actor    text not null,
  taken_at timestamptz not null default clock_timestamp()
);
call make_append_only('daily_summary_deliveries', false);
