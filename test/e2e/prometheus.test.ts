// A real Prometheus scrapes a real gateway, and answers every question of the dashboards and of the alerts.
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse as parseYaml } from 'yaml';
import {
  dashboards,
  expandPromql,
  grafanaDirectory,
  questionsOf,
  variablesOf,
} from '../support/dashboards.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { definition, startGateway, systemActor, type TestGateway } from '../support/gateway.ts';

const installed = ['prometheus', 'promtool'].every((name) => spawnSync(name, ['--version']).status === 0);
const rulesFile = join(grafanaDirectory, 'prometheus/rules.yaml');
const rules: { alert: string; expr: string }[] = parseYaml(readFileSync(rulesFile, 'utf8')).groups[0].rules;

// Metrics know nothing of the database: one kind is enough.
const [database] = databases;

describe.runIf(installed)('Prometheus, with what it scraped of a gateway', () => {
  let used: TestDatabase;
  let gateway: TestGateway;
  let directory: string;
  let prometheus: ChildProcess;
  let url: string;

  beforeAll(async () => {
    used = await database!.create();
    gateway = await startGateway(used);
    directory = mkdtempSync(join(tmpdir(), 'promptgate-prometheus-'));
    await useEverything(gateway);
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    prometheus = start(directory, port, new URL(gateway.url).host);
    // Rates need two scrapes, alerts an evaluation after them.
    await vi.waitUntil(
      () =>
        sampleOf('min(count_over_time(up{job="promptgate"}[1m]))').then(
          (scrapes) => scrapes >= 3,
          () => false,
        ),
      { timeout: 20_000, interval: 100 },
    );
  });
  afterAll(async () => {
    prometheus?.kill('SIGKILL');
    await gateway?.close();
    await used?.drop();
    if (directory) rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });

  async function ask(path: string, parameters: Record<string, string> = {}) {
    const answer = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    // biome-ignore lint/suspicious/noExplicitAny: the API of Prometheus
    const body = (await answer.json()) as any;
    expect(body, JSON.stringify(parameters)).toMatchObject({ status: 'success' });
    return body.data;
  }

  async function sampleOf(query: string): Promise<number> {
    const { result } = await ask('query', { query });
    return Number(result[0]?.value[1]);
  }

  it('answers every question of the dashboards', async () => {
    const questions = dashboards.flatMap((dashboard) => questionsOf(dashboard, 'expr'));
    expect(questions.length).toBeGreaterThan(20);
    for (const { name, text } of questions) {
      const query = expandPromql(text, '30s', '1m');
      const { resultType, result } = await ask('query', { query });
      expect(resultType).toBe('vector');
      expect(result.length, `${name}: ${query}`).toBeGreaterThan(0);
    }
  });

  it('fills the variables of the dashboards', async () => {
    const variables = dashboards.flatMap((dashboard) => variablesOf(dashboard, 'prometheus'));
    expect(variables.length).toBeGreaterThan(0);
    for (const { text } of variables) {
      const [, metric = '', label = ''] = /^label_values\((\w+), (\w+)\)$/.exec(text) ?? [];
      expect(await ask(`label/${label}/values`, { 'match[]': metric })).toEqual([new URL(gateway.url).host]);
    }
  });

  it('counts what happened', async () => {
    const counts = await gateway.query('select status, count(*) from ai_executions group by 1');
    expect(counts.length).toBeGreaterThan(2);
    for (const { status, count } of counts) {
      expect(await sampleOf(`sum(promptgate_executions_total{status="${status}"})`)).toBe(Number(count));
    }
    expect(await sampleOf('sum(promptgate_attempts_total)')).toBe(await gateway.providerRequests());
    const [{ moves }] = await gateway.query('select count(*)::integer as moves from prompt_deployments');
    expect(await sampleOf('sum(promptgate_label_moves_total)')).toBe(moves);
    expect(await sampleOf('sum(promptgate_gate_refusals_total)')).toBe(1);
  });

  it('evaluates every alert, and those of a gateway that is well do not fire', async () => {
    const evaluated = async () =>
      (await ask('rules')).groups.flatMap((group: { rules: object[] }) => group.rules);
    await expect
      .poll(async () => (await evaluated()).map(({ health }: { health: string }) => health), {
        timeout: 10_000,
      })
      .toEqual(rules.map(() => 'ok'));
    const firing = (await evaluated()).filter(({ state }: { state: string }) => state === 'firing');
    // The test broke the glass.
    expect(firing.map(({ name }: { name: string }) => name)).toEqual(['PromptgateGlassBroken']);
  });

  it('finds in promptool that each alert fires on what it is for', async () => {
    const { stdout } = await promisify(execFile)('promtool', ['test', 'rules', 'rules.test.yaml'], {
      cwd: join(grafanaDirectory, 'prometheus'),
    });
    expect(stdout).toContain('SUCCESS');
  });
});

describe.skipIf(installed)('Prometheus', () => {
  it.skip('SKIPPED: the questions of dashboards and alerts were asked of nobody; install the Debian package prometheus', () => {});
});

/** Every metric gets a value: answers, streams, refusals, retries, failures, moves, a gate that refuses. */
async function useEverything({ app, execute, fault, call, keys }: TestGateway): Promise<void> {
  const body = { variables: { name: 'Ada' } };
  await execute('greet', body);
  await execute('greet', { ...body, stream: true });
  await execute('greet', { variables: {} });
  await fault({ kind: 'overloaded', times: 1 });
  await execute('greet', body);
  await fault({ kind: 'overloaded', times: 3 });
  await execute('greet', body);
  const source = definition('greet', 2, 'gpt-4o-mini', 'Greet {{name}}, shortly.');
  await app.gateway.syncPrompts({ files: [{ path: 'greet.prompt', source }], actor: systemActor });
  await app.gateway.gateLabel({ actor: systemActor, label: 'production', gated: true, reason: null });
  const move = { key: keys.admin, body: { version: 2 } };
  await call('PUT', '/v1/prompts/greet/labels/production', move);
  const glass = { ...move, body: { version: 2, break_glass: true, reason: 'INC-1' } };
  await call('PUT', '/v1/prompts/greet/labels/production', glass);
}

/** With the configuration that ships, but for where the gateway is and for how long a test may wait. */
function start(directory: string, port: number, target: string): ChildProcess {
  const config = readFileSync(join(grafanaDirectory, 'prometheus/prometheus.yaml'), 'utf8');
  cpSync(rulesFile, join(directory, 'rules.yaml'));
  writeFileSync(
    join(directory, 'prometheus.yaml'),
    config.replaceAll('15s', '500ms').replace('gateway:8080', target),
  );
  return spawn(
    'prometheus',
    [
      '--config.file=prometheus.yaml',
      `--web.listen-address=127.0.0.1:${port}`,
      '--storage.tsdb.path=data',
      '--log.level=error',
    ],
    { cwd: directory, stdio: 'ignore' },
  );
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}
