import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { CheckReport } from '../../src/application/check-definitions.ts';
import { runCli } from '../../src/cli/cli.ts';
import { createRepository, prompt, type TestRepository } from '../support/repository.ts';

const opened: TestRepository[] = [];

/** A repository whose first commit has these files below `prompts/`. */
function repositoryWith(files: Record<string, string>): TestRepository {
  const inPrompts = Object.entries(files).map(([path, text]) => [`prompts/${path}`, text]);
  const repository = createRepository(Object.fromEntries(inPrompts));
  opened.push(repository);
  repository.commit('Start');
  return repository;
}

afterEach(() => {
  for (const repository of opened.splice(0)) repository.drop();
});

/** The command with nothing around it: no configuration, no database, no gateway. */
async function check(directory: string, ...args: string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const openApp = () => Promise.reject(new Error('check opens nothing'));
  const code = await runCli(['check', ...args], {
    ...{ environment: { DATABASE_URL: 'not a url' }, directory, openApp, openLog: openApp },
    ...{ out: (text) => void out.push(text), err: (text) => void err.push(text) },
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

async function report(
  repository: TestRepository,
  ...args: string[]
): Promise<CheckReport & { code: number }> {
  const { code, out } = await check(repository.directory, '--json', ...args);
  return { ...JSON.parse(out), code };
}

function told({ problems }: CheckReport): string[] {
  return problems.map(({ severity, code, file, line }) => `${severity} ${code} ${file}:${line}`);
}

const greet = prompt('greet', 1, 'Greet {{text}}.');

describe('check by itself', () => {
  it('passes files that are in order, without configuration, database or gateway', async () => {
    const repository = repositoryWith({ 'greet.prompt': greet });
    expect(await check(repository.directory)).toEqual({
      ...{ code: 0, out: '1 file, 0 changes: 0 errors, 0 warnings', err: '' },
    });
  });

  it('reports every problem of every file together, with file, line and column', async () => {
    const repository = repositoryWith({
      'a.prompt': prompt('a', 1, 'Say {{txt}} and {{other}}.'),
      'b.prompt': prompt('b', 1, '{{#if text}}never closed'),
      'c.prompt': prompt('c', 1, 'Go {{text}}.', 'temperature: 1\n'),
      'd.prompt': greet,
    });
    const { code, out } = await check(repository.directory);
    expect(code).toBe(2);
    expect(out).toContain('error prompts/a.prompt:8:7: The variable `txt` is not declared.');
    expect(out).toContain('error prompts/a.prompt:8:19: The variable `other` is not declared.');
    expect(out).toMatch(/error prompts\/b\.prompt:\d+:\d+: /);
    expect(out).toContain('error prompts/c.prompt:5:1: There is no key `temperature`.');
    expect(out).toContain('4 files, 0 changes: 4 errors, 0 warnings');
  });

  it('refuses two files with one name and version, naming both', async () => {
    const repository = repositoryWith({ 'one.prompt': greet, 'two/two.prompt': greet });
    const found = await report(repository);
    expect(told(found)).toEqual([
      'error duplicate prompts/one.prompt:3',
      'error duplicate prompts/two/two.prompt:3',
    ]);
    expect(found.problems[0]?.message).toContain('prompts/two/two.prompt');
  });

  it('refuses two partials with one name, and whoever includes it', async () => {
    const repository = repositoryWith({
      'a/_tone.prompt': 'Be kind.',
      'b/_tone.prompt': 'Be brief.',
      'greet.prompt': prompt('greet', 1, '{{> tone}} {{text}}'),
    });
    const found = await report(repository);
    expect(found.code).toBe(2);
    expect(told(found)).toEqual([
      'error duplicate prompts/a/_tone.prompt:1',
      'error duplicate prompts/b/_tone.prompt:1',
      'error invalid prompts/greet.prompt:8',
    ]);
  });

  it('reports the problem of a partial once, in the file of the partial', async () => {
    const repository = repositoryWith({
      '_tone.prompt': 'Be\n{{#if',
      'a.prompt': prompt('a', 1, '{{> tone}} {{text}}'),
      'b.prompt': prompt('b', 1, '{{> tone}} {{text}}'),
    });
    expect(told(await report(repository))).toEqual(['error invalid prompts/_tone.prompt:2']);
  });

  it.each([
    [
      'a missing partial',
      { 'a.prompt': prompt('a', 1, '{{text}}\n{{> nowhere}}') },
      'prompts/a.prompt:9:1: There is no partial `nowhere`.',
    ],
    [
      'a cycle',
      { '_x.prompt': '{{> y}}', '_y.prompt': 'and\n{{> x}}', 'a.prompt': prompt('a', 1, '{{> x}} {{text}}') },
      'prompts/_y.prompt:2:1: The partial includes itself: x → y → x.',
    ],
  ])('reports %s with its position', async (_name, files, expected) => {
    const { code, out } = await check(repositoryWith(files).directory);
    expect(out).toContain(expected);
    expect(code).toBe(2);
  });

  it('refuses what is no UTF-8, by its place, also in a partial', async () => {
    const repository = repositoryWith({
      'café.prompt': prompt('cafe', 1, 'Un café {{text}}'),
      'one.prompt': prompt('one', 1, '{{> tone}} {{text}}'),
    });
    const latin1 = (path: string, text: string) =>
      writeFileSync(join(repository.directory, 'prompts', path), Buffer.from(text, 'latin1'));
    latin1('café.prompt', prompt('cafe', 1, 'Un café {{text}}'));
    latin1('_tone.prompt', 'Très bien.');
    expect(told(await report(repository))).toEqual([
      'error invalid prompts/_tone.prompt:1',
      'error invalid prompts/café.prompt:8',
    ]);
  });

  it('refuses suites that do not parse, and two of one name, by file and line', async () => {
    const tests = 'tests: [{ id: a, vars: { text: x }, assert: [{ type: contains, value: x }] }]\n';
    const repository = repositoryWith({
      'one.prompt': prompt('one', 1, '{{text}}'),
      'one.eval.yaml': tests,
      'more/one.eval.yaml': tests,
      'two.eval.yaml': `prompt: one\nsuite: other\n${tests.replace('contains', 'contanis')}`,
    });
    const { code, ...found } = await report(repository);
    expect([code, told(found)]).toEqual([
      2,
      [
        'error duplicate prompts/more/one.eval.yaml:1',
        'error duplicate prompts/one.eval.yaml:1',
        'error invalid prompts/two.eval.yaml:3',
      ],
    ]);
  });

  it('reads nothing for a suite that lies outside of the prompts directory, by name or by link', async () => {
    const withFile = (name: string, file: string) =>
      `prompt: one\nsuite: ${name}\ntests: [{ vars: { text: 'file://${file}' }, assert: [{ type: is-json }] }]\n`;
    const repository = repositoryWith({
      'one.prompt': prompt('one', 1, '{{text}}'),
      'beside.txt': 'x',
      'more/a.eval.yaml': withFile('a', '../beside.txt'),
      'more/b.eval.yaml': withFile('b', '../../secret.txt'),
      'more/c.eval.yaml': withFile('c', 'link.txt'),
    });
    writeFileSync(join(repository.directory, 'secret.txt'), 'secret');
    symlinkSync(
      join(repository.directory, 'secret.txt'),
      join(repository.directory, 'prompts/more/link.txt'),
    );
    const { code, ...found } = await report(repository);
    expect([code, told(found)]).toEqual([
      2,
      ['error invalid prompts/more/b.eval.yaml:3', 'error invalid prompts/more/c.eval.yaml:3'],
    ]);
  });

  it('warns of what is allowed and probably not meant, and passes', async () => {
    const found = await report(repositoryWith({ 'a.prompt': prompt('a', 1, 'Go.') }));
    expect(told(found)).toEqual(['warning warning prompts/a.prompt:6']);
    expect(found.code).toBe(0);
  });
});

describe('check against a git ref', () => {
  it('finds nothing to say about what is unchanged, and about edits that change nothing that is sent', async () => {
    const repository = repositoryWith({ 'greet.prompt': greet });
    repository.write('prompts/greet.prompt', greet.replace('model:', '# why this model\nmodel:'));
    const found = await report(repository, '--against', 'HEAD');
    expect(found).toMatchObject({ code: 0, problems: [], changes: [] });
  });

  it('refuses changed content under the same number', async () => {
    const repository = repositoryWith({ 'greet.prompt': greet });
    repository.write('prompts/greet.prompt', prompt('greet', 1, 'Welcome {{text}}.'));
    const found = await report(repository, '--against', 'main');
    expect(told(found)).toEqual(['error not_bumped prompts/greet.prompt:3']);
    expect(found.problems[0]?.message).toBe(
      'greet version 1 has other content than on main, and a version never changes. Give it the number 2: promptgate make greet',
    );
    expect(found.code).toBe(2);
  });

  it('asks for the number of whoever includes a partial that changed, and says that it is the partial', async () => {
    const repository = repositoryWith({
      'shared/_tone.prompt': 'Be kind.',
      'greet.prompt': prompt('greet', 1, '{{> tone}} {{text}}'),
      'other.prompt': prompt('other', 1, '{{text}}'),
    });
    repository.write('prompts/shared/_tone.prompt', 'Be brief.');
    const found = await report(repository, '--against', 'HEAD');
    expect(told(found)).toEqual(['error not_bumped prompts/greet.prompt:3']);
    expect(found.problems[0]?.message).toContain('includes the partial tone, which has other content');
    expect(found.changes[0]?.difference.texts.map(({ title }) => title)).toEqual(['partial tone']);
    repository.write('prompts/greet.prompt', prompt('greet', 2, '{{> tone}} {{text}}'));
    expect((await report(repository, '--against', 'HEAD')).code).toBe(0);
  });

  it('refuses a new version that is older than the newest', async () => {
    const repository = repositoryWith({ 'greet.prompt': prompt('greet', 3, 'Greet {{text}}.') });
    repository.write('prompts/greet.prompt', prompt('greet', 2, 'Welcome {{text}}.'));
    expect(told(await report(repository, '--against', 'HEAD'))).toEqual([
      'error backwards prompts/greet.prompt:3',
    ]);
  });

  it('lets a revert pass: the file is as it was under that number before', async () => {
    const repository = repositoryWith({ 'greet.prompt': greet });
    repository.write('prompts/greet.prompt', prompt('greet', 2, 'Welcome {{text}}.'));
    repository.commit('Welcome');
    repository.write('prompts/greet.prompt', greet);
    const found = await report(repository, '--against', 'HEAD');
    expect(told(found)).toEqual(['notice returned prompts/greet.prompt:3']);
    expect(found.code).toBe(0);
  });

  it('refuses a number that was used before a revert, and make gives the one above it', async () => {
    const repository = repositoryWith({ 'greet.prompt': greet });
    repository.write('prompts/greet.prompt', prompt('greet', 2, 'Welcome {{text}}.'));
    repository.commit('Welcome');
    repository.git('revert', '--no-edit', 'HEAD');
    repository.write('prompts/greet.prompt', prompt('greet', 2, 'Hail {{text}}.'));
    const found = await report(repository, '--against', 'HEAD');
    expect(told(found)).toEqual(['error not_bumped prompts/greet.prompt:3']);
    expect(found.problems[0]?.message).toContain('was used before with other content');
    expect(found.problems[0]?.message).toContain('Give it the number 3');
    repository.git('checkout', '-q', '.');
    await runCli(['make', 'greet'], {
      ...{ environment: {}, directory: repository.directory, out: () => {}, err: () => {} },
      openApp: () => Promise.reject(new Error('make opens nothing')),
      openLog: () => Promise.reject(new Error('make opens nothing')),
    });
    expect((await report(repository, '--against', 'HEAD')).code).toBe(0);
    expect(readFileSync(join(repository.directory, 'prompts/greet.prompt'), 'utf8')).toContain('version: 3');
  });

  it('knows a number that was used before a revert, and a revert, also when the file has moved', async () => {
    const repository = repositoryWith({ 'greet.prompt': greet });
    repository.write('prompts/greet.prompt', prompt('greet', 2, 'Welcome {{text}}.'));
    repository.commit('Welcome');
    repository.remove('prompts/greet.prompt');
    repository.write('prompts/kind/greet.prompt', greet);
    expect(told(await report(repository, '--against', 'HEAD'))).toEqual([
      'notice returned prompts/kind/greet.prompt:3',
    ]);
    repository.git('revert', '--no-edit', 'HEAD');
    for (const committed of [false, true]) {
      repository.write('prompts/kind/greet.prompt', greet);
      repository.remove('prompts/greet.prompt');
      if (committed) repository.commit('Move');
      repository.write('prompts/kind/greet.prompt', prompt('greet', 2, 'Hail {{text}}.'));
      expect(told(await report(repository, '--against', 'HEAD'))).toEqual([
        'error not_bumped prompts/kind/greet.prompt:3',
      ]);
      repository.git('checkout', '-q', '.');
      repository.git('clean', '-qfd', 'prompts');
    }
  });

  it.each([
    ['a new required variable', '{ text: string, tone: string }', 'Greet {{text}}. {{tone}}', ''],
    ['a removed variable', '{}', 'Greet.', ''],
    ['a retyped variable', '{ text: integer }', 'Greet {{text}}.', ''],
    ['an incompatible output', '{ text: string }', 'Greet {{text}}.', 'output: { format: json }\n'],
  ])('refuses an undeclared break of the contract: %s', async (_name, input, body, more) => {
    const repository = repositoryWith({ 'greet.prompt': greet });
    repository.write('prompts/greet.prompt', prompt('greet', 2, body, more, input));
    const found = await report(repository, '--against', 'HEAD');
    expect(told(found).map((text) => text.split(' ')[1])).toEqual(['undeclared_break']);
    expect(found.code).toBe(2);
    repository.write(
      'prompts/greet.prompt',
      prompt('greet', 2, body, `${more}breaking: send the new one\n`, input),
    );
    expect(await report(repository, '--against', 'HEAD')).toMatchObject({
      ...{ code: 0, problems: [], changes: [{ breaking: 'send the new one' }] },
    });
  });

  it('does not take the reason of the version before for one of this version', async () => {
    const declared = prompt('greet', 2, 'Greet {{text}}.', 'breaking: send text\n');
    const repository = repositoryWith({ 'greet.prompt': declared });
    repository.write('prompts/greet.prompt', prompt('greet', 3, 'Greet.', 'breaking: send text\n', '{}'));
    expect(told(await report(repository, '--against', 'HEAD'))).toEqual([
      'error undeclared_break prompts/greet.prompt:6',
    ]);
  });

  it('tells which prompts lost their file', async () => {
    const repository = repositoryWith({
      'greet.prompt': greet,
      'other.prompt': prompt('other', 1, '{{text}}'),
    });
    repository.remove('prompts/other.prompt');
    expect(told(await report(repository, '--against', 'HEAD'))).toEqual([
      'notice removed prompts/other.prompt:1',
    ]);
  });

  it('says so when the ref is unknown, or there is no git', async () => {
    const repository = repositoryWith({ 'greet.prompt': greet });
    const unknown = await check(repository.directory, '--against', 'origin/main');
    expect(unknown).toMatchObject({ code: 5 });
    expect(unknown.err).toContain('git knows no commit "origin/main"');
    expect((await check(repository.directory, '--against', '--output=stolen')).code).toBe(5);
  });
});

describe('the formats of check', () => {
  async function changed(...args: string[]) {
    const repository = repositoryWith({ 'greet.prompt': greet });
    const text = prompt('greet', 1, 'Welcome <b>{{text}}</b>, @octocat.', 'config: { temperature: 0.5 }\n');
    repository.write('prompts/greet.prompt', text);
    return (await check(repository.directory, '--against', 'HEAD', ...args)).out;
  }

  it('human: the prose by word, the parameters, then the problems', async () => {
    const out = await changed();
    expect(out).toContain('[-Greet -]{+Welcome <b>+}{{text}}');
    expect(out).toContain('config.temperature: (not set) → 0.5');
    expect(out).toContain('error prompts/greet.prompt:3:1: greet version 1 has other content');
  });

  it('github: one annotation a problem, escaped as the runner wants it', async () => {
    const [line] = (await changed('--format', 'github')).split('\n');
    expect(line).toBe(
      '::error file=prompts/greet.prompt,line=3,col=1,title=promptgate%3A not_bumped::greet version 1 has other content than on HEAD, and a version never changes. Give it the number 2: promptgate make greet',
    );
  });

  it('markdown: a comment with prose diff and tables, in which nothing of the prompt is markup or a mention', async () => {
    const out = await changed('--format', 'markdown');
    expect(out).toContain('### ❌ promptgate check: 1 file, 1 change: 1 error, 0 warnings');
    expect(out).toContain('| error | `prompts/greet.prompt:3:1` |');
    expect(out).toContain('<del>Greet </del><ins>Welcome &lt;b&gt;</ins>{{text}}');
    expect(out).not.toContain('<b>');
    expect(out).toContain('| `config.temperature` | (not set) | 0.5 |');
  });

  it('markdown: says of a new number without a change that nothing differs', async () => {
    const repository = repositoryWith({ 'greet.prompt': greet });
    repository.write('prompts/greet.prompt', greet.replace('version: 1', 'version: 2'));
    const { out } = await check(repository.directory, '--against', 'HEAD', '--format', 'markdown');
    expect(out).toContain('Nothing that is sent or checked differs.');
  });

  it('markdown: stays below what GitHub takes, and says what it left out', async () => {
    const repository = repositoryWith({ 'greet.prompt': greet });
    for (let index = 0; index < 30; index++) {
      repository.write(
        `prompts/p${index}.prompt`,
        prompt(`p${index}`, 1, `{{text}} ${'many words '.repeat(500)}`),
      );
    }
    const { out } = await check(repository.directory, '--against', 'HEAD', '--format', 'markdown');
    expect(out.length).toBeLessThan(65_536);
    expect(out).toContain('are too long for a comment');
  });
});
