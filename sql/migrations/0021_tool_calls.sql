-- What a model asked its caller to run: [{id, name, arguments}], the arguments as text because a model may write any. Null:
-- nothing. json, not jsonb, as the input payload: what was said is kept as it was said.
alter table ai_executions add column tool_calls json;
