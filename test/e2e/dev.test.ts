import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningCommand, runCommand, startCommand } from '../support/command.ts';

const examples = resolve(import.meta.dirname, '../../prompts');

describe('promptgate dev, as a process in a directory of its own', () => {
  let cwd: string;
  let dev: RunningCommand;
  const environment = { PORT: '0', NO_COLOR: '1' };
  const run = (...args: string[]) => runCommand(args, { cwd, environment });

  beforeAll(async () => {
    cwd = await mkdtemp(join(tmpdir(), 'promptgate-dev-'));
    await cp(examples, join(cwd, 'prompts'), { recursive: true });
    dev = await startCommand(['dev'], { cwd, environment });
  });
  afterAll(async () => {
    await dev?.stop();
    await rm(cwd, { recursive: true, force: true });
  });

  const execute = async (body: unknown) => {
    const response = await fetch(`${dev.ready.url}/v1/prompts/summarize/executions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${dev.ready.key}` },
      body: JSON.stringify(body),
    });
    return (await response.json()) as { version: number; simulated: boolean; id: string };
  };

  it('answers a call without a key, a database or a provider, and says that it is simulated', async () => {
    expect(await execute({ variables: { text: 'News.' } })).toMatchObject({ version: 1, simulated: true });
  });

  it('is found by the CLI in the same directory', async () => {
    const ran = await run('run', 'summarize', '--var', 'text=Hello there', '--json');
    expect(ran.code).toBe(0);
    const execution = JSON.parse(ran.stdout);
    const listed = await run('executions', '--json');
    expect(JSON.parse(listed.stdout).data[0]).toEqual(execution);
    const table = await run('executions');
    expect(table.stdout).toContain(execution.id);
    expect(table.stdout).toContain('(simulated)');
    expect(table.stdout).toContain(execution.response_hash.slice(0, 8));
    expect((await run('executions', execution.id)).stdout).toContain('"text": "Hello there"');
  });

  it('prints an answer while it is made, and of it nothing else', async () => {
    const [streamed, whole] = [
      await run('run', 'summarize', '--var', 'text=Hello there', '--stream'),
      await run('run', 'summarize', '--var', 'text=Hello there'),
    ];
    expect([streamed.code, streamed.stdout]).toEqual([0, whole.stdout]);
    expect(streamed.stderr).toContain('SIMULATED');
  });

  it('gives `--version` after a command to that command', async () => {
    const ran = await run('run', 'summarize', '--version', '1', '--var', 'text=x', '--json');
    expect(JSON.parse(ran.stdout)).toMatchObject({ version: 1, label: null, status: 'succeeded' });
  });

  it('gives each failure of a command its exit code and a message', async () => {
    const missing = await run('run', 'summarise');
    expect([missing.code, missing.stderr]).toEqual([5, expect.stringContaining('Did you mean "summarize"?')]);
    const invalid = await run('run', 'summarize', '--json');
    expect([invalid.code, JSON.parse(invalid.stdout).error.code]).toEqual([7, 'invalid_variables']);
    expect((await run('executoins')).code).toBe(2);
    expect((await run('run')).code).toBe(2);
  });

  it('follows an edit with a new version on development and leaves production', async () => {
    const made = await run('make', 'summarize');
    expect(made.stdout).toContain('summarize version 2');
    await expect.poll(() => dev.read().stdout).toContain('the first edit registers it');
    const path = join(cwd, 'prompts/summarize.prompt');
    await writeFile(path, (await readFile(path, 'utf8')).replace('precise', 'careful'));
    await expect
      .poll(async () => (await execute({ variables: { text: 'x' }, label: 'development' })).version)
      .toBe(2);
    expect((await execute({ variables: { text: 'x' } })).version).toBe(1);
  });

  it('tells of an edit without a new version, with the command that makes one', async () => {
    const path = join(cwd, 'prompts/summarize.prompt');
    const source = await readFile(path, 'utf8');
    await writeFile(path, source.replace('three sentences', 'two sentences'));
    await expect.poll(() => dev.read().stdout).toContain('promptgate make summarize');
    expect((await execute({ variables: { text: 'x' }, label: 'development' })).version).toBe(2);
  });

  it('tells of an edit of a partial, at every definition that includes it', async () => {
    const partial = join(cwd, 'prompts/shared/_manner.prompt');
    await mkdir(join(cwd, 'prompts/shared'));
    await writeFile(partial, 'Be kind.');
    await writeFile(
      join(cwd, 'prompts/manners.prompt'),
      '---\nname: manners\nversion: 1\nmodel: gpt-4o-mini\n---\n{{> manner}}\n',
    );
    await expect.poll(() => dev.read().stdout).toContain('manners v1');
    await writeFile(partial, 'Be brief.');
    await expect.poll(() => dev.read().stdout).toContain('because its partial manner changed');
    await expect.poll(() => dev.read().stdout).toContain('promptgate make manners');
  });

  it('refuses a second gateway on the same data, and names the first', async () => {
    const second = await run('dev');
    expect(second.code).not.toBe(0);
    expect(second.stderr).toContain(String(dev.ready.pid));
  });

  it('keeps its secrets from other users', async () => {
    for (const name of ['dev-key', 'dev-gateway.json']) {
      expect((await stat(join(cwd, '.promptgate', name))).mode & 0o077).toBe(0);
    }
  });

  it('keeps key and executions over a restart, even after SIGKILL', async () => {
    const before = await execute({ variables: { text: 'before' } });
    const { key } = dev.ready;
    await dev.stop('SIGKILL');
    dev = await startCommand(['dev'], { cwd, environment });
    expect(dev.ready.key).toBe(key);
    expect(JSON.parse((await run('executions', '--json')).stdout).data[0].id).toBe(before.id);
  });

  it('ends cleanly when asked, and the database can then be reached without it', async () => {
    expect(await dev.stop('SIGTERM')).toBe(0);
    // As after a crash, when another process has the pid by now.
    const left = { url: 'http://127.0.0.1:1', key: dev.ready.key, pid: process.pid };
    await writeFile(join(cwd, '.promptgate/dev-gateway.json'), JSON.stringify(left));
    const listed = await run('executions', '--json', '--limit', '1');
    expect([listed.code, JSON.parse(listed.stdout).data.length]).toEqual([0, 1]);
    dev = await startCommand(['dev'], { cwd, environment });
  });
});
