-- What a model thought before it answered, as far as its provider showed it: [{text, signature?, encrypted?, id?}]. Null:
-- nothing. json, not jsonb: what is sent back to the provider has to be what came.
alter table ai_executions add column reasoning json;
