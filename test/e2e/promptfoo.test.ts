/** promptfoo evaluates through the gateway, as docs/clients.md shows it. `npm run test:promptfoo` installs it. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { databases, type TestDatabase } from '../support/databases.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

const entry = join(import.meta.dirname, '../promptfoo/node_modules/promptfoo/dist/src/entrypoint.js');
const installed = existsSync(entry);
if (!installed) console.warn('promptfoo is not installed, its test is skipped: npm run test:promptfoo');

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const printed = /```yaml\n# promptfooconfig\.yaml\n([\s\S]*?)```/.exec(read('docs/clients.md'))?.[1] ?? '';

interface Result {
  readonly success: boolean;
  readonly error?: string;
  readonly response: { readonly output?: string };
}

describe.skipIf(!installed)('promptfoo', () => {
  let database: TestDatabase;
  let gateway: TestGateway;
  let directory: string;

  beforeAll(async () => {
    database = await databases[0]!.create();
    gateway = await startGateway(database, {
      files: { 'summarize.prompt': read('prompts/summarize.prompt') },
    });
    directory = await mkdtemp(join(tmpdir(), 'promptgate-promptfoo-'));
  });
  afterAll(async () => {
    await gateway?.close();
    await database?.drop();
    if (directory) await rm(directory, { recursive: true, force: true });
  });
  beforeEach(() => gateway.fault(null));

  /** Nothing of it may leave the machine, and nothing be kept. */
  async function evaluate(config: object): Promise<Result[]> {
    const [file, output] = [join(directory, 'config.yaml'), join(directory, 'results.json')];
    await writeFile(file, stringify(config));
    const quiet = ['--no-cache', '--no-write', '--no-table', '--no-progress-bar', '--no-share'];
    const off = ['TELEMETRY', 'UPDATE', 'SHARING', 'REMOTE_GENERATION'].map((name) => [
      `PROMPTFOO_DISABLE_${name}`,
      '1',
    ]);
    const env = {
      PATH: process.env.PATH,
      PROMPTFOO_SELF_HOSTED: '1',
      PROMPTFOO_CONFIG_DIR: directory,
      ...Object.fromEntries(off),
    };
    const args = [entry, 'eval', '-c', file, '-o', output, ...quiet];
    // It exits with 100 when a test of the evaluation fails.
    await promisify(execFile)(process.execPath, args, { env, cwd: directory }).catch(({ code, stderr }) => {
      if (code !== 100) throw new Error(stderr);
    });
    return JSON.parse(await readFile(output, 'utf8')).results.results;
  }

  const rows = () => gateway.query('select * from ai_executions order by id');

  it('evaluates a prompt as the documentation shows it, each case an execution', async () => {
    const config = parse(
      printed.replace('http://127.0.0.1:8080', gateway.url).replace('pg_…', gateway.keys.execute),
    );
    const [good] = config.tests;
    const bad = { vars: { text: 'Say "no" ✓' }, assert: [{ type: 'contains', value: 'never said' }] };
    const results = await evaluate({ ...config, tests: [good, bad] });
    expect(results.map(({ success }) => success).sort()).toEqual([false, true]);
    const kept = await rows();
    expect(kept.map((row) => row.input_payload.variables.text).sort()).toEqual(
      [good.vars.text, bad.vars.text].sort(),
    );
    expect(results.map(({ response }) => response.output).sort()).toEqual(
      kept.map((row) => row.raw_output).sort(),
    );
  });

  it('shows each failure with its message and execution, and asks once', async () => {
    const [before, asked] = [(await rows()).length, await gateway.providerRequests()];
    await gateway.fault({ kind: 'overloaded', retryAfter: 120 });
    const openai = { apiBaseUrl: `${gateway.url}/v1`, apiKey: gateway.keys.execute, omitDefaults: true };
    const variables = { text: 'Prompts deserve version control.' };
    const providers = [
      ['summarize', { passthrough: { variables } }, 'The provider "openai" is overloaded'],
      ['summarize', {}, 'variables.text: is missing'],
      ['summarize', { passthrough: { variables }, temperature: 0 }, 'temperature: the definition'],
    ] as const;
    const results = await evaluate({
      prompts: ['[]'],
      providers: providers.map(([name, more]) => ({
        id: `openai:chat:prompt/${name}`,
        label: JSON.stringify(more),
        config: { ...openai, ...more },
      })),
      tests: [{ vars: {} }],
    });
    const kept = (await rows()).slice(before);
    expect(kept).toHaveLength(providers.length);
    const errors = results.map(({ error }) => error ?? '');
    for (const [, , message] of providers) {
      const row = kept.find(({ error_message }) => error_message.includes(message));
      expect(errors.filter((error) => error.includes(row?.id))).toHaveLength(1);
      expect(errors.some((error) => error.includes(JSON.stringify(message).slice(1, -1)))).toBe(true);
    }
    expect(await gateway.providerRequests()).toBe(asked + 1);
  });
});
