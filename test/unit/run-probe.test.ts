import { describe, expect, it } from 'vitest';
import type { ProbeOutcome } from '../../src/application/probe-store.ts';
import { type ProbeDependencies, type ProbeRequest, runProbe } from '../../src/application/run-probe.ts';
import { parseDefinition } from '../../src/domain/definition.ts';
import { PromptgateError } from '../../src/domain/errors.ts';
import { compileSuite } from '../../src/domain/evaluation-suite.ts';
import { execution } from '../support/records.ts';

const path = 'greet.eval.yaml';
const cases = `tests: [${Array.from({ length: 30 }, (_, index) => `{ id: c${index}, vars: { name: N${index} } }`).join(', ')}]\n`;
const assert = 'defaultTest: { assert: [{ type: contains, value: Hello }] }\n';
const definition = parseDefinition(
  '---\nname: greet\nversion: 1\nmodel: m\ninput:\n  schema: { name: string }\n---\nGreet {{name}}.\n',
  { path: 'greet.prompt' },
);
const refusing = () => new PromptgateError('audit_unavailable', 'No record.');

interface World {
  readonly source?: string;
  readonly isStopping?: boolean;
  readonly dueAt?: Date | null;
  readonly execute: (request: { readonly metadata?: object }, leave: () => void) => unknown;
}

/** A run of a probe whose calls end as the test says. @returns what was recorded of it, and what it came to */
async function run({ source = assert + cases, isStopping = false, dueAt = null, execute }: World) {
  const ended: ProbeOutcome[] = [];
  const told: unknown[] = [];
  const gone = new AbortController();
  const checksum = source.startsWith('tests: 1') ? 'old' : compileSuite(source, path, {}).checksum;
  const deps = {
    probes: {
      find: async () => ({
        id: 1,
        promptName: 'greet',
        suite: 'default',
        label: 'production',
        budget: '1',
        dailyBudget: null,
        onFailure: 'rollback',
      }),
      begin: async (begun: object) => ({ run: begun, outcome: null }),
      end: async (_: string, outcome: ProbeOutcome) => ended.push(outcome) > 0,
    },
    evaluations: { findSuite: async () => ({ source, path, files: {}, checksum }) },
    registry: { listDeployments: async () => [{ id: 7, toVersion: 1 }] },
    snapshot: { refresh: async () => {}, resolve: () => ({ definition, version: { version: 1 } }) },
    audit: {
      listExecutions: async () => [],
      findExecution: async () => undefined,
      countCallsInFlight: async () => 0,
    },
    providers: { route: () => ({ simulated: true }) },
    scripts: { refusal: null },
    execute: async (request: object) => execute(request, () => gone.abort()),
    ...{ now: () => 0, wait: async () => {}, isStopping: () => isStopping },
  };
  const report = await runProbe(
    deps as unknown as ProbeDependencies,
    {
      ...{
        actor: { name: 'key:ci', keyId: null, scopes: ['admin'] },
        promptName: 'greet',
        suite: 'default',
        dueAt,
      },
      ...{ requestId: 'r', signal: gone.signal, onTrial: (progress) => told.push(progress) },
    } as ProbeRequest,
  ).catch((error: unknown) => error);
  return { ended, told, report };
}

const answer = (text: string) => execution({ rawOutput: text, status: 'succeeded', simulated: true });

describe('a run of a probe that does not come to its end', () => {
  it('leaves, asked for by somebody who went away, what it asked as its outcome, and rolls nothing back', async () => {
    const { ended, told, report } = await run({
      execute(_, leave) {
        leave();
        return answer('Go away.');
      },
    });
    expect(report).toMatchObject({ outcome: { outcome: 'insufficient', rollback: null } });
    expect(ended).toMatchObject([
      {
        outcome: 'insufficient',
        callCount: 4,
        reasons: expect.arrayContaining(['whoever asked for it went away, or the gateway stopped']),
      },
    ]);
    // Four at a time were on their way; what they would have come to, were there nobody to leave, is a failure.
    expect(told.at(-1)).toMatchObject({ done: 30, trials: 30, failed: 4, open: 26 });
  });

  it('leaves none when its time fell due: another gateway goes on with it', async () => {
    const dueAt = new Date('2026-11-21T06:00:00Z');
    const stopped = await run({ dueAt, isStopping: true, execute: () => Promise.reject(refusing()) });
    expect([stopped.ended, stopped.report]).toMatchObject([[], { code: 'cancelled' }]);
  });

  it('says that nothing can be recorded, unless the gateway stops', async () => {
    const execute = () => Promise.reject(refusing());
    const outage = await run({ execute });
    expect([outage.ended, outage.report]).toMatchObject([[], { code: 'audit_unavailable' }]);
    const stopping = await run({ isStopping: true, execute });
    expect(stopping.ended).toMatchObject([{ outcome: 'insufficient', callCount: 0 }]);
  });

  it('has an outcome when this program refuses the registered suite: it would refuse it at each try', async () => {
    const { ended } = await run({ source: 'tests: 1\n', execute: () => answer('Hello') });
    expect(ended).toMatchObject([{ outcome: 'insufficient', reasons: [expect.stringContaining('`tests`')] }]);
  });
});
