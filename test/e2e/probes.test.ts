// Probes through a whole gateway: what they ask, what they cost, what follows when they fail, and what does not.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { App } from '../../src/app.ts';
import type { Actor } from '../../src/domain/api-key.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import {
  costOfAnswer,
  type ScriptedAnswer,
  type ScriptedProvider,
  startScriptedProvider,
} from '../support/evaluations.ts';
import { definition, startGateway, systemActor, type TestGateway } from '../support/gateway.ts';

const names = ['Ada', 'Ben', 'Cleo', 'Dora'];

/** A suite of four cases with a probe, and both versions of its prompt. */
function filesOf(name: string) {
  return [1, 2].map((version) => ({
    path: `${name}/${version}.prompt`,
    source: definition(
      name,
      version,
      'gpt-4o-mini',
      `${name} ${version} {{name}}`,
      'config: { temperature: 0, maxOutputTokens: 50 }\n',
    ),
  }));
}

function suiteOf(name: string, probe: string, cases: readonly string[]) {
  const tests = cases.map((one) => `  - { id: ${one}, vars: { name: ${one} } }\n`).join('');
  const assert = 'defaultTest: { assert: [{ type: contains, value: "{{name}}" }] }\n';
  return {
    path: `${name}.eval.yaml`,
    source: `${probe === '' ? '' : `probe: { ${probe} }\n`}${assert}tests:\n${tests}`,
    files: {},
  };
}

describe.each(databases)('probes on $name', ({ create }) => {
  let database: TestDatabase;
  let provider: ScriptedProvider;
  let gateway: TestGateway;
  let receiver: Server;
  const posted: { type: string; data: { run_id: string } }[] = [];
  /** What the provider answers, by what it is asked. */
  let answer: (asked: string) => ScriptedAnswer = (text) => ({ text });

  beforeAll(async () => {
    database = await create();
    provider = await startScriptedProvider((asked) => answer(asked));
    receiver = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      posted.push(JSON.parse(body));
      response.end();
    });
    await once(receiver.listen(0, '127.0.0.1'), 'listening');
    const environment = {
      ...provider.environment,
      PROMPTGATE_WEBHOOK_URL: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`,
      PROMPTGATE_WEBHOOK_SECRET: 'a secret of 24 characters',
    };
    gateway = await startGateway(database, { environment, files: {} });
  });
  afterAll(async () => {
    await gateway?.close();
    receiver?.close();
    await provider?.close();
    await database?.drop();
  });

  const sync = (name: string, probe: string, actor: Actor = systemActor, cases = names) =>
    gateway.app.gateway.syncPrompts({ files: filesOf(name), suites: [suiteOf(name, probe, cases)], actor });
  const deploy = (name: string, version: number) =>
    gateway.app.gateway.moveLabel({
      actor: systemActor,
      promptName: name,
      label: 'production',
      version,
      reason: 'test',
    });
  const run = async (name: string) =>
    (await gateway.call('POST', '/v1/probes/runs', { key: gateway.keys.admin, body: { prompt: name } })).body;
  const heldBy = async (name: string) =>
    (
      await gateway.query(
        `select version from prompt_labels where prompt_name = '${name}' and label = 'production'`,
      )
    )[0]?.version;
  const runDue = (app: App, promptName: string, dueAt: Date, signal = new AbortController().signal) =>
    app.gateway.runProbe({ actor: systemActor, promptName, suite: 'default', dueAt, requestId: 'r', signal });

  it('asks each case of the version that the label holds, audited as probes; drift compares them among themselves', async () => {
    await sync('steady', "schedule: '0 6 * * *', budget: 1");
    await deploy('steady', 1);
    answer = (text) => ({ text });
    const first = await run('steady');
    expect(first).toMatchObject({
      prompt: 'steady',
      label: 'production',
      version: 1,
      due_at: null,
      outcome: { outcome: 'passed', passed_count: 4, call_count: 4, rollback: null, simulated: false },
    });
    expect(Number(first.outcome.cost)).toBeCloseTo(4 * costOfAnswer);
    const rows = await gateway.query(
      `select purpose, prompt_version, actor, metadata->>'case' as id from ai_executions where run_id = '${first.run_id}'`,
    );
    expect(rows.map(({ id }) => id).sort()).toEqual(names);
    expect(rows[0]).toMatchObject({ purpose: 'probe', prompt_version: 1, actor: 'probe:steady/default' });
    expect(await gateway.query('select * from evaluations')).toEqual([]);

    await run('steady');
    // As the command asks: a connection that is silent for minutes is cut on the way.
    const { body: events } = await gateway.call('POST', '/v1/probes/runs', {
      key: gateway.keys.admin,
      body: { prompt: 'steady', stream: true },
    });
    expect(events.match(/^event: \w+$/gm)).toEqual(
      ['run', 'progress', 'progress', 'progress', 'progress', 'report'].map((event) => `event: ${event}`),
    );
    expect(events).toContain('"outcome":"passed"');
    const since = new Date().toISOString();
    answer = (text) => ({ text: `${text}, my dear` });
    for (let time = 0; time < 2; time++) expect((await run('steady')).outcome.outcome).toBe('passed');
    const { body } = await gateway.call('POST', '/v1/drift/runs', {
      key: gateway.keys.admin,
      body: { prompt: 'steady', since },
    });
    const found = body.findings.filter(({ measure }: { measure: string }) => measure === 'answer');
    expect(found).toMatchObject([{ prompt: 'steady', purpose: 'probe', version: 1 }]);
  });

  it('rolls the label back when assertions fail, where that was asked for: once, by the ledger and with the run', async () => {
    await sync('fragile', "schedule: '0 6 * * *', budget: 1, onFailure: rollback");
    await deploy('fragile', 1);
    await deploy('fragile', 2);
    answer = (text) => ({ text: text.replace('Ada', 'Eve') });
    const failed = await run('fragile');
    expect(failed.outcome).toMatchObject({ outcome: 'failed', passed_count: 3, failures: [{ case: 'Ada' }] });
    const [move] = await gateway.query(
      "select * from prompt_deployments where prompt_name = 'fragile' order by id desc limit 1",
    );
    expect(move).toMatchObject({
      kind: 'rollback',
      from_version: 2,
      to_version: 1,
      actor: 'probe:fragile/default',
    });
    expect(move.reason).toContain(failed.run_id);
    expect(failed.outcome.rollback).toEqual({ deployment_id: Number(move.id), refusal: null });
    await expect
      .poll(() => posted.filter(({ type }) => type === 'probe.failed'))
      .toMatchObject([{ data: failed }]);
    const taken = () => gateway.query("select event_id from webhook_deliveries where event_id like 'probe%'");
    await expect.poll(taken).toEqual([{ event_id: `probe_${failed.run_id}` }]);
    // Version 1 fails as well, and nothing ran before it.
    expect((await run('fragile')).outcome.rollback.refusal).toContain('Nothing ran before version 1');
    // Whoever puts it there again has decided; and SQL may not go round that.
    await deploy('fragile', 2);
    expect((await run('fragile')).outcome.rollback.refusal).toContain('somebody put it there again');
    expect(await heldBy('fragile')).toBe(2);
    await expect(
      gateway.query(
        "insert into prompt_deployments (prompt_name, label, kind, from_version, to_version, actor) values ('fragile', 'production', 'rollback', 2, 1, 'probe:fragile/default')",
      ),
    ).rejects.toThrow('prompt_deployments_probe');
    const { body: metrics } = await gateway.call('GET', '/metrics');
    expect(metrics).toContain(
      'promptgate_probe_runs_total{prompt="fragile",suite="default",outcome="failed"} 3',
    );
  });

  it('moves nothing for an outage, a spent budget, a label that was moved meanwhile, or without being asked', async () => {
    const rollback = "schedule: '0 6 * * *', budget: 1, onFailure: rollback";
    await sync('careful', rollback);
    await deploy('careful', 1);
    await deploy('careful', 2);
    answer = () => ({ status: 400 });
    expect((await run('careful')).outcome).toMatchObject({
      outcome: 'insufficient',
      passed_count: 0,
      rollback: null,
    });

    // A call starts only when the most that it can cost still fits: there is room for one.
    await sync('careful', "schedule: '0 6 * * *', budget: 0.0008, onFailure: rollback");
    answer = (text) => ({ text });
    expect((await run('careful')).outcome).toMatchObject({
      outcome: 'insufficient',
      call_count: 1,
      rollback: null,
    });
    await sync('careful', "schedule: '0 6 * * *', budget: 1, dailyBudget: 0.0001, onFailure: rollback");
    const spent = (await run('careful')).outcome;
    expect(spent).toMatchObject({
      outcome: 'insufficient',
      call_count: 0,
      reasons: ['the budget of the day is spent'],
    });

    await sync('careful', rollback);
    const moved = Promise.withResolvers<void>();
    answer = () => ({ text: 'No.', after: moved.promise });
    const asked = provider.asked.length;
    const failing = run('careful');
    await expect.poll(() => provider.asked.length - asked).toBe(4);
    // The same version, put there after the run began: it is not what was judged.
    await deploy('careful', 1);
    await deploy('careful', 2);
    moved.resolve();
    expect((await failing).outcome).toMatchObject({
      outcome: 'failed',
      rollback: { deployment_id: null, refusal: expect.stringContaining('has been moved since') },
    });

    await sync('careful', "schedule: '0 6 * * *', budget: 1");
    expect((await run('careful')).outcome).toMatchObject({ outcome: 'failed', rollback: null });
    expect(await heldBy('careful')).toBe(2);
  });

  it('makes one run of one time: two gateways share it, a cut one is gone on with, and nothing is paid for twice', async () => {
    const eight = [...names, 'Eli', 'Fay', 'Gil', 'Hal'];
    await sync('timed', "schedule: '0 6 * * *', budget: 1", systemActor, eight);
    await deploy('timed', 1);
    // A gateway more is dear, and the embedded database has one: there the same one begins the run twice.
    const isAlone = database.kind === 'embedded';
    const second = isAlone
      ? gateway
      : await startGateway(database, { environment: provider.environment, files: {} });
    const dueAt = new Date('2026-11-21T06:00:00Z');
    answer = (text) => ({ text });
    let before = provider.asked.length;
    await Promise.all([gateway, second].map(({ app }) => runDue(app, 'timed', dueAt)));
    expect(await runDue(second.app, 'timed', dueAt)).toBe(null);
    expect(provider.asked.length - before).toBe(8);
    if (!isAlone) await second.close();

    before = provider.asked.length;
    const stuck = Promise.withResolvers<void>();
    answer = (text) => (/Ada|Ben/.test(text) ? { text } : { text, after: stuck.promise });
    const later = new Date('2026-11-22T06:00:00Z');
    const cut = new AbortController();
    const first = runDue(gateway.app, 'timed', later, cut.signal);
    // Four at a time: two are answered, four on their way, two wait.
    await expect.poll(() => provider.asked.length - before).toBe(6);
    cut.abort();
    stuck.resolve();
    await expect(first).rejects.toThrow('stopped before the probe had ended');
    const resumed = await runDue(gateway.app, 'timed', later);
    expect(resumed?.outcome).toMatchObject({ outcome: 'passed', passedCount: 8, callCount: 8 });
    expect(provider.asked.length - before).toBe(8);
    expect(new Set(provider.asked.slice(before)).size).toBe(8);
    expect(await gateway.query("select due_at from probe_runs where prompt_name = 'timed'")).toHaveLength(2);
  });

  it('is registered with its suite, ended with it, and refused with its place or for want of a right', async () => {
    const states = async () =>
      (await gateway.call('GET', '/v1/probes', { key: gateway.keys.admin })).body.data.filter(
        ({ prompt }: { prompt: string }) => prompt === 'kept',
      );
    const first = await sync('kept', "schedule: '*/5 * * * *', budget: 0.05");
    expect(first.suites).toMatchObject([{ outcome: 'synced' }]);
    expect((await sync('kept', "schedule: '*/5 * * * *', budget: '0.050'")).suites).toMatchObject([
      { outcome: 'unchanged' },
    ]);
    expect(await states()).toMatchObject([
      { schedule: '*/5 * * * *', budget: '0.05', on_failure: 'report', last_run: null },
    ]);
    expect((await gateway.call('GET', '/v1/probes')).status).toBe(403);

    const publisher = { name: 'key:publisher', keyId: 'p', scopes: ['publish'] as const };
    const refused = await sync('kept', "schedule: '0 6 * * *', budget: 1, onFailure: rollback", publisher);
    expect(refused.suites).toMatchObject([
      { outcome: 'failed', errorCode: 'forbidden', message: expect.stringContaining('scope `deploy`') },
    ]);
    const wrong = await sync('kept', "schedule: '0 24 * * *', budgt: 1");
    expect(
      wrong.suites[0]!.issues.map(({ line, column, message }) => `${line}:${column}: ${message}`),
    ).toEqual([
      '1:8: `budget` is missing: it must be the most that one run may cost: an amount above 0, e.g. 0.05, in the currency of the calls.',
      '1:20: `probe.schedule` has no hour "24": numbers from 0 to 23, once each, or *, 2-5, */15, and lists of them.',
      '1:34: There is no key `probe.budgt`. Did you mean `budget`?',
    ]);
    // A suite that cannot be read ends nothing; one that is gone ends its probe.
    expect(await states()).toHaveLength(1);
    const gone = await gateway.app.gateway.syncPrompts({
      files: filesOf('kept'),
      suites: [],
      actor: systemActor,
    });
    expect(gone.retiredProbes).toEqual(['kept/default']);
    expect(await states()).toEqual([]);
    for (const table of ['probes', 'probe_runs', 'probe_outcomes']) {
      await expect(gateway.query(`delete from ${table}`)).rejects.toThrow();
    }
  });
});
