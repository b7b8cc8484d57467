// A provider that changes under the gateway, in seven ways at one moment: what `promptgate drift` says of it.
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createProgram } from '../../src/cli/cli.ts';
import { startChangingProvider } from '../support/changing-provider.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { changes } from '../support/drift-world.ts';
import { definition, startGateway, type TestGateway } from '../support/gateway.ts';

const secret = 'a secret of 24 characters';
const callsPerSide = 32;
/** The price is the gateway's, and changes for every prompt. */
const every = ['nothing', ...changes.filter((change) => change !== 'price')];
const nameOf = (change: string) => change.toLowerCase().replace(' ', '-');
const files = Object.fromEntries(
  every.map((change) => {
    // Declared in words, where the others declare it by their temperature.
    const settings = change === 'wording' ? 'deterministic: true\n' : 'config: { temperature: 0 }\n';
    const name = nameOf(change);
    return [`${name}.prompt`, definition(name, 1, 'own/model-a', `${change} {{name}}`, settings)];
  }),
);

describe.each(databases)('drift on $name', ({ name, create }) => {
  // The detectors are tested once; what differs between the databases is what they read and write.
  const asked = name === 'PostgreSQL' ? every : ['nothing', 'wording', 'model name'];
  let database: TestDatabase;
  let gateway: TestGateway;
  let moment: string;
  const begin = new Date().toISOString();
  const posted: { headers: Record<string, unknown>; body: string }[] = [];
  const releasers: (() => Promise<void>)[] = [];

  async function command(...args: string[]) {
    const lines: string[] = [];
    let exitCode = 0;
    const environment = { PROMPTGATE_URL: gateway.url, PROMPTGATE_KEY: gateway.keys.admin };
    const context = { environment, directory: '/', out: (text: string) => lines.push(text), err() {} };
    const program = createProgram(context as never, (code) => {
      exitCode = code;
    });
    await program.parseAsync(args, { from: 'user' });
    return { text: lines.join('\n'), exitCode };
  }

  async function callAll(): Promise<void> {
    for (const change of asked) {
      await Promise.all(
        Array.from({ length: callsPerSide }, (_, index) =>
          gateway.execute(nameOf(change), { variables: { name: String(index % 12) } }),
        ),
      );
    }
  }

  beforeAll(async () => {
    database = await create();
    const provider = await startChangingProvider();
    releasers.push(() => database.drop(), provider.close);
    // The receiver of the webhook has a bad start.
    const receiver = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      posted.push({ headers: request.headers, body });
      response.writeHead(posted.length === 1 ? 503 : 204).end();
    });
    await once(receiver.listen(0, '127.0.0.1'), 'listening');
    releasers.push(async () => void receiver.close());
    const open = async (output: string) => {
      const config = join(tmpdir(), `drift-${database.kind}-${output}.yaml`);
      const price = `[{ provider: own, model: model-a, input: 1, output: ${output} }]`;
      writeFileSync(config, `providers:\n  own: { base_url: '${provider.url}' }\nprices: ${price}\n`);
      return startGateway(database, {
        files,
        environment: {
          PROMPTGATE_CONFIG: config,
          PROMPTGATE_WEBHOOK_URL: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`,
          PROMPTGATE_WEBHOOK_SECRET: secret,
        },
      });
    };
    gateway = await open('2');
    await callAll();
    await gateway.close();
    // From here on everything is dearer: the price is the gateway's, and of every prompt.
    gateway = await open('2.5');
    releasers.push(() => gateway.close());
    provider.change();
    moment = new Date().toISOString();
    await callAll();
  });
  afterAll(async () => {
    for (const release of releasers.reverse()) await release();
  });

  it('is found in each way that it came about, with executions that show it; found again it is known', async () => {
    const body = { baseline_since: begin, since: moment };
    const { status, body: run } = await gateway.call('POST', '/v1/drift/runs', {
      key: gateway.keys.admin,
      body,
    });
    expect(status).toBe(200);
    expect(run.compared).toHaveLength(asked.length);
    const found = (change: string): string[] =>
      run.findings
        .filter(({ prompt }: { prompt: string }) => prompt === nameOf(change))
        .map(({ measure }: { measure: string }) => measure)
        // How long the machine takes is no matter of this test, but where the provider is slow.
        .filter((measure: string) => measure !== 'latency' || change === 'latency');
    const dearer = ['unit_price', 'cost', 'cost_per_token'];
    const expected: Record<string, string[]> = {
      nothing: [],
      wording: ['answer'],
      length: ['answer', 'output_length'],
      'model name': ['response_model'],
      'JSON shape': ['answer', 'json_shape'],
      refusals: ['answer', 'refusals', 'output_length'],
      latency: ['latency'],
    };
    for (const [change, measures] of Object.entries(expected)) {
      if (!asked.includes(change)) continue;
      expect([change, found(change).sort()]).toEqual([change, [...measures, ...dearer].sort()]);
    }
    const [wording] = run.findings.filter(({ prompt }: { prompt: string }) => prompt === 'wording');
    expect(wording).toMatchObject({
      measure: 'answer',
      p_value: null,
      before: 'one answer to each of 12 inputs, declared deterministic',
      purpose: 'call',
      simulated: false,
      known_since: null,
    });
    expect(wording.look_closer).toBe(`promptgate replay ${wording.evidence.before}`);
    for (const id of Object.values(wording.evidence)) {
      const { body: row } = await gateway.call('GET', `/v1/executions/${id}`, { key: gateway.keys.admin });
      expect(row.prompt).toBe('wording');
    }

    const again = await gateway.call('POST', '/v1/drift/runs', {
      key: gateway.keys.admin,
      body: { ...body, prompt: 'wording' },
    });
    expect(again.body.findings[0]).toMatchObject({ measure: 'answer', known_since: wording.created_at });
  });

  it('is told on the terminal, with the command that looks closer, and by the exit code', async () => {
    const told = await command('drift', '--prompt', 'model-name', '--baseline', begin, '--since', moment);
    expect(told.exitCode).toBe(1);
    expect(told.text).toMatch(
      /drift {2}model-name v1 on model-a {2}response_model {2}a fact, known since .*\n {2}before {2}model-a-2024-07-18\n {2}now {5}model-a-2026-11-18 in 32 of 32 \(100.0 %\)\n {2}closer {2}promptgate replay [0-9a-f-]{36}\n/,
    );
    const quiet = await command('drift', '--baseline', '3d', '--since', '2d', '--until', '1d');
    expect(quiet).toMatchObject({
      exitCode: 0,
      text: expect.stringContaining('There were no calls to compare.'),
    });
    expect((await command('drift', 'findings', '--prompt', 'model-name')).text).toContain('response_model');
  });

  it('is posted once, signed, and again until it is taken', async () => {
    // Later runs may have news of their own: how fast the machine is, for one.
    const tries = () =>
      posted.filter(({ headers }) => headers['webhook-id'] === posted[0]!.headers['webhook-id']);
    await expect.poll(() => tries().length, { timeout: 5_000 }).toBe(2);
    const [first, second] = tries();
    expect(second!.body).toBe(first!.body);
    const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signature } = second!.headers;
    const expected = createHmac('sha256', secret).update(`${id}.${time}.${second!.body}`).digest('base64');
    expect(signature).toBe(`v1,${expected}`);
    expect(JSON.parse(second!.body)).toMatchObject({
      type: 'drift.found',
      data: { run_id: String(id).slice(6) },
    });
    const taken = () => gateway.query(`select event_id from webhook_deliveries where event_id = '${id}'`);
    await expect.poll(async () => (await taken()).length).toBe(1);
  });

  it('is counted in the metrics, refused to keys without admin, and never changed once recorded', async () => {
    const { body: metrics } = await gateway.call('GET', '/metrics');
    expect(metrics).toContain(
      'promptgate_drift_findings_total{prompt="model-name",measure="response_model"}',
    );
    expect((await gateway.call('POST', '/v1/drift/runs', { body: {} })).status).toBe(403);
    expect((await gateway.call('GET', '/v1/drift/findings')).status).toBe(403);
    const backwards = { since: moment, until: begin };
    const refused = await gateway.call('POST', '/v1/drift/runs', {
      key: gateway.keys.admin,
      body: backwards,
    });
    expect(refused.status).toBe(400);
    for (const table of ['drift_runs', 'drift_findings']) {
      await expect(gateway.query(`delete from ${table}`)).rejects.toThrow();
    }
  });
});
