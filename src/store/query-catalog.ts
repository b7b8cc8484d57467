/** The named queries of sql/queries: loaded once at start-up, and the only SQL that the store sends. */
import { readdirSync, readFileSync } from 'node:fs';
import type postgres from 'postgres';

export type Sql = postgres.Sql | postgres.TransactionSql;
export type Argument = string | number | boolean | Date | null;
export type Row = Record<string, unknown>;

export interface QueryCatalog {
  readonly names: readonly string[];
  /** @throws Error — no such query: a fault of the program, so it fails start-up */
  get(name: string): string;
  /**
   * A function that runs the query prepared; looked up now, so that a missing name fails at start-up.
   * @param options.prepare false: planned anew each time, for a question whose plan depends on what it asks
   */
  bind(name: string, options?: { prepare: boolean }): (sql: Sql, ...args: Argument[]) => Promise<Row[]>;
}

const queriesDirectory = new URL('../../sql/queries/', import.meta.url);

/**
 * Reads every `*.sql` of the directory. A query begins at `-- name: camelCase` and ends at the next one.
 * @throws Error — a name occurs twice, or a name has no text
 */
export function loadQueries(directory: URL = queriesDirectory): QueryCatalog {
  const texts = new Map<string, string>();
  const files = readdirSync(directory).filter((file) => file.endsWith('.sql'));
  for (const file of files.sort()) {
    const [, ...sections] = readFileSync(new URL(file, directory), 'utf8').split(/^-- name: */m);
    for (const section of sections) {
      const end = section.indexOf('\n');
      const name = section.slice(0, end).trim();
      const text = withoutComments(section.slice(end));
      if (!/^[a-z][A-Za-z0-9]*$/.test(name) || text === '')
        throw new Error(`${file}: query "${name}" is empty`);
      if (texts.has(name)) throw new Error(`${file}: query "${name}" is named twice`);
      texts.set(name, text);
    }
  }
  return catalogOf(texts);
}

function withoutComments(text: string): string {
  return text.replace(/^\s*--.*$/gm, '').trim();
}

function catalogOf(texts: ReadonlyMap<string, string>): QueryCatalog {
  const get = (name: string) => {
    const text = texts.get(name);
    if (text === undefined) throw new Error(`sql/queries has no query "${name}"`);
    return text;
  };
  return {
    names: [...texts.keys()],
    get,
    bind(name, { prepare } = { prepare: true }) {
      const text = get(name);
      // unsafe() is postgres.js's name for "text from elsewhere"; `prepare` is off in it unless said.
      return async (sql, ...args) => {
        const query = sql.unsafe(text, args, { prepare });
        const rows = (await query).splice(0);
        // Scavenges copy a finished query again and again, with all that it holds, until the next full collection.
        Object.assign(query, { args: null, parameters: null });
        return rows;
      };
    },
  };
}
