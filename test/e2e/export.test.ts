import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/cli.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { definition, startGateway, type TestGateway } from '../support/gateway.ts';

async function run(gateway: TestGateway, directory: string, ...args: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runCli(args, {
    environment: { PROMPTGATE_URL: gateway.url, PROMPTGATE_KEY: gateway.keys.admin },
    directory,
    openApp: () => Promise.reject(new Error('the gateway runs elsewhere')),
    openLog: () => Promise.reject(new Error('the gateway runs elsewhere')),
    out: (text) => out.push(text),
    err: (text) => err.push(text),
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

/** Every version as `name version checksum`. */
async function versionsOf(gateway: TestGateway): Promise<string[]> {
  const rows = await gateway.query('select name, version, checksum from prompt_versions');
  return rows.map(({ name, version, checksum }) => `${name} ${version} ${checksum}`).sort();
}

describe.each(databases)('export, on $name', ({ create }) => {
  let first: TestGateway;
  let second: TestGateway;
  const made: TestDatabase[] = [];
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'promptgate-export-'));
    made.push(await create(), await create());
    first = await startGateway(made[0]!, { files: {} });
    second = await startGateway(made[1]!, { files: {} });
    // Twelve versions, so that 10 sorts before 2 as text; the partial changes on the way.
    for (let version = 1; version <= 12; version++) {
      const files = {
        'letter.prompt': definition(
          'letter',
          version,
          'gpt-4o-mini',
          `{{> tone}}\nDear {{name}}, ${version}`,
        ),
        'shared/_tone.prompt': `Tone ${Math.floor(version / 4)}. {{> sign}}`,
        '_sign.prompt': `Signed ${Math.floor(version / 6)}`,
      };
      await writeAndSync(files);
    }
    const body = {
      source: definition('posted', 7, 'claude-haiku-4-5', '{{> team/tone}} {{name}}'),
      partials: { 'team/tone': 'Posted.' },
    };
    const posted = await first.call('POST', '/v1/prompts/posted/versions', { key: first.keys.admin, body });
    expect(posted.status).toBe(201);
  });

  async function writeAndSync(files: Record<string, string>): Promise<void> {
    const body = { files: Object.entries(files).map(([path, source]) => ({ path, source })) };
    const { body: report } = await first.call('POST', '/v1/sync', { key: first.keys.admin, body });
    expect(report.files).toEqual([expect.objectContaining({ outcome: 'synced' })]);
  }

  afterAll(async () => {
    await first?.close();
    await second?.close();
    for (const database of made) await database.drop();
    await rm(directory, { recursive: true, force: true });
  });

  it('writes every version such that a sync into an empty database makes the very same ones', async () => {
    const exported = await run(first, directory, 'export', '--all-versions', '--dir', 'all', '--json');
    expect(exported.code).toBe(0);
    expect(JSON.parse(exported.out).versions).toHaveLength(13);
    expect((await readdir(join(directory, 'all/letter'))).length).toBe(12);

    expect(await versionsOf(second)).toEqual([]);
    const synced = await run(second, directory, 'sync', '--dir', 'all');
    expect([synced.code, synced.out]).toEqual([0, expect.stringContaining('13 synced, 0 unchanged')]);
    expect(await versionsOf(second)).toEqual(await versionsOf(first));
    expect((await versionsOf(first)).length).toBe(13);
  });

  it('writes the newest version of one prompt as one file, with the text of its partials', async () => {
    const { code, out } = await run(first, directory, 'export', 'letter', '--dir', 'one');
    expect([code, out]).toEqual([
      0,
      expect.stringContaining('1 version and 2 partials in one: 3 files written'),
    ]);
    expect((await readdir(join(directory, 'one'))).sort()).toEqual([
      '_sign.prompt',
      '_tone.prompt',
      'letter.prompt',
    ]);
    expect(await readFile(join(directory, 'one/_tone.prompt'), 'utf8')).toBe('Tone 3. {{> sign}}');
    expect((await run(first, directory, 'export', 'letter', '--dir', 'one')).out).toContain(
      '0 files written',
    );
  });

  it('writes nothing where a file says something else', async () => {
    await run(first, directory, 'export', 'letter', '--dir', 'mine');
    await rm(join(directory, 'mine/_sign.prompt'));
    await writeFile(join(directory, 'mine/letter.prompt'), 'mine');
    const { code, err } = await run(first, directory, 'export', 'letter', '--dir', 'mine');
    expect([code, err]).toEqual([6, expect.stringContaining('Nothing was written')]);
    expect((await readdir(join(directory, 'mine'))).sort()).toEqual(['_tone.prompt', 'letter.prompt']);
  });

  it('tells that there is no such prompt', async () => {
    expect((await run(first, directory, 'export', 'nobody')).code).toBe(5);
  });
});
