// The tables and statements of a call could be spread over several servers by the id of the execution: docs/scale.md.
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadQueries } from '../../src/store/query-catalog.ts';
import { databases, type TestDatabase } from '../support/databases.ts';

/** Tables that grow with the number of calls, and their distribution column. */
const hot = {
  ai_execution_intents: 'id',
  ai_executions: 'id',
  ai_execution_late_outcomes: 'execution_id',
  execution_rollup_pending: 'execution_id',
} as const;
const names = Object.keys(hot);

/** What a call runs, and what looks at one. */
const statements = [
  'insertIntents',
  'settleExecutions',
  'keepLateOutcomes',
  'findExecution',
  'findLateOutcome',
  'lockExpiredIntents',
];

describe('what a call touches could be distributed by its id', () => {
  let database: TestDatabase;
  let sql: postgres.Sql;

  beforeAll(async () => {
    database = await databases[0]!.create();
    sql = postgres(database.url, { max: 1 });
  });
  afterAll(async () => {
    await sql?.end();
    await database?.drop();
  });

  it('has the id in each unique constraint; a claim alone is of a key, and goes by its scope', async () => {
    const found = await sql`
      select i.indrelid::regclass::text as name,
             (select array_agg(a.attname::text) from pg_attribute a where a.attrelid = i.indrelid and a.attnum = any (i.indkey)) as columns
        from pg_index i where i.indisunique and i.indrelid = any (${[...names, 'idempotency_keys']}::regclass[])`;
    const without = found.filter(({ name, columns }) => {
      const column = name === 'idempotency_keys' ? 'scope' : hot[name as keyof typeof hot];
      return !columns.includes(column);
    });
    expect(found.length).toBeGreaterThanOrEqual(4);
    expect(without).toEqual([]);
  });

  it('has no foreign key to or from anything, no exclusion, no sequence and no generated column', async () => {
    const keys = await sql`
      select conrelid::regclass::text, contype from pg_constraint
       where contype in ('f', 'x') and (conrelid = any (${names}::regclass[]) or confrelid = any (${names}::regclass[]))`;
    const generated = await sql`
      select attrelid::regclass::text, attname from pg_attribute a left join pg_attrdef d on (adrelid, adnum) = (attrelid, attnum)
       where attrelid = any (${names}::regclass[]) and attnum > 0
         and (attidentity <> '' or attgenerated <> '' or pg_get_expr(adbin, adrelid) ilike '%nextval%')`;
    expect([...keys, ...generated]).toEqual([]);
  });

  it('has the id required, of one type everywhere, and no deeper partitions than one', async () => {
    const columns = await sql`
      select c.table_name, c.is_nullable, c.data_type from information_schema.columns c
       where (c.table_name, c.column_name) in (select * from unnest(${names}::text[], ${Object.values(hot)}::text[]))`;
    expect(new Set(columns.map(({ is_nullable, data_type }) => `${is_nullable} ${data_type}`))).toEqual(
      new Set(['NO uuid']),
    );
    expect(columns).toHaveLength(names.length);
    const nested = await sql`select 1 from pg_inherits i join pg_inherits p on p.inhrelid = i.inhparent`;
    expect([...nested]).toEqual([]);
  });

  it('has no triggers but those that the page names, none of them for each row', async () => {
    const triggers = await sql`
      select tgrelid::regclass::text || ' ' || tgname as name, tgtype & 1 = 1 as each_row from pg_trigger
       where tgrelid = any (${[...names, 'idempotency_keys']}::regclass[]) and not tgisinternal order by 1`;
    expect(triggers.map(({ name }) => name)).toEqual([
      'ai_execution_late_outcomes note_later_costs',
      'ai_execution_late_outcomes refuse_change',
      'ai_executions note_settled_executions',
      'ai_executions refuse_change',
    ]);
    expect(triggers.filter(({ each_row }) => each_row)).toEqual([]);
  });

  it('finds its rows by the id, and joins its tables on nothing else', () => {
    const queries = loadQueries();
    let joins = 0;
    for (const statement of statements) {
      const text = queries.get(statement);
      // `from` and `join` give a hot table a short name; the first of a statement is what it looks through.
      const others = [
        ...text.matchAll(
          /\b(?:from|join) (ai_executions|ai_execution_intents|ai_execution_late_outcomes) (\w)\b/g,
        ),
      ].slice(statement === 'lockExpiredIntents' || statement === 'findLateOutcome' ? 1 : 0);
      for (const [, table, alias] of others) {
        joins += 1;
        const column = hot[table as keyof typeof hot];
        expect(text, `${statement}: ${table}`).toMatch(
          new RegExp(`\\b${alias}\\.${column} = (\\w\\.(execution_)?id|\\(r\\.value ->> 'id'\\)::uuid)`),
        );
      }
      expect(text, statement).not.toMatch(
        /\b(update|delete from|insert into)\s+(?!ai_|idempotency_keys|of\b)\w/,
      );
    }
    expect(joins).toBeGreaterThanOrEqual(4);
    expect(queries.get('settleExecutions')).toContain(
      'delete from ai_execution_intents where id = any (array(select id from settled))',
    );
  });
});
