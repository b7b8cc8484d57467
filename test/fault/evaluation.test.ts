/** A suite of 500 cases through the real CLI and a real gateway: its budget, its progress, and SIGKILL in the middle. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CommandResult, runCommand } from '../support/command.ts';
import { type Rig, startRig } from '../support/fault-rig.ts';
import { isLong, report } from '../support/fault-run.ts';

const count = isLong ? 500 : 60;
/** Where the budget ends the first part, and the kill the second. */
const [budgeted, killed] = [count / 3, (2 * count) / 3];

const cases = Array.from({ length: count }, (_, index) => ({
  id: `n${index}`,
  vars: { name: `call-case-${String(index).padStart(3, '0')}` },
}));
const suite = JSON.stringify({
  defaultTest: { assert: [{ type: 'icontains', value: 'simulated' }] },
  tests: cases,
});
/** Every answer of the provider is as long as every other. */
const prices = 'prices:\n  - { provider: openai, model: "*", input: 1000, output: 1000 }\n';

describe.each(['PostgreSQL', 'PGlite'] as const)('an evaluation on %s', (kind) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig(kind);
    await writeFile(join(rig.gateway.directory, 'promptgate.yaml'), prices);
    await mkdir(join(rig.gateway.directory, 'prompts'));
    await writeFile(join(rig.gateway.directory, 'prompts/greet.eval.yaml'), suite);
    await rig.gateway.start();
  });
  afterAll(() => rig.close());

  const evaluate = (...args: string[]): Promise<CommandResult> =>
    runCommand(['eval', 'greet', '--concurrency', '16', ...args], {
      cwd: rig.gateway.directory,
      environment: { PROMPTGATE_URL: rig.gateway.url, PROMPTGATE_KEY: rig.gateway.key },
    });
  const tokens = () => rig.provider.ledger().map(({ token }) => token);

  it('keeps its budget, says how far it is, survives its gateway, and never pays twice', {
    timeout: 240_000,
  }, async () => {
    await rig.provider.behave({ delayMs: 5 });
    const one = JSON.parse((await evaluate('--file', await draft(rig), '--json')).stdout);
    const each = Number(one.cost) / count;
    const before = rig.provider.count;

    const budget = (budgeted * each).toFixed(6);
    const first = await evaluate('--budget', budget);
    const made = rig.provider.count - before;
    expect([first.code, made > 0, made * each <= Number(budget)]).toEqual([21, true, true]);
    expect(first.stdout).toContain('stopped: the next call could have cost more than the budget has left');
    expect(first.stderr.match(/^ *\d+ % /gm)).toEqual(
      [10, 20, 30, 40, 50, 60, 70, 80, 90, 100].map((tenth) => `${String(tenth).padStart(3)} % `),
    );
    const run = /--resume ([\w-]+)/.exec(first.stderr)?.[1] ?? '';

    const second = evaluate('--resume', run);
    await expect
      .poll(() => rig.provider.count - before, { timeout: 60_000, interval: 5 })
      .toBeGreaterThan(killed);
    await rig.gateway.kill();
    expect((await second).code).toBe(13);
    await rig.restart();

    const third = await evaluate('--resume', run, '--json');
    const resumed = JSON.parse(third.stdout);
    const own = tokens().slice(before);
    expect(new Set(own).size).toBe(own.length);
    // A call whose intent was written and whose request was not is one of those that nobody knows of.
    const lost = count - own.length;
    expect([lost >= 0, lost <= resumed.outcomes.unanswered]).toEqual([true, true]);
    // What was in flight may have been paid for: it is neither asked again nor taken for a pass.
    const { unanswered, passed } = resumed.outcomes;
    expect([passed + unanswered, resumed.verdict]).toEqual([
      count,
      unanswered > 0 ? 'insufficient' : 'passed',
    ]);

    const fourth = JSON.parse((await evaluate('--resume', run, '--retry-unanswered', '--json')).stdout);
    expect(fourth).toMatchObject({ verdict: 'passed', passed_count: count, run_id: run });
    const evidence = JSON.parse((await rig.gateway.get(`/v1/evaluations/${run}`)).text);
    expect(evidence).toMatchObject({ id: fourth.evaluation_id, verdict: 'passed', passed_count: count });
    expect(tokens().slice(before)).toHaveLength(own.length + unanswered);
    const verified = JSON.parse((await rig.gateway.get('/v1/audit/verify')).text);
    expect(verified).toMatchObject({ sound: true });
    report(`evaluation on ${kind}`, { cases: count, budgetedCalls: made, unknown: unanswered, lost });
  });
});

/** The same prompt as a file, so that what an answer costs is known before. */
async function draft({ gateway }: Rig): Promise<string> {
  const path = join(gateway.directory, 'greet.prompt');
  await writeFile(
    path,
    '---\nname: greet\nversion: 2\nmodel: gpt-4o-mini\ninput:\n  schema: { name: string }\n---\nGreet {{name}}.\n',
  );
  return path;
}
