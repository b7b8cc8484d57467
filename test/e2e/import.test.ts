import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/cli.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

const reusablePrompt = {
  prompt: { id: 'pmpt_68a1b2', version: '3' },
  model: 'gpt-4o-mini',
  instructions: 'Report the weather in {{city}} as {"sky": {{sky}}}.',
};

describe.each(databases)('what was imported, on $name', ({ create }) => {
  let database: TestDatabase;
  let gateway: TestGateway;
  let directory: string;

  beforeAll(async () => {
    database = await create();
    gateway = await startGateway(database, { files: {} });
    directory = await mkdtemp(join(tmpdir(), 'promptgate-imported-'));
  });
  afterAll(async () => {
    await gateway?.close();
    await database?.drop();
    await rm(directory, { recursive: true, force: true });
  });

  async function run(...args: string[]): Promise<number> {
    return runCli(args, {
      environment: { PROMPTGATE_URL: gateway.url, PROMPTGATE_KEY: gateway.keys.admin },
      directory,
      openApp: () => Promise.reject(new Error('the gateway runs elsewhere')),
      openLog: () => Promise.reject(new Error('the gateway runs elsewhere')),
      out() {},
      err() {},
    });
  }

  it('passes the check, becomes a version, and executes with the id of its source on record', async () => {
    await writeFile(join(directory, 'weather.json'), JSON.stringify(reusablePrompt));
    expect(await run('import', 'weather.json')).toBe(0);
    expect(await run('check')).toBe(0);
    expect(await run('sync', '--deploy', 'production')).toBe(0);

    const messages = [{ role: 'user', content: 'Now?' }];
    const variables = { city: 'Rome', sky: '{{city}}' };
    const { status, body } = await gateway.execute('weather', { variables, messages });
    expect([status, body.status, body.version]).toEqual([200, 'succeeded', 1]);
    const [row] = await gateway.query(
      "select metadata, messages from prompt_versions where name = 'weather'",
    );
    expect(row.metadata).toEqual({
      importedFrom: { format: 'openai', promptId: 'pmpt_68a1b2', promptVersion: '3' },
    });
  });
});
