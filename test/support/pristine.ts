/**
 * What a database is once it is migrated, and the way back there without migrating it again: of what tests write, only the
 * tables that they touched are emptied. Whoever changed the schema itself is told apart, and gets everything anew.
 */
import postgres from 'postgres';

export interface Pristine {
  /** Stands for every definition there is; `truncate` does not change it, any other statement about the schema does. */
  readonly schema: string;
  /** What migrations insert, as JSON, by table. */
  readonly rows: ReadonlyMap<string, string>;
}

/** Rows of catalogs carry the transaction that wrote them; `truncate` writes anew only into pg_class. */
const readSchema = `
  select md5(string_agg(part, ',' order by part)) as schema from (
    select concat_ws('|', 'c', oid, relname, relnamespace, relkind, relowner, relacl, reloptions, relhastriggers,
                     relrowsecurity, relispartition) as part from pg_class where oid >= 16384
    union all select concat_ws('|', 'a', attrelid, attnum, xmin) from pg_attribute where attrelid >= 16384 and attnum > 0
    union all select concat_ws('|', 'd', oid, xmin) from pg_attrdef
    union all select concat_ws('|', 'g', oid, xmin) from pg_trigger
    union all select concat_ws('|', 'k', oid, xmin) from pg_constraint where oid >= 16384
    union all select concat_ws('|', 'n', oid, xmin) from pg_namespace
    union all select concat_ws('|', 'p', oid, xmin) from pg_proc where oid >= 16384
    union all select concat_ws('|', 'r', oid, xmin) from pg_rewrite where oid >= 16384
    union all select concat_ws('|', 'y', oid, xmin) from pg_type where oid >= 16384
  ) parts`;

const readTouched = `
  select relname as name from pg_class
   where relnamespace = 'public'::regnamespace and relkind = 'r' and pg_relation_size(oid) > 0`;

const resetSequences = `
  select setval(format('public.%I', sequencename)::regclass, start_value, false)
    from pg_sequences where schemaname = 'public' and last_value is not null`;

async function connected<T>(url: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, fetch_types: false, prepare: false, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

/** Of a database that was migrated this moment. */
export function readPristine(url: string): Promise<Pristine> {
  return connected(url, async (sql) => {
    const [read] = await sql.unsafe(readSchema);
    const rows = new Map<string, string>();
    for (const { name } of await sql.unsafe(readTouched)) {
      const [table] = await sql.unsafe(`select json_agg(t)::text as rows from public.${name} t`);
      if (table?.rows) rows.set(name, table.rows);
    }
    return { schema: read?.schema, rows };
  });
}

/** @returns false, and nothing is done, when the schema is not what it was */
export function restorePristine(url: string, { schema, rows }: Pristine): Promise<boolean> {
  return connected(url, async (sql) => {
    await sql.unsafe('deallocate all; unlisten *');
    const [read] = await sql.unsafe(readSchema);
    if (read?.schema !== schema) return false;
    const touched = (await sql.unsafe(readTouched)).map(({ name }) => `public.${name}`);
    await sql.begin(async (tx) => {
      // What may never change, and who hears of every change, is not asked.
      await tx.unsafe('set local session_replication_role = replica');
      await tx.unsafe(`truncate ${touched.join()} cascade`);
      await tx.unsafe(resetSequences);
      for (const [name, json] of rows) {
        await tx.unsafe(
          `insert into public.${name} select * from json_populate_recordset(null::public.${name}, $1::text::json)`,
          [json],
        );
      }
    });
    return true;
  });
}
