/** promptfoo evaluates through the gateway, as docs/clients.md shows it. `npm run test:promptfoo` installs it. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { databases, type TestDatabase } from '../support/databases.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { isPromptfooInstalled, runPromptfoo } from '../support/promptfoo.ts';

if (!isPromptfooInstalled)
  console.warn('promptfoo is not installed, its test is skipped: npm run test:promptfoo');

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const printed = /```yaml\n# promptfooconfig\.yaml\n([\s\S]*?)```/.exec(read('docs/clients.md'))?.[1] ?? '';

describe.skipIf(!isPromptfooInstalled)('promptfoo', () => {
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

  const evaluate = (config: object) => runPromptfoo(directory, config);
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
    expect(results.map(({ response }) => response?.output).sort()).toEqual(
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
