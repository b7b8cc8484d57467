// A sample of stored executions once more: what is drawn, what is called, what is never paid for twice, what is reported.
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { compileSuite } from '../../src/domain/evaluation-suite.ts';
import { openStore } from '../../src/store/store.ts';
import { runCommand } from '../support/command.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import {
  costOfAnswer,
  type ScriptedAnswer,
  type ScriptedProvider,
  startScriptedProvider,
} from '../support/evaluations.ts';
import { definition, startGateway, type TestGateway } from '../support/gateway.ts';
import { execution } from '../support/records.ts';
import { runAgainst } from '../support/run-against.ts';

const bounded = 'config: { maxOutputTokens: 50 }\n';
const files = {
  'echo/1.prompt': definition('echo', 1, 'gpt-4o-mini', '{{name}}', bounded),
  'echo/2.prompt': definition('echo', 2, 'gpt-4o-mini', 'v2 {{name}}', bounded),
};
const suite = `
defaultTest: { assert: [{ type: icontains, value: '{{name}}' }] }
tests: [{ vars: { name: x } }]
`;
const names = Array.from({ length: 30 }, (_, index) => `n${String(index).padStart(2, '0')}`);

describe.each(databases)('a batch of replays on $name', ({ create }) => {
  let database: TestDatabase;
  let gateway: TestGateway;
  let provider: ScriptedProvider;
  let answer: (asked: string, number: number) => ScriptedAnswer = () => ({});

  beforeAll(async () => {
    provider = await startScriptedProvider((...asked) => answer(...asked));
    database = await create();
    gateway = await startGateway(database, { files, environment: provider.environment });
    await gateway.app.gateway.syncPrompts({
      files: [],
      suites: [{ path: 'echo.eval.yaml', source: suite, files: {} }],
      actor: { name: 'test', keyId: null, scopes: ['admin'] },
    });
    const key = gateway.keys.admin;
    answer = (asked) => (asked === 'n07' ? { status: 400 } : {});
    await Promise.all(
      names.map((name) => gateway.execute('echo', { variables: { name }, version: 1 }, { key })),
    );
    await gateway.execute('echo', { variables: {} }, { key });
  });
  beforeEach(() => {
    answer = () => ({});
    provider.asked.length = 0;
  });
  afterAll(async () => {
    await gateway?.close();
    await database?.drop();
    await provider?.close();
  });

  const replay = (body: object, key = gateway.keys.admin) =>
    gateway.call('POST', '/v1/replays', { body, key });
  const draw = (more: object = {}) => ({ prompt: 'echo', from_version: 1, to: { version: 2 }, ...more });
  const idsOf = ({ body }: { body: { pairs: { execution_id: string }[] } }) =>
    body.pairs.map(({ execution_id }) => execution_id);

  it('draws the same sample for a seed, another for another, and of each outcome its share', async () => {
    const dry = (more: object) => replay(draw({ dry_run: true, ...more }));
    const first = await dry({ sample: 10, seed: 'a' });
    expect(first.body).toMatchObject({
      sample: 10,
      population: 30,
      rendered: 10,
      reproduced: 0,
      call_count: 0,
    });
    expect(idsOf(await dry({ sample: 10, seed: 'a' }))).toEqual(idsOf(first));
    expect(idsOf(await dry({ sample: 10, seed: 'b' }))).not.toEqual(idsOf(first));
    const strata = await dry({ sample: 10, seed: 'a', stratify: ['outcome', 'length'] });
    const failed = strata.body.pairs.filter(({ before }: { before: { ok: boolean } }) => !before.ok);
    expect([strata.body.sample, failed.length]).toEqual([10, 1]);
    const same = await dry({ sample: 30, seed: 'a', to: {} });
    expect(same.body).toMatchObject({ rendered: 30, reproduced: 30, departures: [] });
    expect(provider.asked).toEqual([]);
    expect(await gateway.query('select from replay_runs')).toHaveLength(0);
  });

  it('reports how answers moved: outputs, tokens, cost, failures, assertions, and what changed most', async () => {
    answer = (asked) => (asked === 'v2 n03' ? { text: 'broken' } : asked === 'v2 n04' ? { status: 400 } : {});
    const { status, body } = await replay(draw({ seed: 'report' }));
    expect(status).toBe(200);
    expect(body).toMatchObject({
      sample: 30,
      call_count: 30,
      stopped: null,
      version: 2,
      compared: 30,
      equal: { count: 0, of: 28 },
      failures: { before: { count: 1 }, after: { count: 1 }, gained: 1, lost: 1, p_value: 1 },
      suite: { name: 'default' },
      assertions: { before: { count: 28 }, after: { count: 27 }, lost: 1 },
      costs: { pairs: 28, difference: '0' },
    });
    expect(body.costs.before).toBe(String(Number((28 * costOfAnswer).toFixed(4))));
    expect(body.departures).toContainEqual({ part: 'prompt', reason: 'version 2 instead of 1', count: 30 });
    const length = body.movements.find(({ name }: { name: string }) => name === 'length');
    // 27 answers became three characters longer, and one went from 3 to 6.
    expect(length).toMatchObject({ count: 28, mean_difference: 3, lower: 3, upper: 3 });
    expect(length.corrected_p_value).toBeLessThan(0.001);
    expect(body.most_changed).toHaveLength(10);
    expect(body.most_changed[0].change).toBe(1);
    const rows = await gateway.query(
      `select purpose, replay_of, prompt_version from ai_executions where run_id = '${body.run_id}'`,
    );
    expect(rows).toHaveLength(30);
    expect(rows.every((row) => row.purpose === 'replay' && row.prompt_version === 2)).toBe(true);
    expect(new Set(rows.map(({ replay_of }) => replay_of))).toEqual(new Set(idsOf({ body })));
  });

  it('stops at its budget, and goes on from there without paying twice', async () => {
    const budget = String(12 * costOfAnswer);
    const first = (await replay(draw({ budget, seed: 'budget' }))).body;
    expect(first).toMatchObject({ stopped: 'budget', sample: 30 });
    expect(Number(first.spent)).toBeLessThanOrEqual(Number(budget));
    const made = provider.asked.length;
    expect([made > 5, first.call_count === made]).toEqual([true, true]);
    const second = (await replay({ resume: first.run_id })).body;
    expect(second).toMatchObject({
      run_id: first.run_id,
      call_count: 30,
      made_count: 30 - made,
      stopped: null,
    });
    expect(idsOf({ body: second })).toEqual(idsOf({ body: first }));
    expect([provider.asked.length, new Set(provider.asked).size]).toEqual([30, 30]);
    // A finished batch is reported again from its rows.
    const third = (await replay({ resume: first.run_id })).body;
    expect([third.equal, third.movements]).toEqual([second.equal, second.movements]);
    expect(provider.asked).toHaveLength(30);
    // Read back, it calls nobody; a key that did not begin it hears that there is none.
    const { secret } = await gateway.app.gateway.createKey({
      actor: { name: 'test', keyId: null, scopes: ['admin'] },
      ...{ name: 'reader', scopes: ['publish'] },
    });
    const read = (key: string) => gateway.call('GET', `/v1/replays/${first.run_id}`, { key });
    expect((await read(gateway.keys.admin)).body).toMatchObject({ pairs: second.pairs, stopped: null });
    expect([(await read(secret)).status, (await read(gateway.keys.execute)).status]).toEqual([404, 403]);
    expect(provider.asked).toHaveLength(30);
  });

  it('is gone on with by another key while it lasts, and neither asks what the other has in flight', async () => {
    const held = Promise.withResolvers<void>();
    answer = () => ({ after: held.promise });
    const first = replay(draw({ seed: 'two', concurrency: 6 }));
    await expect.poll(() => provider.asked.length).toBe(6);
    const [{ run_id }] = await gateway.query(
      'select distinct run_id from ai_execution_intents where run_id is not null',
    );
    const actor = { name: 'test', keyId: null, scopes: ['admin'] as const };
    const { secret } = await gateway.app.gateway.createKey({ actor, name: 'operator', scopes: ['admin'] });
    const stream = await fetch(`${gateway.url}/v1/replays`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}` },
      body: JSON.stringify({ resume: run_id, concurrency: 6, stream: true }),
    });
    held.resolve();
    const told = await stream.text();
    expect(told).toMatch(/^event: waiting\ndata: \{"calls":6\}/);
    const second = JSON.parse(/event: report\ndata: (.*)/.exec(told)?.[1] ?? '{}');
    const { body } = await first;
    expect([provider.asked.length, new Set(provider.asked).size]).toEqual([30, 30]);
    expect([second.pairs, second.call_count, second.cost]).toEqual([body.pairs, 30, body.cost]);
    const rows = await gateway.query(`select status from ai_executions where run_id = '${run_id}'`);
    expect(rows.map(({ status }) => status)).toEqual(Array(30).fill('succeeded'));
  });

  it('takes what died without an answer for the most that it may have cost, and asks it again only when told to', async () => {
    const { body: begun } = await replay(draw({ seed: 'lost', budget: '0.0000001' }));
    expect([begun.stopped, provider.asked.length]).toEqual(['budget', 0]);
    const lost = begun.pairs
      .slice(0, 10)
      .map(({ execution_id: replayOf }: { execution_id: string }, at: number) =>
        execution({
          ...{ status: 'unknown', purpose: 'replay', runId: begun.run_id, replayOf, idempotencyKey: null },
          ...{ promptName: 'echo', promptVersion: 2, promptVersionId: null, label: null, metadata: {} },
          ...{
            inputPayload: { variables: { name: names[at]! } },
            errorCode: 'internal',
            rawOutput: null,
            responseHash: null,
          },
          price: {
            cost: null,
            currency: 'USD',
            source: null,
            unknownReason: 'no_usage',
            unitPrices: null,
            billed: null,
          },
        }),
      );
    const store = await openStore({ databaseUrl: database.url });
    await store.audit.settle(lost);
    await store.close();
    const budget = 14 * costOfAnswer;
    const resumed = (await replay({ resume: begun.run_id, budget: String(budget) })).body;
    const made = provider.asked.length;
    expect([resumed.stopped, made > 0, (10 + made) * costOfAnswer <= budget]).toEqual(['budget', true, true]);
    expect(
      resumed.pairs.filter(({ reason }: { reason: string | null }) =>
        reason?.includes('may have been paid for'),
      ),
    ).toHaveLength(10);
    await replay({ resume: begun.run_id });
    expect(provider.asked).toHaveLength(20);
    await replay({ resume: begun.run_id, retry_unanswered: true });
    expect([provider.asked.length, new Set(provider.asked).size]).toEqual([30, 30]);
  });

  it('is read back before its end without a call, and its sample becomes cases, each input once', async () => {
    // Which come before the end of the budget, and in which order, the ids say. One whose input the suite has not goes wrong.
    let broken: string | undefined;
    answer = (asked) => {
      if (!/n0[57]/.test(asked)) broken ??= asked.replace('v2 ', '');
      return { text: asked === `v2 ${broken}` ? 'broken' : asked.replace('v2 ', '') };
    };
    const { body } = await replay(draw({ seed: 'cases', budget: String(29 * costOfAnswer) }));
    const made = provider.asked.length;
    expect([body.stopped, made < 30]).toEqual(['budget', true]);
    const read = await gateway.call('GET', `/v1/replays/${body.run_id}`, { key: gateway.keys.admin });
    expect(read.body).toMatchObject({ call_count: made, stopped: null, equal: body.equal });
    const directory = await mkdtemp(join(tmpdir(), 'promptgate-cases-'));
    const file = join(directory, 'echo.eval.yaml');
    const written =
      '# Ours.\ntests:\n  - vars: { name: n05 }   # since March\n    assert: [{ type: is-json }]\n';
    await writeFile(file, written);
    const add = (...args: string[]) =>
      runAgainst(gateway, directory, [
        'eval',
        'add',
        'echo',
        '--from-run',
        body.run_id,
        '--dir',
        '.',
        ...args,
      ]);
    const casesOf = async () => compileSuite(await readFile(file, 'utf8'), file).cases;

    const failing = await add('--failing', '--changed', '5', '--assert', 'similarity');
    expect(failing).toMatchObject({ code: 0, out: expect.stringContaining('has 1 more case, of 1 picked.') });
    expect((await casesOf()).map(({ variables }) => variables.name)).toEqual(['n05', broken]);
    const all = await add();
    // n05 was there before, the broken one is by now, and what failed has no answer to be expected.
    expect(all.out).toContain('has 27 more cases, of 30 picked.');
    expect(all.out).toContain('2 ask what a case asks already.');
    expect(all.out).toContain('has no answer: say with --value');
    expect((await casesOf()).map(({ variables }) => variables.name).sort()).toEqual(
      names.filter((name) => name !== 'n07'),
    );
    expect((await readFile(file, 'utf8')).startsWith(written)).toBe(true);
    expect((await add()).out).toContain('has 0 more cases, of 30 picked.');
    const after = ['--expect', 'after', '--failing', '--suite', 'other.eval.yaml'];
    expect((await add(...after)).out).toContain('has 1 more case, of 1 picked.');
    const other = parse(await readFile(join(directory, 'other.eval.yaml'), 'utf8'));
    expect(other.tests).toMatchObject([
      { vars: { name: broken }, assert: [{ type: 'equals', value: 'broken' }] },
    ]);
    expect(provider.asked).toHaveLength(made);
    expect(await add('--id', 'one')).toMatchObject({ code: 2 });
  });

  it.each([
    ['nothing to draw from', { prompt: 'echo', from_label: 'nowhere' }, 404, 'not_found'],
    ['a version that there is not', { prompt: 'echo', to: { version: 77 } }, 404, 'not_found'],
    ['two targets', { prompt: 'echo', to: { version: 1, label: 'production' } }, 400, 'invalid_request'],
    [
      'a definition with errors',
      { prompt: 'echo', to: { definition: { source: 'x' } } },
      400,
      'invalid_request',
    ],
    ['a suite that there is not', { prompt: 'echo', suite: 'none' }, 404, 'not_found'],
    ['a run that there is not', { resume: '01890000-0000-7000-8000-000000000000' }, 404, 'not_found'],
    [
      'a run with another sample',
      { resume: '01890000-0000-7000-8000-000000000000', sample: 3 },
      400,
      'invalid_request',
    ],
  ])('refuses %s, and calls nobody', async (_what, body, status, code) => {
    expect(await replay(body)).toMatchObject({ status, body: { error: { code } } });
    expect(provider.asked).toEqual([]);
  });

  it('needs the scope `publish`, and shows a run to the key that began it', async () => {
    expect((await replay(draw(), gateway.keys.execute)).body.error.code).toBe('forbidden');
    const actor = { name: 'test', keyId: null, scopes: ['admin'] as const };
    const { secret } = await gateway.app.gateway.createKey({ actor, name: 'publisher', scopes: ['publish'] });
    const [run] = await gateway.query('select run_id from replay_runs limit 1');
    expect((await replay({ resume: run.run_id }, secret)).body.error.code).toBe('not_found');
    expect((await replay(draw(), secret)).body.error.code).toBe('not_found');
  });

  it('writes its reports from the command line, and an answer is no markup in them', async () => {
    const evil = '<script>alert(1)</script>';
    answer = (asked) => ({ text: `${evil} ${asked}` });
    const cwd = await mkdtemp(join(tmpdir(), 'promptgate-replay-'));
    const environment = { PROMPTGATE_URL: gateway.url, PROMPTGATE_KEY: gateway.keys.admin };
    const told = await runCommand(
      [
        'replay',
        '--prompt',
        'echo',
        '--from',
        '1',
        '--to',
        '2',
        '--since',
        '1h',
        '--sample',
        '20',
        '--seed',
        's',
      ].concat(['--rate', '100/s', '--markdown', 'r.md', '--html', 'r.html']),
      { cwd, environment },
    );
    expect(told).toMatchObject({ code: 0 });
    expect(told.stdout).toContain('echo: calls of v1, replayed on v2');
    expect(told.stderr.match(/^ *\d+ % /gm)).toHaveLength(10);
    const [html, markdown] = await Promise.all(
      ['r.html', 'r.md'].map((file) => readFile(join(cwd, file), 'utf8')),
    );
    for (const text of [html!, markdown!]) expect(text).not.toContain(evil);
    // What a run is of cannot be said again, and a target not twice.
    const run = /--resume ([\w-]+)/.exec(told.stderr)?.[1] ?? '';
    for (const args of [
      ['--resume', run, '--model', 'gpt-4o'],
      ['--prompt', 'echo', '--to', '2', '--version', '1'],
      ['--prompt', 'echo', '--stratify', 'length,size'],
    ]) {
      expect(await runAgainst(gateway, cwd, ['replay', ...args])).toMatchObject({ code: 2 });
    }
    expect(html).not.toMatch(/(?:src|href|url)\s*[=(]/);
    expect(html!.match(/<figure>/g)).toHaveLength(7);
    expect(html!.match(/<article>/g)).toHaveLength(10);
  });
});
