import { describe, expect, it } from 'vitest';
import type { RegisteredProbe } from '../../src/application/probe-store.ts';
import { planSuites, retireProbes } from '../../src/application/sync-suites.ts';

const held: RegisteredProbe = {
  ...{ id: 1, promptName: 'greet', suite: 'default', label: 'production', schedule: '0 6 * * *' },
  ...{ budget: '1', dailyBudget: null, onFailure: 'report', actor: 'key:ci', createdAt: new Date(0) },
};
const suiteWith = (probe: string) => ({
  path: 'greet.eval.yaml',
  source: `${probe}tests: [{ vars: { name: Ada }, assert: [{ type: contains, value: Ada }] }]\n`,
  files: {},
});
const keyFor = (label: string) => ({
  ...{ name: 'key:ci', keyId: 'k', scopes: ['publish', 'deploy'] as const },
  limits: { prompts: null, labels: [label], raw: false },
});

function createDeps() {
  const ended: string[] = [];
  const deps = {
    evaluations: { listSuites: async () => [], registerSuite: async () => null },
    probes: {
      list: async () => [held],
      register: async ({ promptName, suite }: { promptName: string; suite: string }) =>
        void ended.push(`${promptName}/${suite}`),
    },
  };
  return { deps: deps as never, ended };
}

describe('the probe of a label that a key may not use', () => {
  it.each([
    ['ended', ''],
    ['turned to another', "probe: { schedule: '0 6 * * *', budget: 1, label: staging }\n"],
    ['changed', "probe: { schedule: '0 7 * * *', budget: 1 }\n"],
  ])('is not %s by it', async (_, probe) => {
    const plan = (label: string) => planSuites(createDeps().deps, keyFor(label), [suiteWith(probe)]);
    expect(await plan('staging')).toMatchObject([
      { state: 'forbidden', message: 'the key may not use the label "production" of its probe' },
    ]);
  });

  it('is not ended when its file is gone; by one that may use it, it is', async () => {
    const { deps, ended } = createDeps();
    const prompts = new Set(['greet']);
    expect(await retireProbes(deps, keyFor('staging'), prompts, [])).toEqual([]);
    expect(ended).toEqual([]);
    expect(await retireProbes(deps, keyFor('production'), prompts, [])).toEqual(['greet/default']);
    expect(ended).toEqual(['greet/default']);
  });
});
