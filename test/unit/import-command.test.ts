import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/cli.ts';

const yml =
  'model: openai/gpt-4o-mini\nmessages:\n  - role: user\n    content: Say {{word}}.\ntestData: [{ word: no }]\n';

describe('promptgate import', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'promptgate-import-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const out: string[] = [];
    const err: string[] = [];
    const code = await runCli(['import', ...args], {
      environment: {},
      directory,
      openApp: () => Promise.reject(new Error('an import needs no gateway')),
      openLog: () => Promise.reject(new Error('an import needs no gateway')),
      out: (text) => out.push(text),
      err: (text) => err.push(text),
    });
    return { code, out: out.join('\n'), err: err.join('\n') };
  }
  const put = (path: string, text: string) => writeFile(join(directory, path), text);
  const read = (path: string) => readFile(join(directory, path), 'utf8');

  it('writes a definition and names what it could not carry', async () => {
    await put('say.prompt.yml', yml);
    const { code, out } = await run('say.prompt.yml');
    expect([code, out]).toEqual([
      0,
      'imported  prompts/say.prompt  say v1  (github)\n  not carried: testData: a definition holds no tests\n1 imported, 0 unchanged, 0 refused',
    ]);
    expect(await read('prompts/say.prompt')).toContain('Say {{word}}.');
  });

  it('leaves a file that says the same, and replaces another only by its next version and when told', async () => {
    await put('say.prompt.yml', yml);
    await run('say.prompt.yml');
    const first = await read('prompts/say.prompt');
    expect((await run('say.prompt.yml')).out).toContain('unchanged  prompts/say.prompt  say v1');

    await put('say.prompt.yml', yml.replace('Say', 'Shout'));
    const refused = await run('say.prompt.yml');
    expect([refused.code, refused.out]).toEqual([2, expect.stringContaining('add --bump')]);
    expect(await read('prompts/say.prompt')).toBe(first);

    const bumped = await run('say.prompt.yml', '--bump', '--json');
    expect([bumped.code, JSON.parse(bumped.out).prompts[0]]).toMatchObject([
      0,
      { outcome: 'imported', version: 2, path: 'prompts/say.prompt', not_carried: [{ path: 'testData' }] },
    ]);
    expect(await read('prompts/say.prompt')).toMatch(/^version: 2$/m);
  });

  it('gives the next version a file of its own where every version has one', async () => {
    await put('say.prompt.yml', yml);
    await run('say.prompt.yml');
    await mkdir(join(directory, 'prompts/say'));
    await rename(join(directory, 'prompts/say.prompt'), join(directory, 'prompts/say/1.prompt'));
    expect((await run('say.prompt.yml')).out).toContain('unchanged  prompts/say/1.prompt  say v1');
    await put('say.prompt.yml', yml.replace('Say', 'Shout'));
    expect((await run('say.prompt.yml', '--bump')).out).toContain('imported  prompts/say/2.prompt  say v2');
    expect(await readdir(join(directory, 'prompts/say'))).toEqual(['1.prompt', '2.prompt']);
  });

  it('never writes over a file that it does not know', async () => {
    await mkdir(join(directory, 'prompts'));
    await put('prompts/say.prompt', 'notes of mine');
    await put('say.prompt.yml', yml);
    const { code, out } = await run('say.prompt.yml', '--bump');
    expect([code, out]).toEqual([2, expect.stringContaining('move it, or say --name')]);
    expect(await read('prompts/say.prompt')).toBe('notes of mine');
  });

  it('writes nothing on a dry run, and shows the definition', async () => {
    await put('say.prompt.yml', yml);
    const { code, out } = await run('say.prompt.yml', '--dry-run', '--name', '../Über Say');
    expect([code, out]).toEqual([0, expect.stringContaining('name: uber-say\nversion: 1')]);
    expect(await readdir(directory)).toEqual(['say.prompt.yml']);
  });

  it('imports what it can, refuses the rest by place, and exits as a request that was wrong', async () => {
    await put('good.md', 'Hello {{name}}');
    await put('bad.md', 'Hello\n{{#if name}}you{{/if}}');
    await put('good.txt', 'Another {{name}}');
    const { code, out } = await run('good.md', 'bad.md', 'good.txt', '--model', 'claude-haiku-4-5');
    expect(code).toBe(2);
    expect(out).toContain('  text:2:1: `{{#if name}}` is more than a variable');
    expect(out).toContain('a prompt of that name comes before it');
    expect(await readdir(join(directory, 'prompts'))).toEqual(['good.prompt']);
    expect(await read('prompts/good.prompt')).toContain('model: claude-haiku-4-5');
  });

  it('writes nothing when one of its files holds no prompt or cannot be read, and names it', async () => {
    await put('good.md', 'Hello {{name}}');
    await put('other.json', '{"hello":1}');
    const refused = await run('good.md', 'other.json');
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('other.json: This is JSON')]);
    expect((await run('good.md', 'missing.json')).code).toBe(5);
    expect(await readdir(directory)).toEqual(['good.md', 'other.json']);
  });

  it('tells of a file that cannot be read', async () => {
    const { code, err } = await run('missing.json');
    expect([code, err]).toEqual([5, expect.stringContaining('missing.json cannot be read')]);
  });
});
