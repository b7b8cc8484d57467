-- What is known of an answer that was handed over while it was made. All null: the answer was given whole, at its end.

alter table ai_executions
  -- From the arrival of the request to the first content.
  add column time_to_first_token_ms double precision,
  -- UTF-8 bytes of content that were handed to the caller's connection.
  add column delivered_bytes bigint,
  -- When the caller went away, or was given up because it did not read; null when it stayed.
  add column disconnected_at timestamptz;
