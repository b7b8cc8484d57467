-- A finding is known (drift_findings.known_since) if every run that compared its subject since has found it too. So a run has
-- to be one run, and a value has to be told apart from the sentence that tells it.

-- The time that a run by the clock fell due is its name: it is one run however often the job library gives it out. Null:
-- somebody asked for it.
alter table drift_runs add column due_at timestamptz unique;

-- What was new of a model, a fingerprint or a price: another one is news though the measure is the same. Null: it is not
-- of that kind.
alter table drift_findings add column new_values text[];
