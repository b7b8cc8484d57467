import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/cli.ts';
import { parseDefinition } from '../../src/domain/definition.ts';
import { withVersion } from '../../src/domain/next-version.ts';

describe('withVersion', () => {
  const head = '# Licence\n---\nname: a\n';
  it.each([
    [
      'a plain number',
      `${head}version: 9\nmodel: m\n---\nversion: 9\n`,
      `${head}version: 10\nmodel: m\n---\nversion: 9\n`,
    ],
    [
      'one with a comment',
      `${head}version:   2   # the second\n---\nGo.`,
      `${head}version:   10   # the second\n---\nGo.`,
    ],
    [
      'flow style',
      '---\n{ name: a, "version": 3, model: m }\n---\nGo.',
      '---\n{ name: a, "version": 10, model: m }\n---\nGo.',
    ],
    [
      'Windows line ends and a BOM',
      '\uFEFF---\r\nname: a\r\nversion: 3\r\n---\r\nGo.\r\n',
      '\uFEFF---\r\nname: a\r\nversion: 10\r\n---\r\nGo.\r\n',
    ],
    [
      'a declared break of the version before',
      `${head}breaking: >\n  callers send\n\n  more\nversion: 3\n---\nGo.`,
      `${head}version: 10\n---\nGo.`,
    ],
    [
      'a declared break at the end',
      `${head}version: 3\nbreaking: why\n---\nGo.`,
      `${head}version: 10\n---\nGo.`,
    ],
  ])('changes the number and nothing else: %s', (_name, before, after) => {
    expect(withVersion(before, 10)).toBe(after);
  });

  it('finds nothing to change where there is no number', () => {
    expect(withVersion('no front matter', 2)).toBeUndefined();
    expect(withVersion('---\nname: a\nversion: two\n---\n', 2)).toBeUndefined();
  });
});

describe('promptgate make', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'promptgate-make-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  async function make(...args: string[]) {
    const [out, err]: [string[], string[]] = [[], []];
    const openApp = () => Promise.reject(new Error('make opens nothing'));
    const code = await runCli(['make', ...args], {
      ...{ environment: {}, directory, openApp, openLog: openApp },
      ...{ out: (text) => void out.push(text), err: (text) => void err.push(text) },
    });
    return { code, out: out.join('\n'), err: err.join('\n') };
  }
  const put = (path: string, text: string) => {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  };
  const read = (path: string) => readFileSync(join(directory, path), 'utf8');

  it('scaffolds a definition that parses, and says what comes next', async () => {
    const { code, out } = await make('summarize-article');
    expect(code).toBe(0);
    expect(out).toContain(
      'prompts/summarize-article.prompt is now summarize-article version 1. Edit it, then:',
    );
    expect(out).toContain('promptgate deploy summarize-article production 1 --reason');
    const made = parseDefinition(read('prompts/summarize-article.prompt'), { path: 'made' });
    expect([made.name, made.version, made.warnings]).toEqual(['summarize-article', 1, []]);
  });

  it('gives the file with the highest number the next one', async () => {
    put('prompts/deep/other-name.prompt', '---\nname: greet\nversion: 41 # up\nmodel: m\n---\nGo.\n');
    const { out } = await make('greet', '--json');
    expect(JSON.parse(out)).toEqual({ path: join(directory, 'prompts/deep/other-name.prompt'), version: 42 });
    expect(read('prompts/deep/other-name.prompt')).toContain('version: 42 # up');
  });

  it('makes a new file where files are named for their versions', async () => {
    put('prompts/greet/9.prompt', '---\nname: greet\nversion: 9\nmodel: m\n---\nGo.\n');
    await make('greet');
    expect(readdirSync(join(directory, 'prompts/greet')).sort()).toEqual(['10.prompt', '9.prompt']);
    expect(read('prompts/greet/9.prompt')).toContain('version: 9');
  });

  it('never overwrites a file that it did not read', async () => {
    put('prompts/greet.prompt', 'mine');
    expect(await make('greet')).toMatchObject({ code: 6 });
    expect(read('prompts/greet.prompt')).toBe('mine');
  });

  it('refuses what is no name', async () => {
    expect(await make('../escape')).toMatchObject({ code: 2 });
  });
});
