-- Queries of the migrator.

-- name: lockMigrations
-- Held until the transaction ends, so any number of processes may start at once. Not a session lock: connections of the
-- embedded database share one session.
select pg_advisory_xact_lock(hashtextextended('promptgate.migrations', 0))

-- name: createMigrations
create table if not exists schema_migrations (
  version    integer primary key,
  name       text not null,
  checksum   text not null,
  applied_at timestamptz not null default clock_timestamp()
)

-- name: listMigrations
select version, name, checksum, applied_at from schema_migrations order by version

-- name: insertMigration
insert into schema_migrations (version, name, checksum) values ($1::integer, $2, $3)

-- name: hasMigrations
select to_regclass('schema_migrations') is not null as present

-- name: serverVersion
select current_setting('server_version_num')::integer as number, current_setting('server_version') as name

-- name: unlimitStatement
-- A migration may take as long as it takes; local to its transaction.
set local statement_timeout = 0
