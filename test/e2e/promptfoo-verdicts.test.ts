// One suite, twice: under promptfoo pointed at the gateway, and by the gateway itself. Every case has one verdict.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databases, type TestDatabase } from '../support/databases.ts';
import { type ScriptedProvider, startScriptedProvider } from '../support/evaluations.ts';
import { definition, startGateway, type TestGateway } from '../support/gateway.ts';
import { isPromptfooInstalled, runPromptfoo } from '../support/promptfoo.ts';

if (!isPromptfooInstalled)
  console.warn('promptfoo is not installed, its test is skipped: npm run test:promptfoo');

type Assertion = Record<string, unknown>;

/** Answers, which the provider echoes, and what is demanded of each of them: both verdicts of every shared type. */
const demands: [answers: string[], assertions: Assertion[]][] = [
  [
    ['Paris', 'paris', 'It is Paris, in France.', 'Rome'],
    [
      { type: 'equals', value: 'Paris' },
      { type: 'contains', value: 'Paris' },
      { type: 'icontains', value: 'PARIS' },
      { type: 'contains-any', value: ['Paris', 'Rome'] },
      { type: 'contains-any', value: '"Paris, in", Rome' },
      { type: 'icontains-any', value: ['pARIS', 'x'] },
      { type: 'contains-all', value: ['Paris', 'France'] },
      { type: 'contains-all', value: 'Paris, France' },
      { type: 'icontains-all', value: ['paris', 'france'] },
      { type: 'starts-with', value: 'Par' },
      { type: 'regex', value: '^[A-Z]\\w+$' },
      { type: 'levenshtein', value: 'paris', threshold: 1 },
      { type: 'levenshtein', value: 'It is Paris in France' },
      { type: 'word-count', value: { max: 2 } },
      { type: 'word-count', value: 5 },
      { type: 'word-count', value: { min: 2, max: 9 } },
      { type: 'javascript', value: 'output.length > 5' },
      { type: 'javascript', value: 'output.length / 10', threshold: 0.5 },
      { type: 'javascript', value: "const words = output.split(' '); words.length > 1" },
      { type: 'javascript', value: 'return { pass: output.length < 9, score: 0.4, reason: "x" };\n' },
      { type: 'contains', value: '{{place}}' },
    ],
  ],
  [
    [
      '{"a": 1, "b": [2, {"c": null}]}',
      '[1, 2]',
      'Here it is: {"a": 1} and {"b": 2}',
      '{"a": "one"}',
      'none',
      '{"a": 1',
    ],
    [
      { type: 'equals', value: { b: [2, { c: null }], a: 1 } },
      { type: 'is-json' },
      { type: 'is-json', value: { type: 'object', required: ['a'], properties: { a: { type: 'number' } } } },
      { type: 'is-json', value: 'type: array\nitems: { type: number }\n' },
      { type: 'contains-json', value: { type: 'object', required: ['b'] } },
    ],
  ],
  // Without a schema promptfoo takes JSON that is cut off, and loses its way at a brace inside a text: not shared.
  [['Here: {"a": 1}.', 'none at all', '{"a": {"b": "x"}}'], [{ type: 'contains-json' }]],
  [
    [
      "I'm sorry, but I can't help with that.",
      'I cannot assist with that request.',
      'As an AI language model, I have no opinion.',
      'The capital is Paris.',
      'They are sorry to leave.',
    ],
    [{ type: 'is-refusal' }],
  ],
  [
    ['x'],
    [
      { type: 'latency', threshold: 60_000 },
      { type: 'latency', threshold: 0 },
    ],
  ],
  [
    ['x'],
    [
      { type: 'finish-reason', value: 'stop' },
      { type: 'finish-reason', value: 'length' },
    ],
  ],
];

const negatable = (type: unknown) => type !== 'javascript';
const single = demands.flatMap(([answers, assertions]) =>
  answers.flatMap((answer) =>
    assertions.flatMap((assertion) => [
      { answer, assert: [assertion] },
      ...(negatable(assertion.type)
        ? [{ answer, assert: [{ ...assertion, type: `not-${assertion.type}` }] }]
        : []),
    ]),
  ),
);

/** How grades are added up. */
const [good, bad] = [
  { type: 'contains', value: 'Par' },
  { type: 'contains', value: 'Rom' },
];
const summed = [
  { answer: 'Paris', assert: [good, bad] },
  { answer: 'Paris', assert: [good, bad], threshold: 0.5 },
  { answer: 'Paris', assert: [good, bad], threshold: 0.51 },
  { answer: 'Paris', assert: [{ ...good, weight: 3 }, bad], threshold: 0.75 },
  { answer: 'Paris', assert: [{ ...bad, weight: 0 }, good] },
  { answer: 'Paris', assert: [{ ...bad, weight: 0 }], threshold: 0.1 },
  { answer: 'Paris', assert: [good, bad], threshold: 0 },
  { answer: 'Paris', assert: [{ type: 'assert-set', assert: [good, bad] }] },
  { answer: 'Paris', assert: [{ type: 'assert-set', threshold: 0.5, assert: [good, bad] }] },
  {
    answer: 'Paris',
    assert: [{ type: 'assert-set', threshold: 0.5, weight: 2, assert: [good, bad] }, bad],
    threshold: 0.3,
  },
  { answer: 'Paris', assert: [{ type: 'javascript', value: '0.2' }, good], threshold: 0.6 },
];

const cases = [...single, ...summed];
const tests = cases.map(({ answer: _, ...rest }, index) => ({
  vars: { nr: `n${index}`, place: 'Paris' },
  ...rest,
}));

describe.skipIf(!isPromptfooInstalled)('a suite under promptfoo and here', () => {
  let database: TestDatabase;
  let gateway: TestGateway;
  let provider: ScriptedProvider;
  let directory: string;

  beforeAll(async () => {
    provider = await startScriptedProvider((asked) => ({ text: cases[Number(asked.slice(1))]!.answer }));
    database = await databases[0]!.create();
    const source = definition('echo', 1, 'gpt-4o-mini', '{{nr}}').replace(
      '{ name: string }',
      '{ nr: string, place?: string }',
    );
    gateway = await startGateway(database, {
      files: { 'echo.prompt': source },
      environment: { ...provider.environment, PROMPTGATE_EVAL_JAVASCRIPT: 'on' },
    });
    directory = await mkdtemp(join(tmpdir(), 'promptgate-promptfoo-'));
  });
  afterAll(async () => {
    await gateway?.close();
    await database?.drop();
    await provider?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  it('has the same verdict and the same score for every case', { timeout: 240_000 }, async () => {
    const config = {
      prompts: ['{{nr}}'],
      providers: [
        {
          id: `${gateway.url}/v1/prompts/echo/executions`,
          config: {
            method: 'POST',
            headers: { Authorization: `Bearer ${gateway.keys.execute}`, 'Content-Type': 'application/json' },
            body: { variables: { nr: '{{nr}}' } },
            transformResponse:
              '({ output: json.output, finishReason: json.finish_reason, cost: Number(json.cost) })',
          },
        },
      ],
      tests,
    };
    const theirs = await runPromptfoo(directory, config);
    const answer = await gateway.call('POST', '/v1/prompts/echo/evaluations', {
      // The very file that promptfoo ran, with `prompts` and `providers` in it.
      body: {
        version: 1,
        suite: { path: 'promptfooconfig.yaml', source: JSON.stringify(config) },
        concurrency: 8,
      },
    });
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    const ours: { passed: boolean; trials: { score: number; outcome: string }[] }[] = answer.body.cases;
    expect(theirs).toHaveLength(tests.length);
    const differing = tests.flatMap((test, index) => {
      const their = theirs.find(({ testIdx }) => testIdx === index)!;
      const [trial] = ours[index]!.trials;
      const [a, b] = [
        [their.success, their.score.toFixed(4)],
        [ours[index]!.passed, trial!.score.toFixed(4)],
      ];
      return String(a) === String(b)
        ? []
        : [
            JSON.stringify({
              answer: cases[index]!.answer,
              test,
              their: a,
              our: b,
              error: their.error?.slice(0, 200),
              why: trial,
            }),
          ];
    });
    console.log(
      `${tests.length} cases, ${ours.filter(({ passed }) => passed).length} passed, ${differing.length} differ`,
    );
    expect(differing).toEqual([]);
  });
});
