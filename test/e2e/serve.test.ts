import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SimulatedProvider, startSimulatedProvider } from '../../src/providers/simulated-provider.ts';
import { runCommand, startCommand } from '../support/command.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { definitions } from '../support/gateway.ts';

describe('promptgate serve', () => {
  let provider: SimulatedProvider;
  let database: TestDatabase;

  beforeAll(async () => {
    provider = await startSimulatedProvider();
    database = await databases[0]!.create({ migrated: false });
  });
  afterAll(async () => {
    await provider.close();
    await database.drop();
  });

  // Five processes one after the other, and on --embedded a first opening: 13 s of computing.
  const whole = 90_000;
  it.each(['a PostgreSQL', '--embedded'])(
    'goes from nothing to an answer on %s, against any server that speaks the wire',
    async (where) => {
      const cwd = await mkdtemp(join(tmpdir(), 'promptgate-serve-'));
      await mkdir(join(cwd, 'prompts'));
      for (const name of ['greet.prompt', 'chat.prompt'] as const) {
        await writeFile(join(cwd, 'prompts', name), definitions[name]);
      }
      const embedded = where === '--embedded';
      const environment = {
        PORT: '0',
        OPENAI_BASE_URL: `${provider.url}/v1`,
        OPENAI_API_KEY: 'sk-secret-for-this-test',
        ANTHROPIC_BASE_URL: provider.url,
        ANTHROPIC_API_KEY: 'sk-ant-secret-for-this-test',
        ...(embedded ? {} : { DATABASE_URL: database.url }),
      };
      const run = async (...args: string[]) => {
        const result = await runCommand(args, { cwd, environment });
        expect(result).toMatchObject({ code: 0 });
        return result.stdout.trim();
      };
      await run('migrate', ...(embedded ? ['--embedded'] : []));
      await run('sync');
      const key = await run('keys', 'create', 'app');
      const serve = await startCommand(['serve', ...(embedded ? ['--embedded'] : [])], { cwd, environment });
      for (const name of ['greet', 'chat']) {
        const response = await fetch(`${serve.ready.url}/v1/prompts/${name}/executions`, {
          method: 'POST',
          headers: { authorization: `Bearer ${key}` },
          body: JSON.stringify({ variables: { name: 'Ada' }, version: 1 }),
        });
        expect(await response.json()).toMatchObject({ status: 'succeeded', simulated: false, version: 1 });
      }
      expect(await serve.stop('SIGTERM')).toBe(0);
      expect(JSON.stringify(serve.read())).not.toContain('for-this-test');
      expect(JSON.parse(await run('executions', '--json')).data).toHaveLength(2);
    },
    whole,
  );

  it('refuses to start on a bad configuration, with everything that is wrong', async () => {
    const cwd = await mkdtemp(join(tmpdir(), 'promptgate-serve-'));
    const result = await runCommand(['serve'], {
      cwd,
      environment: { PORT: 'http', PROMPTGATE_PROMT_DIR: 'x', OPENAI_BASE_URL: 'ftp://x' },
    });
    expect(result.code).toBe(2);
    for (const name of [
      'PORT',
      'PROMPTGATE_PROMT_DIR',
      'did you mean PROMPTGATE_PROMPTS_DIR',
      'OPENAI_BASE_URL',
      'DATABASE_URL',
    ]) {
      expect(result.stderr).toContain(name);
    }
  });

  it('says what is wrong with a database that it cannot use, and never the password', async () => {
    const cwd = await mkdtemp(join(tmpdir(), 'promptgate-serve-'));
    const wrong = (change: (url: URL) => void) => {
      const url = new URL(database.url);
      change(url);
      return { DATABASE_URL: url.href, OPENAI_API_KEY: 'sk-x' };
    };
    const cases: [ReturnType<typeof wrong>, string][] = [
      [wrong((url) => Object.assign(url, { password: 'hunter2' })), 'refuses the user or the password'],
      [wrong((url) => Object.assign(url, { pathname: '/nowhere' })), 'has no database of that name'],
      [wrong((url) => Object.assign(url, { port: '1' })), 'cannot be reached (ECONNREFUSED)'],
    ];
    for (const [environment, why] of cases) {
      const result = await runCommand(['serve'], { cwd, environment });
      expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining(why) });
      expect(result.stderr).not.toMatch(/hunter2|:postgres@|at .*\.ts/);
    }
  });

  it('never simulates', async () => {
    const cwd = await mkdtemp(join(tmpdir(), 'promptgate-serve-'));
    const result = await runCommand(['serve', '--embedded'], { cwd, environment: { PORT: '0' } });
    expect([result.code, result.stderr]).toEqual([2, expect.stringContaining('OPENAI_API_KEY')]);
  });
});
