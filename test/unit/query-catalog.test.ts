import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadQueries } from '../../src/store/query-catalog.ts';

describe('the query catalog', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'promptgate-queries-'));
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  function load(files: Record<string, string>) {
    for (const [file, text] of Object.entries(files)) writeFileSync(join(directory, file), text);
    return loadQueries(pathToFileURL(`${directory}/`));
  }

  it('reads queries by name, without their comments', () => {
    const queries = load({
      'a.sql': '-- About a.\n\n-- name: one\n-- Why.\nselect 1\n\n-- name: two\nselect 2 -- x\n',
    });
    expect(queries.names).toEqual(['one', 'two']);
    expect(queries.get('one')).toBe('select 1');
  });

  it('refuses a name that occurs twice, also in two files', () => {
    const twice = { 'a.sql': '-- name: one\nselect 1', 'b.sql': '-- name: one\nselect 2' };
    expect(() => load(twice)).toThrow('b.sql: query "one" is named twice');
  });

  it('refuses a name without text', () => {
    expect(() => load({ 'a.sql': '-- name: one\n-- Why.\n-- name: two\nselect 2' })).toThrow(
      'query "one" is empty',
    );
  });

  it('refuses to bind what does not exist', () => {
    expect(() => load({}).bind('gone')).toThrow('sql/queries has no query "gone"');
  });

  it('of the program loads', () => {
    expect(loadQueries().names.length).toBeGreaterThan(20);
  });
});
