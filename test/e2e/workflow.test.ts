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

/** A clone of an empty repository, with the example workflow's environment. */
async function createProject(directory: string, gateway: TestGateway, key: string) {
  const work = join(directory, 'work');
  await mkdir(join(directory, 'bin'), { recursive: true });
  const bin = join(directory, 'bin/promptgate');
  await writeFile(bin, `#!/bin/sh\nexec '${process.execPath}' '${root}/bin/promptgate.js' "$@"\n`);
  await chmod(bin, 0o755);
  const environment = {
    PATH: `${join(directory, 'bin')}:${process.env.PATH}`,
    HOME: directory,
    GITHUB_BASE_REF: 'main',
    GITHUB_STEP_SUMMARY: join(directory, 'summary.md'),
    GIT_CONFIG_COUNT: '2',
    GIT_CONFIG_KEY_0: 'user.name',
    GIT_CONFIG_VALUE_0: 'Ada',
    GIT_CONFIG_KEY_1: 'user.email',
    GIT_CONFIG_VALUE_1: 'ada@example.com',
  };
  const withGateway = { ...environment, PROMPTGATE_URL: gateway.url, PROMPTGATE_KEY: key };
  await run('git', ['init', '-q', '--bare', '-b', 'main', join(directory, 'origin.git')]);
  await run('git', ['clone', '-q', join(directory, 'origin.git'), work]);
  await mkdir(join(work, 'prompts'));
  const git = (...args: string[]) => run('git', args, { cwd: work, env: environment });
  return {
    git,
    async commit(name: string, version: number, body: string, message: string): Promise<void> {
      const source = definition(name, version, 'gpt-4o-mini', body);
      await writeFile(join(work, `prompts/${name}.prompt`), source);
      await git('add', '-A', 'prompts');
      await git('commit', '-q', '-m', message);
    },
    /** Runs the steps of a job as GitHub does, each in a shell that ends at the first failure. */
    async runJob(job: 'check' | 'deploy'): Promise<{ failed: string | null; out: string }> {
      let out = '';
      for (const step of stepsOf(job)) {
        try {
          const options = { cwd: work, env: job === 'check' ? environment : withGateway };
          out += (await run('bash', ['-e', '-o', 'pipefail', '-c', step], options)).stdout;
        } catch (error) {
          return { failed: step, out: out + (error as { stdout: string }).stdout };
        }
      }
      return { failed: null, out };
    },
    comment: () => readFile(join(work, 'comment.md'), 'utf8'),
    summary: () => readFile(join(directory, 'summary.md'), 'utf8'),
  };
}

/** On one database: the steps speak HTTP, whose routes are tested on both. */
describe('the example workflow', () => {
  let database: TestDatabase;
  let gateway: TestGateway;
  let key: string;
  const directories: string[] = [];

  beforeAll(async () => {
    database = await databases[0]!.create();
    gateway = await startGateway(database, { files: {} });
    const made = await gateway.call('POST', '/v1/keys', {
      key: gateway.keys.admin,
      body: { name: 'prompts-pipeline', scopes: ['publish', 'deploy'] },
    });
    key = made.body.secret;
  });

  afterAll(async () => {
    await gateway?.close();
    await database?.drop();
    for (const directory of directories) await rm(directory, { recursive: true, force: true });
  });

  /** A repository whose main branch has version 1 of the prompt. */
  async function startProject(name: string) {
    const directory = await mkdtemp(join(tmpdir(), 'promptgate-workflow-'));
    directories.push(directory);
    const project = await createProject(directory, gateway, key);
    await project.commit(name, 1, 'Greet {{name}}.', 'Greet people');
    await project.git('push', '-q', 'origin', 'main');
    return project;
  }

  const production = async (name: string) => {
    const { body } = await gateway.call('GET', `/v1/labels?prompt=${name}`, { key: gateway.keys.admin });
    const label = body.data.find((item: { label: string }) => item.label === 'production');
    return { version: label?.version, reason: label?.deployment.reason };
  };

  it('stops a pull request that edits a version without a new number, and comments on it', async () => {
    const project = await startProject('stopped');
    await project.git('checkout', '-q', '-b', 'change');
    await project.commit('stopped', 1, 'Greet {{name}} warmly.', 'Warmly');
    const { failed, out } = await project.runJob('check');
    expect(failed).toContain('--format github');
    expect(out).toContain('::error file=prompts/stopped.prompt');
    expect(await project.comment()).toMatch(/^<!-- promptgate check -->\n### ❌/);
    expect(await project.summary()).toBe(await project.comment());
  });

  // Eleven commands, each a process of its own.
  const whole = 90_000;
  it(
    'passes one with the next number, ships what is merged, and goes back with the revert',
    async () => {
      const project = await startProject('shipped');
      const { failed, out } = await project.runJob('deploy');
      expect([failed, out]).toEqual([null, expect.stringContaining('1 synced')]);
      expect(await production('shipped')).toEqual({ version: 1, reason: 'Greet people' });

      await project.git('checkout', '-q', '-b', 'change');
      await project.commit('shipped', 2, 'Greet {{name}} warmly.', 'Warmer');
      expect((await project.runJob('check')).failed).toBeNull();
      expect(await project.comment()).toContain('<ins>');

      await project.git('checkout', '-q', 'main');
      await project.git('merge', '-q', '--squash', 'change');
      await project.git('commit', '-q', '-m', 'Greet warmly (#1)');
      expect((await project.runJob('deploy')).failed).toBeNull();
      expect(await production('shipped')).toEqual({ version: 2, reason: 'Greet warmly (#1)' });
      expect(await project.summary()).toMatch(/shipped +production +v2/);

      await project.git('revert', '--no-edit', 'HEAD');
      expect((await project.runJob('deploy')).failed).toBeNull();
      expect(await production('shipped')).toEqual({ version: 1, reason: 'Revert "Greet warmly (#1)"' });
    },
    whole,
  );
});
