import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databases, type TestDatabase } from '../support/databases.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { createRepository, prompt, type TestRepository } from '../support/repository.ts';
import { runAgainst } from '../support/run-against.ts';

describe.each(databases)('files in git and the registry, on $name', ({ create }) => {
  let database: TestDatabase;
  let gateway: TestGateway;
  const repositories: TestRepository[] = [];

  beforeAll(async () => {
    database = await create();
    gateway = await startGateway(database, { files: {} });
  });
  afterAll(async () => {
    await gateway.close();
    await database.drop();
    for (const repository of repositories) repository.drop();
  });

  function repositoryWith(files: Record<string, string> = {}) {
    const repository = createRepository(files);
    repositories.push(repository);
    return { ...repository, run: (...args: string[]) => runAgainst(gateway, repository.directory, args) };
  }

  const versionsOf = (name: string) =>
    gateway.query(
      `select version, author, git_commit, git_message from prompt_versions where name = '${name}' order by version`,
    );

  it('records author, commit and message of each file, and none for what is not committed', async () => {
    const { write, commit, run } = repositoryWith({ 'prompts/a.prompt': prompt('git-a', 1, 'One {{text}}') });
    const first = commit('Add a\n\nBecause we need it.', 'Grace <grace@example.com>');
    write('prompts/b.prompt', prompt('git-b', 1, 'Go {{text}}', 'author: Team B\n'));
    const second = commit('Add b');
    write('prompts/c.prompt', prompt('git-c', 1, 'Not committed {{text}}'));
    expect((await run('sync')).code).toBe(0);
    expect(await versionsOf('git-a')).toEqual([
      {
        ...{ version: 1, author: 'Grace <grace@example.com>', git_commit: first },
        git_message: 'Add a\n\nBecause we need it.',
      },
    ]);
    expect(await versionsOf('git-b')).toMatchObject([
      { author: 'Team B', git_commit: second, git_message: 'Add b' },
    ]);
    expect(await versionsOf('git-c')).toMatchObject([{ author: null, git_commit: null, git_message: null }]);
  });

  it('rolls production back by git revert and sync --deploy, and the ledger says why', async () => {
    const { write, commit, git, run } = repositoryWith({
      'prompts/back.prompt': prompt('back', 1, 'Three sentences: {{text}}'),
    });
    const first = commit('Summaries');
    await run('sync', '--deploy', 'production');
    write('prompts/back.prompt', prompt('back', 2, 'Two sentences: {{text}}'));
    const second = commit('Shorter summaries');
    await run('sync', '--deploy', 'production');
    const execute = async () => (await gateway.execute('back', { variables: { text: 'x' } })).body.version;
    expect(await execute()).toBe(2);

    git('revert', '--no-edit', 'HEAD');
    const revert = git('rev-parse', 'HEAD').trim();
    const { code, out } = await run('sync', '--deploy', 'production');
    expect([code, out]).toEqual([0, expect.stringContaining('moved   back production: v2 → v1')]);
    expect(await execute()).toBe(1);
    const ledger = await gateway.query(
      "select kind, from_version, to_version, reason, git_commit from prompt_deployments where prompt_name = 'back' order by id",
    );
    expect(ledger).toEqual([
      { kind: 'sync', from_version: null, to_version: 1, reason: 'Summaries', git_commit: first },
      { kind: 'sync', from_version: 1, to_version: 2, reason: 'Shorter summaries', git_commit: second },
      {
        kind: 'rollback',
        from_version: 2,
        to_version: 1,
        reason: 'Revert "Shorter summaries"',
        git_commit: revert,
      },
    ]);
    expect((await run('sync', '--deploy', 'production')).out).not.toContain('moved');
    expect((await run('check', '--against', second)).code).toBe(0);
  });

  it('walks the history: every version that ever was on the main line, each with its own partials and commit', async () => {
    const { write, remove, commit, git, run } = repositoryWith({
      'prompts/_tone.prompt': 'Be kind.',
      'prompts/past.prompt': prompt('past', 1, '{{> tone}} {{text}}'),
      'prompts/gone.prompt': prompt('gone', 1, 'Gone {{text}}'),
    });
    const first = commit('First');
    write('prompts/_tone.prompt', 'Be brief.');
    write('prompts/past.prompt', prompt('past', 2, '{{> tone}} {{text}}'));
    commit('Second');
    write('prompts/past.prompt', 'broken');
    const broken = commit('Oops');
    remove('prompts/gone.prompt');
    write('prompts/past.prompt', prompt('past', 3, 'Three {{text}}'));
    commit('Third');
    git('checkout', '-q', '-b', 'branch');
    write('prompts/past.prompt', prompt('past', 4, 'Draft {{text}}'));
    commit('A draft of four');
    write('prompts/past.prompt', prompt('past', 4, 'Four {{text}}'));
    const fourth = commit('Four', 'Grace <grace@example.com>');
    git('checkout', '-q', 'main');
    write('prompts/other.prompt', prompt('past-other', 1, 'Go {{text}}'));
    commit('Meanwhile');
    git('merge', '-q', '--no-ff', '-m', 'Merge the branch', 'branch');

    const { code, out } = await run('sync', '--history', '--deploy', 'production');
    expect(code).toBe(0);
    expect(out).toContain(`${broken.slice(0, 8)} skipped past.prompt: line 1: `);
    expect(out).toContain('history: 6 commits, 6 synced, 1 skipped');
    expect(out).toContain('0 synced, 2 unchanged, 0 skipped, 0 failed');
    expect(await versionsOf('past')).toMatchObject([
      { version: 1, git_commit: first, author: 'Ada <ada@example.com>' },
      { version: 2 },
      { version: 3 },
      { version: 4, git_commit: fourth, author: 'Grace <grace@example.com>', git_message: 'Four' },
    ]);
    expect(await versionsOf('gone')).toHaveLength(1);
    const partials = await gateway.query(
      "select partials from prompt_versions where name = 'past' order by version",
    );
    expect(partials.map((row) => row.partials.tone)).toEqual(['Be kind.', 'Be brief.', undefined, undefined]);
    const [label] = await gateway.query("select version from prompt_labels where prompt_name = 'past'");
    expect(label.version).toBe(4);
    expect((await run('sync', '--history')).out).toContain('history: 6 commits, 0 synced, 1 skipped');
  });

  it('shows what differs between versions, labels, files and git refs', async () => {
    const { write, commit, run } = repositoryWith({
      'prompts/differ.prompt': prompt('differ', 1, 'Return three sentences: {{text}}'),
    });
    commit('One');
    await run('sync', '--deploy', 'production');
    write(
      'prompts/differ.prompt',
      prompt(
        'differ',
        2,
        'Return two sentences: {{text}}',
        'config: { temperature: 0.5 }\n',
        '{ text: string, tone: string }',
      ),
    );
    await run('sync');
    const expected = [
      'messages',
      '{{role "user"}}',
      'Return [-three-]{+two+} sentences: {{text}}',
      'parameters',
      '  config.temperature: (not set) → 0.5',
      'contract',
      '  BREAKS input.tone: New and required: callers have to send it.',
    ].join('\n');
    for (const sides of [
      ['1', '2'],
      ['production', 'files'],
      ['git:HEAD'],
      ['git:HEAD', 'prompts/differ.prompt'],
    ]) {
      const { code, out } = await run('diff', 'differ', ...sides);
      expect(code).toBe(0);
      expect(out.split('\n').slice(1).join('\n')).toBe(expected);
    }
    const json = JSON.parse((await run('diff', 'differ', '1', '2', '--json')).out);
    expect(json).toMatchObject({
      from: { version: 1 },
      to: { version: 2 },
      identical: false,
      breaking: true,
    });
    expect((await run('diff', 'differ', '2', 'files')).out).toContain(
      'Nothing that is sent or checked differs.',
    );
    expect((await run('diff', 'differ', '9', 'files')).code).toBe(5);
    expect((await run('diff', 'nobody', 'files', 'files')).code).toBe(5);
  });

  it('takes no history from a shallow clone: most of it is not there', async () => {
    const { write, commit, git, directory } = repositoryWith({
      'prompts/a.prompt': prompt('shallow', 1, 'One {{text}}'),
    });
    commit('One');
    write('prompts/a.prompt', prompt('shallow', 2, 'Two {{text}}'));
    commit('Two');
    const clone = repositoryWith();
    git('clone', '-q', '--depth', '1', `file://${directory}`, `${clone.directory}/clone`);
    const refused = await runAgainst(gateway, `${clone.directory}/clone`, ['sync', '--history']);
    expect([refused.code, refused.err]).toEqual([5, expect.stringContaining('fetch --unshallow')]);
    expect(await versionsOf('shallow')).toEqual([]);
  });

  it('syncs a directory that is in no repository, and says so when its history is asked for', async () => {
    const { directory } = repositoryWith({ 'prompts/a.prompt': prompt('no-git', 1, 'Go {{text}}') });
    rmSync(`${directory}/.git`, { recursive: true });
    expect((await runAgainst(gateway, directory, ['sync'])).code).toBe(0);
    const refused = await runAgainst(gateway, directory, ['sync', '--history']);
    expect([refused.code, refused.err]).toEqual([5, expect.stringContaining('in no git repository')]);
  });
});
