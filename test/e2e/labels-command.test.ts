import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorTable } from '../../src/domain/errors.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { definition, startGateway, type TestGateway } from '../support/gateway.ts';
import { runAgainst } from '../support/run-against.ts';

const files = {
  ...Object.fromEntries(
    [1, 2, 3].map((version) => [
      `greet/${version}.prompt`,
      definition('greet', version, 'gpt-4o-mini', `Greet {{name}} in ${version} words.`),
    ]),
  ),
  'greet/4.prompt': definition('greet', 4, 'gpt-4o-mini', 'Greet {{name}}.', 'output: { format: json }\n'),
};

/** On one database: the commands speak HTTP, whose routes are tested on both. */
describe('the commands about labels', () => {
  let database: TestDatabase;
  let gateway: TestGateway;

  beforeAll(async () => {
    database = await databases[0]!.create();
    gateway = await startGateway(database, { files });
  });
  afterAll(async () => {
    await gateway?.close();
    await database?.drop();
  });

  const command = (...args: string[]) => runAgainst(gateway, tmpdir(), args);

  it('answer what runs, since when, who put it there and why, and what ran before that', async () => {
    const moved = await command('deploy', 'greet', 'production', '1', '--reason', 'calmer', '--breaking');
    expect([moved.code, moved.out]).toEqual([0, expect.stringContaining('greet production: v4 → v1')]);
    const then = new Date().toISOString();
    await command('deploy', 'greet', 'production', 'v2', '--reason', 'livelier', '--git-commit', 'c0ffee');
    const now = await command('labels', 'greet');
    expect(now.out).toMatch(/greet +production +v2 +\S+ \S+, \d+ s ago +v1 +deploy +key:admin-\w+ +livelier/);
    expect((await command('labels', 'greet', '--at', then)).out).toMatch(/production +v1 .* calmer/);
    expect((await command('labels', '--at', '1d')).out).toContain('No label was set.');
    const history = await command('history', 'greet', '--label', 'production', '--limit', '2');
    expect(history.out).toMatch(/v1 → v2 +deploy .* livelier +c0ffee\n.*v4 → v1 +deploy .* calmer/);
    expect(history.out).toMatch(/older: --cursor \d+/);
  });

  it('go back twice, and say when there is nothing left to go back to', async () => {
    await command('deploy', 'greet', 'beta', '1', '--reason', 'first');
    await command('deploy', 'greet', 'beta', '2', '--reason', 'second');
    const back = await command('rollback', 'greet', 'beta', '--reason', 'worse');
    expect([back.code, back.out]).toEqual([0, expect.stringContaining('greet beta: v2 → v1')]);
    const again = await command('rollback', 'greet', 'beta');
    expect([again.code, again.err]).toEqual([
      errorTable.conflict.exitCode,
      expect.stringContaining('Nothing ran before version 1'),
    ]);
    expect((await command('rollback', 'greet', 'nowhere')).code).toBe(errorTable.not_found.exitCode);
  });

  it.each([
    { args: ['labels', 'greeet'], says: 'There is no prompt of that name' },
    { args: ['history', 'greeet'], says: 'There is no prompt of that name' },
    { args: ['deploy', 'greeet', 'beta', '1', '--reason', 'x'], says: 'There is no prompt of that name' },
    { args: ['deploy', 'greet', 'beta', '9', '--reason', 'x'], says: 'it has 1, 2, 3, 4' },
  ])('say that there is no such thing instead of nothing: $args', async ({ args, says }) => {
    const { code, err } = await command(...args);
    expect([code, err]).toEqual([errorTable.not_found.exitCode, expect.stringContaining(says)]);
  });

  it('refuse a move from what the label no longer holds, a break that was not meant, and a move without a reason', async () => {
    const { conflict, invalid_request } = errorTable;
    const deploy = (...more: string[]) => command('deploy', 'greet', 'alpha', ...more);
    expect((await deploy('1', '--reason', 'new', '--expect', '3')).code).toBe(conflict.exitCode);
    expect((await deploy('1', '--reason', 'new', '--expect', 'none')).code).toBe(0);
    const broken = await deploy('4', '--reason', 'json now');
    expect([broken.code, broken.err]).toEqual([conflict.exitCode, expect.stringContaining('--breaking')]);
    expect((await deploy('4', '--reason', 'json now', '--breaking')).code).toBe(0);
    expect((await deploy('2')).code).toBe(invalid_request.exitCode);
    expect((await deploy('latest', '--reason', 'x')).code).toBe(invalid_request.exitCode);
    expect((await deploy('2', '--reason', ' ')).code).toBe(invalid_request.exitCode);
    expect((await deploy('4', '--reason', 'again')).out).toContain('already');
  });

  it('archive, gate, and speak JSON', async () => {
    const archived = await command('archive', 'greet', '3', '--reason', 'unused');
    expect(archived.out.trim()).toBe('greet v3 is archived.');
    expect((await command('deploy', 'greet', 'alpha', '3', '--reason', 'x', '--breaking')).code).toBe(
      errorTable.conflict.exitCode,
    );
    expect((await command('archive', 'greet', '3', '--undo')).out).toContain('not archived');
    expect((await command('gate', 'set', 'guarded', 'on', '--reason', 'policy 7')).code).toBe(0);
    expect((await command('gate', 'show', 'guarded')).out).toMatch(
      /every +on +its suite passed +anyone +key:admin-\w+ +policy 7/,
    );
    const refused = await command('deploy', 'greet', 'guarded', '1', '--reason', 'x', '--json');
    expect(JSON.parse(refused.out).error.code).toBe('conflict');
    const labels = JSON.parse((await command('labels', '--json', '--label', 'production')).out);
    expect(labels.data).toMatchObject([{ prompt: 'greet', label: 'production', gated: false }]);
  });

  it('create keys that are limited, and show it', async () => {
    const options = ['--scope', 'execute', '--prompts', 'billing-*', 'greet', '--labels', 'staging'];
    const created = await command('keys', 'create', 'limited', ...options);
    expect([created.code, created.err]).toEqual([0, expect.stringContaining('billing-*, greet only')]);
    expect((await command('keys', 'list')).out).toMatch(/limited .* execute +billing-\* greet +staging/);
    for (const [raw, told] of [
      ['allow', 'allowed'],
      ['refuse', 'refused'],
    ] as const) {
      const { err } = await command('keys', 'create', `raw-${raw}`, '--raw', raw);
      expect(err).toContain(`raw calls ${told}`);
    }
    const answer = await gateway.execute('greet', { variables: { name: 'A' } }, { key: created.out.trim() });
    expect(answer.status).toBe(403);
  });

  it('print what somebody wrote as a reason without anything that a terminal would obey', async () => {
    await command('deploy', 'greet', 'gamma', '1', '--reason', 'one\n\u001b[31mtwo\u001b[0m');
    const { out } = await command('labels', 'greet', '--label', 'gamma');
    expect(out).not.toContain('\u001b');
    expect(out).toContain('one [31mtwo');
  });
});
