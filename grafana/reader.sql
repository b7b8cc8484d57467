-- A role for dashboards: reads the sums, the ledger and what evaluations came to. It cannot read what callers sent, what
-- models answered, prompts, or the hashes of keys. Run it as the owner of the tables who may also create roles (or as a
-- superuser), again after an upgrade; it may run any number of times:
--
--   psql "$DATABASE_URL" -v password="$PROMPTGATE_GRAFANA_DB_PASSWORD" -f grafana/reader.sql

select 'create role promptgate_reader' where not exists (select from pg_roles where rolname = 'promptgate_reader') \gexec
alter role promptgate_reader login password :'password' connection limit 5;

-- No dashboard is worth the database: a question that takes longer is asked of the wrong table.
alter role promptgate_reader set statement_timeout = '10s';
alter role promptgate_reader set default_transaction_read_only = on;

-- begin grants
grant usage on schema public to promptgate_reader;
grant select on
  execution_rollups, execution_rollups_daily, prompt_deployments, prompt_labels, label_policies
  to promptgate_reader;
-- Not the cases: they hold answers.
grant select (id, run_id, prompt_name, version, suite, verdict, score, threshold, pass_rate, lower_bound, created_at)
  on evaluations to promptgate_reader;
grant select on drift_runs, drift_findings, probe_runs to promptgate_reader;
-- Neither reasons nor failures: they say what was answered.
grant select (run_id, outcome, case_count, trial_count, passed_count, call_count, cost, currency, rollback_deployment_id)
  on probe_outcomes to promptgate_reader;
-- Not why somebody set them.
grant select (id, scope, subject, measure, period, currency, refuse_at, warn_at) on budgets to promptgate_reader;
grant select on budget_windows to promptgate_reader;
-- Not the hash.
grant select (id, name) on api_keys to promptgate_reader;
-- end grants
