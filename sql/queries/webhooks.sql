-- What webhooks took. The events themselves are read from what they tell of.

-- name: recordWebhookTaken
insert into webhook_deliveries (event_id) values ($1)
on conflict do nothing
