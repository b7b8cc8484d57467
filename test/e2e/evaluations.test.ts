// A suite on a version, through the whole gateway: what is called, recorded, counted, and what never counts as a pass.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { databases, type TestDatabase } from '../support/databases.ts';
import {
  costOfAnswer,
  type ScriptedAnswer,
  type ScriptedProvider,
  startScriptedProvider,
} from '../support/evaluations.ts';
import { definition, startGateway, type TestGateway } from '../support/gateway.ts';
import { runAgainst } from '../support/run-against.ts';

const bounded = 'config: { maxOutputTokens: 50 }\n';
const judge = `---
name: grade
version: 1
model: gpt-4o-mini
config: { maxOutputTokens: 50 }
input: { schema: { rubric: string, output: string } }
---
Judge: {{rubric}} of {{output}}
`;
const files = {
  'echo/1.prompt': definition('echo', 1, 'gpt-4o-mini', '{{name}}', bounded),
  'echo/2.prompt': definition('echo', 2, 'gpt-4o-mini', 'v2 {{name}}', bounded),
  'grade.prompt': judge,
};

const suite = (cases: object[], more: object = {}) => ({
  path: 'echo.eval.yaml',
  source: JSON.stringify({ ...more, tests: cases }),
});
const wants = (name: string, value = name, more: object = {}) => ({
  id: name,
  vars: { name },
  assert: [{ type: 'contains', value }],
  ...more,
});

describe.each(databases)('an evaluation on $name', ({ create, name: kind }) => {
  let database: TestDatabase;
  let gateway: TestGateway;
  let provider: ScriptedProvider;
  let answer: (asked: string, number: number) => ScriptedAnswer = () => ({});

  beforeAll(async () => {
    provider = await startScriptedProvider((...asked) => answer(...asked));
    database = await create();
    gateway = await startGateway(database, {
      files,
      environment: { ...provider.environment, PROMPTGATE_EVAL_JAVASCRIPT: 'on' },
    });
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

  const evaluate = (body: object, options = {}) =>
    gateway.call('POST', '/v1/prompts/echo/evaluations', { body: { version: 1, ...body }, ...options });
  const rowsOf = (run: string) =>
    gateway.query(
      `select prompt_name, purpose, status, metadata, cost::text from ai_executions where run_id = '${run}' order by id`,
    );

  it('calls every case as often as it is repeated, records each call, and the evidence', async () => {
    const { status, body } = await evaluate({
      suite: suite([wants('Ada'), wants('Ben'), wants('Eve', 'Bob')], { repeats: 2 }),
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      verdict: 'failed',
      case_count: 3,
      cases_passed: 2,
      trial_count: 6,
      passed_count: 4,
      call_count: 6,
      cost: String((6 * costOfAnswer).toFixed(4)),
      simulated: false,
      reasons: ['4 of 6 answers passed, and 100 % have to'],
    });
    expect(provider.asked.toSorted()).toEqual(['Ada', 'Ada', 'Ben', 'Ben', 'Eve', 'Eve']);
    const rows = await rowsOf(body.run_id);
    expect(rows).toHaveLength(6);
    expect(rows.every(({ purpose, status }) => purpose === 'evaluation' && status === 'succeeded')).toBe(
      true,
    );
    expect(rows.map(({ metadata }) => [metadata.case, metadata.repeat]).sort()).toEqual([
      ['Ada', 1],
      ['Ada', 2],
      ['Ben', 1],
      ['Ben', 2],
      ['Eve', 1],
      ['Eve', 2],
    ]);
    const recorded = await gateway.call('GET', `/v1/evaluations/${body.run_id}`);
    expect(recorded.body).toMatchObject({
      id: body.evaluation_id,
      verdict: 'failed',
      passed_count: 4,
      version: 1,
    });
    expect(recorded.body.cases).toEqual(body.cases);
    const listed = await gateway.call('GET', '/v1/prompts/echo/evaluations?version=1');
    expect(listed.body.data[0]).toMatchObject({ run_id: body.run_id, suite_checksum: body.suite_checksum });
  });

  it('says what 20 of 20 prove, and that a demand for more is not met', async () => {
    const cases = Array.from({ length: 20 }, (_, index) => wants(`n${index}`));
    const enough = (await evaluate({ suite: suite(cases, { proven: 0.86 }) })).body;
    expect(enough).toMatchObject({ verdict: 'passed', cases_passed: 20, reasons: [] });
    expect(enough.lower_bound).toBeCloseTo(0.8609, 4);
    const more = (await evaluate({ suite: suite(cases, { proven: 0.9 }) })).body;
    expect(more.verdict).toBe('insufficient');
    expect(more.reasons[0]).toContain('prove 86 % at 95 %, and 90 % has to be proven: that takes 29 cases');
    // The same inputs again say nothing of other inputs.
    const repeated = (await evaluate({ suite: suite(cases.slice(0, 4), { proven: 0.86 }), repeats: 5 })).body;
    expect(repeated).toMatchObject({ verdict: 'insufficient', passed_count: 20 });
  });

  it('never takes for a pass what was not answered, or what an assertion crashed on', async () => {
    answer = (asked) => (asked === 'down' ? { status: 400 } : {});
    const { body } = await evaluate({
      suite: suite(
        [
          wants('up'),
          wants('down', 'down', { threshold: 0.1 }),
          {
            id: 'crash',
            vars: { name: 'x' },
            threshold: 0.1,
            assert: [
              { type: 'javascript', value: 'nothing.at.all' },
              { type: 'contains', value: 'x' },
            ],
          },
        ],
        { threshold: 0.5 },
      ),
    });
    expect(body).toMatchObject({
      verdict: 'insufficient',
      passed_count: 1,
      outcomes: { passed: 1, unanswered: 1, crashed: 1, failed: 0 },
    });
    expect(body.cases[2].trials[0].reason).toContain('nothing is not defined');
    // Evidence is recorded once: not before nothing could turn it round.
    expect(body.evaluation_id).toBeNull();
  });

  it('fails with a critical case, whatever else passes', async () => {
    const { body } = await evaluate({
      suite: suite([wants('a'), wants('b'), wants('c', 'd', { critical: true })], { threshold: 0.5 }),
    });
    expect([body.verdict, body.reasons]).toEqual(['failed', ['the critical case c failed']]);
  });

  it('asks a pinned judge through the gateway, audited like any call, and believes it only when it says so', async () => {
    answer = (asked) => {
      if (!asked.startsWith('Judge:')) return { text: asked };
      return {
        text: asked.includes('of good') ? '{"pass":true,"score":0.9,"reason":"kind"}' : 'Looks fine to me!',
      };
    };
    const rubric = (name: string) => ({
      id: name,
      vars: { name },
      assert: [{ type: 'llm-rubric', value: 'is {{name}}', threshold: 0.8 }],
    });
    const { body } = await evaluate({ suite: suite([rubric('good'), rubric('odd')], { judge: 'grade@1' }) });
    expect(body.outcomes).toMatchObject({ passed: 1, crashed: 1 });
    expect(body).toMatchObject({
      call_count: 4,
      verdict: 'insufficient',
      judges: [{ name: 'grade', version: 1 }],
    });
    const rows = await rowsOf(body.run_id);
    expect(
      rows
        .filter(({ prompt_name }) => prompt_name === 'grade')
        .map(({ purpose, metadata }) => [purpose, metadata.case])
        .sort(),
    ).toEqual([
      ['evaluation', 'good'],
      ['evaluation', 'odd'],
    ]);
  });

  it('stays within its budget whatever the number of cases, and goes on from there without paying twice', async () => {
    const cases = Array.from({ length: 30 }, (_, index) => wants(`n${index}`));
    const budget = String(12 * costOfAnswer);
    const first = (await evaluate({ suite: suite(cases), budget })).body;
    expect(first).toMatchObject({ verdict: 'insufficient', stopped: 'budget', evaluation_id: null });
    expect(Number(first.spent)).toBeLessThanOrEqual(Number(budget));
    expect(provider.asked.length).toBeGreaterThan(5);
    const made = provider.asked.length;
    expect(first.call_count).toBe(made);
    const second = (await evaluate({ suite: suite(cases), resume: first.run_id })).body;
    expect(second).toMatchObject({ verdict: 'passed', run_id: first.run_id, call_count: 30, stopped: null });
    expect(provider.asked).toHaveLength(30);
    expect(new Set(provider.asked).size).toBe(30);
    const other = await evaluate({ suite: suite(cases.slice(1)), resume: first.run_id });
    expect([other.status, other.body.error.code]).toEqual([409, 'conflict']);
  });

  it('compares with the version that the label holds, case by case', async () => {
    await gateway.call('PUT', '/v1/prompts/echo/labels/production', {
      key: gateway.keys.admin,
      body: { version: 1 },
    });
    answer = (asked) => ({ text: asked === 'v2 old' ? 'broken' : asked === 'new' ? 'not yet' : asked });
    const cases = [wants('old'), wants('new'), wants('same')];
    const { body } = await evaluate({ suite: suite(cases), version: 2, against: 'production' });
    expect(body.comparison).toMatchObject({
      label: 'production',
      version: 1,
      difference: 0,
      p_value: 1,
      newly_broken: ['old'],
      newly_fixed: ['new'],
    });
    expect(body.comparison.difference_lower).toBeLessThan(-0.5);
    expect(body.call_count).toBe(6);
    const recorded = await gateway.call('GET', `/v1/evaluations/${body.run_id}`);
    expect(recorded.body.baseline).toMatchObject({ version: 1, difference: 0 });
  });

  it('does not take an outage of the version that the label holds for a failure of it', async () => {
    answer = (asked) => (asked.startsWith('v2') ? { text: asked } : { status: 400 });
    const { body } = await evaluate({ suite: suite([wants('a')]), version: 2, against: 'production' });
    expect([body.verdict, body.comparison]).toEqual(['passed', null]);
    const recorded = await gateway.call('GET', `/v1/evaluations/${body.run_id}`);
    expect(recorded.body.baseline).toBeNull();
  });

  it('is as old as its first answer, also when it was gone on with later', async () => {
    const cases = [wants('a'), wants('b')];
    answer = (_asked, number) => (number === 2 ? { status: 400 } : {});
    const { body: first } = await evaluate({ suite: suite(cases), concurrency: 1 });
    const resumed = { suite: suite(cases), resume: first.run_id, retry_unanswered: true };
    const { body } = await evaluate(resumed);
    expect(body.verdict).toBe('passed');
    const [row] = await gateway.query(
      `select e.started_at <= min(x.created_at) as covers from evaluations e
         join ai_executions x on x.run_id = e.run_id where e.run_id = '${body.run_id}' group by e.started_at`,
    );
    expect(row).toEqual({ covers: true });
  });

  it('says why a judge that the command names makes no evidence for a gate', async () => {
    answer = (asked) => ({ text: asked.startsWith('Judge') ? '{"pass":true}' : asked });
    const rubric = [{ id: 'a', vars: { name: 'a' }, assert: [{ type: 'llm-rubric', value: 'polite' }] }];
    const { body } = await evaluate({ suite: suite(rubric), judge: 'grade@1' });
    expect([body.verdict, body.not_evidence]).toEqual(['passed', expect.stringContaining('is registered')]);
  });

  it('runs a file that is no version, and records no evidence', async () => {
    const source = definition('echo', 3, 'gpt-4o-mini', 'v3 {{name}}');
    const { body } = await evaluate({
      version: undefined,
      definition: { path: 'echo.prompt', source },
      suite: suite([wants('a', 'v3 a')]),
    });
    expect(body).toMatchObject({ verdict: 'passed', version: null, evaluation_id: null });
    expect((await gateway.call('GET', `/v1/evaluations/${body.run_id}`)).status).toBe(404);
  });

  // Commands speak HTTP: they say nothing about the database.
  it.runIf(kind === 'PostgreSQL')(
    'deploy --eval runs the suite, then moves, or leaves the label where it is',
    async () => {
      const cwd = await mkdtemp(join(tmpdir(), 'promptgate-eval-'));
      await mkdir(join(cwd, 'prompts'));
      await writeFile(join(cwd, 'prompts/echo.eval.yaml'), JSON.stringify({ tests: [wants('Ada')] }));
      const run = (...args: string[]) => runAgainst(gateway, cwd, args);
      const deploy = (version: string) =>
        run('deploy', 'echo', 'staging', version, '--eval', '--reason', 'tried');
      const held = () => gateway.query("select version from prompt_labels where label = 'staging'");
      const moved = await deploy('1');
      expect([moved.code, await held()]).toEqual([0, [{ version: 1 }]]);
      expect(moved.out).toContain('PASSED  echo v1, suite default: 1 of 1 cases: ≥ 5 % at 95 %');
      answer = (asked) => ({ text: asked.startsWith('v2') ? 'no' : asked });
      const kept = await deploy('2');
      expect([kept.code, await held()]).toEqual([20, [{ version: 1 }]]);
      expect(kept.out).toContain('newly broken: Ada');
      const [row] = await gateway.query("select id from ai_executions where raw_output = 'no' limit 1");
      const added = await run(
        'eval',
        'add',
        'echo',
        '--from-execution',
        row.id,
        '--assert',
        'not-equals',
        '--id',
        'seen',
      );
      expect([added.code, added.err]).toEqual([0, '']);
      const after = await run('eval', 'echo', '--version', '1', '--junit', 'out.xml', '--markdown', 'out.md');
      expect([after.code, after.out]).toEqual([0, expect.stringContaining('2 of 2 cases')]);
      expect(await readFile(join(cwd, 'out.xml'), 'utf8')).toContain('name="seen"');
      expect(await readFile(join(cwd, 'out.md'), 'utf8')).toContain('✅ `echo` version 1: passed');
      await rm(cwd, { recursive: true });
    },
  );

  it('tells how far it is while it runs', async () => {
    const { body } = await evaluate({ suite: suite([wants('a'), wants('b')]), stream: true });
    const events = (body as string).match(/(?<=^event: ).*/gm);
    expect(events).toEqual(['run', 'progress', 'progress', 'report']);
    expect(body).toContain('"done":2,"passed":2');
  });

  it.each([
    [
      'a suite of another prompt',
      { suite: { path: 'a.eval.yaml', source: 'prompt: greet\ntests: [{ assert: [{ type: is-json }] }]' } },
      400,
    ],
    [
      'variables that do not fit',
      { suite: suite([{ vars: { nam: 'x' }, assert: [{ type: 'is-json' }] }]) },
      422,
    ],
    ['a version that is not there', { version: 9, suite: suite([wants('a')]) }, 404],
    ['a judge that is not there', { suite: suite([wants('a')], { judge: 'grade@7' }) }, 404],
    ['a suite that is not registered', { suite: 'nightly' }, 404],
    [
      'a run that is not there',
      { suite: suite([wants('a')]), resume: '01a1fe66-7d14-726d-942c-21737f9a6b8a' },
      404,
    ],
  ])('refuses %s before anything is called', async (_what, body, status) => {
    expect((await evaluate(body)).status).toBe(status);
    expect(provider.asked).toEqual([]);
  });
});
