-- Queries on api_keys. Writes are registry writes: lockRegistry comes first.

-- name: listKeys
-- Revoked ones too: an answer "revoked" is better than "unknown", and there are few.
select * from api_keys order by created_at, id

-- name: insertKey
insert into api_keys (id, name, prefix, hash, scopes, prompts, labels, raw, created_at, created_by, revoked_at)
values ($1, $2, $3, $4, $5::text::json, $6::text::json, $7::text::json, $8::boolean, $9::timestamptz, $10, $11::timestamptz)

-- name: findKey
-- An id beats a name; of several keys with one name the one in force, else the one revoked last.
select * from api_keys where id = $1 or name = $1
 order by id = $1 desc, revoked_at desc nulls first
 limit 1

-- name: revokeKey
update api_keys set revoked_at = clock_timestamp() where id = $1 and revoked_at is null returning *
