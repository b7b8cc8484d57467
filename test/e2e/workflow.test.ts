// The shell steps of docs/ci/prompts.yml, run as GitHub runs them, in a real repository and against a real gateway.
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { databases, type TestDatabase } from '../support/databases.ts';
import { definition, startGateway, type TestGateway } from '../support/gateway.ts';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');

interface Step {
  readonly run?: string;
}

const { jobs } = parseYaml(await readFile(join(root, 'docs/ci/prompts.yml'), 'utf8')) as {
  jobs: Record<'check' | 'deploy', { steps: Step[] }>;
};

/** What a job does itself: not what installs it, and not what talks to GitHub. */
function stepsOf(job: 'check' | 'deploy'): string[] {
  return jobs[job].steps.flatMap((step) =>
    step.run && !/npm install|gh api/.test(step.run) ? [step.run] : [],
  );
}

describe.each(databases)('the example workflow, on $name', ({ create }) => {
  let database: TestDatabase;
  let gateway: TestGateway;
  let directory: string;
  let work: string;
  let environment: Record<string, string>;

  beforeAll(async () => {
    database = await create();
    gateway = await startGateway(database, { files: {} });
    directory = await mkdtemp(join(tmpdir(), 'promptgate-workflow-'));
    work = join(directory, 'work');
    await mkdir(join(directory, 'bin'));
    const bin = join(directory, 'bin/promptgate');
    await writeFile(bin, `#!/bin/sh\nexec '${process.execPath}' '${root}/bin/promptgate.js' "$@"\n`);
    await chmod(bin, 0o755);
    const key = await gateway.call('POST', '/v1/keys', {
      key: gateway.keys.admin,
      body: { name: 'prompts-pipeline', scopes: ['publish', 'deploy'] },
    });
    environment = {
      PATH: `${join(directory, 'bin')}:${process.env.PATH}`,
      HOME: directory,
      GITHUB_BASE_REF: 'main',
      GITHUB_STEP_SUMMARY: join(directory, 'summary.md'),
      PROMPTGATE_URL: gateway.url,
      PROMPTGATE_KEY: key.body.secret,
      GIT_CONFIG_COUNT: '2',
      GIT_CONFIG_KEY_0: 'user.name',
      GIT_CONFIG_VALUE_0: 'Ada',
      GIT_CONFIG_KEY_1: 'user.email',
      GIT_CONFIG_VALUE_1: 'ada@example.com',
    };
    await run('git', ['init', '-q', '--bare', '-b', 'main', join(directory, 'origin.git')]);
    await run('git', ['clone', '-q', join(directory, 'origin.git'), work]);
    await mkdir(join(work, 'prompts'));
  });

  afterAll(async () => {
    await gateway?.close();
    await database?.drop();
    await rm(directory, { recursive: true, force: true });
  });

  const git = (...args: string[]) => run('git', args, { cwd: work, env: environment });

  async function commit(file: string, source: string, message: string): Promise<void> {
    await writeFile(join(work, 'prompts', file), source);
    await git('add', '-A', 'prompts');
    await git('commit', '-q', '-m', message);
  }

  /** Runs the steps of a job as GitHub does, each in a shell that ends at the first failure. */
  async function runJob(job: 'check' | 'deploy'): Promise<{ failed: string | null; out: string }> {
    const { PROMPTGATE_URL: _url, PROMPTGATE_KEY: _key, ...withoutGateway } = environment;
    let out = '';
    for (const step of stepsOf(job)) {
      try {
        const options = { cwd: work, env: job === 'check' ? withoutGateway : environment };
        out += (await run('bash', ['-e', '-o', 'pipefail', '-c', step], options)).stdout;
      } catch (error) {
        return { failed: step, out: out + (error as { stdout: string }).stdout };
      }
    }
    return { failed: null, out };
  }

  const production = async () => {
    const { body } = await gateway.call('GET', '/v1/labels?prompt=greet', { key: gateway.keys.admin });
    const label = body.data.find((item: { label: string }) => item.label === 'production');
    return { version: label?.version, reason: label?.deployment.reason };
  };

  it('ships what is merged, and says what runs', async () => {
    await commit('greet.prompt', definition('greet', 1, 'gpt-4o-mini', 'Greet {{name}}.'), 'Greet people');
    await git('push', '-q', 'origin', 'main');
    const { failed, out } = await runJob('deploy');
    expect([failed, out]).toEqual([null, expect.stringContaining('1 synced')]);
    expect(await production()).toEqual({ version: 1, reason: 'Greet people' });
    expect(await readFile(join(directory, 'summary.md'), 'utf8')).toContain('production');
  });

  it('stops a pull request that edits a version without a new number, and comments on it', async () => {
    await git('checkout', '-q', '-b', 'change');
    await commit('greet.prompt', definition('greet', 1, 'gpt-4o-mini', 'Greet {{name}} warmly.'), 'Warmly');
    const { failed, out } = await runJob('check');
    expect(failed).toContain('--format github');
    expect(out).toContain('::error file=prompts/greet.prompt');
    const comment = await readFile(join(work, 'comment.md'), 'utf8');
    expect(comment).toMatch(/^<!-- promptgate check -->\n### ❌/);
  });

  it('passes the pull request with its next number, ships it, and goes back with the revert', async () => {
    await commit('greet.prompt', definition('greet', 2, 'gpt-4o-mini', 'Greet {{name}} warmly.'), 'Warmer');
    expect((await runJob('check')).failed).toBeNull();
    expect(await readFile(join(work, 'comment.md'), 'utf8')).toContain('<ins>');

    await git('checkout', '-q', 'main');
    await git('merge', '-q', '--squash', 'change');
    await git('commit', '-q', '-m', 'Greet warmly (#1)');
    expect((await runJob('deploy')).failed).toBeNull();
    expect(await production()).toEqual({ version: 2, reason: 'Greet warmly (#1)' });

    await git('revert', '--no-edit', 'HEAD');
    expect((await runJob('deploy')).failed).toBeNull();
    expect(await production()).toEqual({ version: 1, reason: 'Revert "Greet warmly (#1)"' });
  });
});
