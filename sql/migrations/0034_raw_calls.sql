-- Whether a key may make calls that name no prompt. Null: only a key that is limited to nothing may, and only where the
-- gateway lets such calls through. check_key_change covers this column like every other.
alter table api_keys add column raw boolean;
