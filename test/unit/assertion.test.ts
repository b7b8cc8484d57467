// Every type of assertion: what it takes, what it refuses, what `not-` makes of it.
import { describe, expect, it } from 'vitest';
import { assertionTypes, compileCheck, findType } from '../../src/domain/assertion.ts';
import { splitList } from '../../src/domain/assertion-text.ts';
import { AssertionCrash, type JudgedAnswer } from '../../src/domain/assertion-type.ts';
import { type AssertionGrade, sumGrades } from '../../src/domain/case-grade.ts';
import { readJudgement, toJudgeVariables } from '../../src/domain/evaluation-judge.ts';
import type { Json } from '../../src/domain/json.ts';

const answer: JudgedAnswer = {
  output: '',
  toolCalls: [],
  tools: [
    {
      name: 'get_weather',
      description: null,
      inputSchema: {
        type: 'object',
        properties: { city: { type: 'string' } },
        required: ['city'],
        additionalProperties: false,
      },
    },
  ],
  finishReason: 'stop',
  latencyMs: 120,
  cost: 0.002,
};

interface Spec {
  readonly value?: Json;
  readonly threshold?: number;
  readonly tolerance?: Json;
}

function grade(type: string, spec: Spec, given: Partial<JudgedAnswer> | string) {
  const complaints: string[] = [];
  const check = compileCheck(
    type,
    { value: spec.value, threshold: spec.threshold, tolerance: spec.tolerance, config: {} },
    (part, message) => complaints.push(`${part}: ${message}`),
  );
  if (check?.kind !== 'pure') throw new Error(complaints.join('\n') || `${type} is not pure`);
  return check.grade({ ...answer, ...(typeof given === 'string' ? { output: given } : given) });
}

const call = (name: string, said: string) => ({ id: 'a', name, arguments: said });

describe('an assertion', () => {
  it.each<[string, Spec, Partial<JudgedAnswer> | string, Partial<JudgedAnswer> | string]>([
    ['equals', { value: 'yes' }, 'yes', 'Yes'],
    ['equals', { value: 4 }, '4', '4.0'],
    ['equals', { value: { a: [1, { b: 2 }] } }, '{"a":[1,{"b":2.0}]}', '{"a":[1]}'],
    ['contains', { value: 'fox' }, 'a fox', 'a Fox'],
    ['icontains', { value: 'FOX' }, 'a fox', 'a dog'],
    ['contains-any', { value: ['fox', 'dog'] }, 'a dog', 'a cat'],
    ['icontains-any', { value: 'fox, "a, b"' }, 'A, B', 'a b'],
    ['contains-all', { value: ['fox', 'dog'] }, 'dog and fox', 'dog'],
    ['icontains-all', { value: 'fox,dog' }, 'Dog and Fox', 'Dog'],
    ['starts-with', { value: 'The' }, 'The fox', ' The fox'],
    ['levenshtein', { value: 'kitten', threshold: 3 }, 'sitting', 'sittings'],
    ['levenshtein', { value: 'kitten' }, 'sittings', 'a long sitting'],
    ['similarity', { value: 'kitten', threshold: 0.5 }, 'sitting', 'a dog'],
    ['numeric', { value: 0.3, tolerance: 0.1 }, 'It is 0.2.', '0.19'],
    ['numeric', { value: 1200, tolerance: '5%' }, '1,260 USD', '1261'],
    ['numeric', { value: 3 }, '3', '3 of 4'],
    ['length', { value: { max: 3 } }, 'a🦊b', 'abcd'],
    ['word-count', { value: { min: 2, max: 3 } }, 'one two', 'one'],
    ['word-count', { value: 2 }, 'one  two', 'one two three'],
    ['is-json', {}, '[1]', '{'],
    ['is-json', { value: { type: 'object', required: ['a'] } }, '{"a":1}', '{"b":1}'],
    ['is-json', { value: 'type: object\nrequired: [a]' }, '{"a":1}', '[1]'],
    ['contains-json', {}, 'Here: {"a":"}"} so', 'Here: {a'],
    ['contains-json', { value: { required: ['b'] } }, 'no {"a":1} yes {"b":1}', 'no {"a":1}'],
    ['latency', { threshold: 120 }, '', { latencyMs: 121 }],
    ['cost', { threshold: 0.002 }, '', { cost: 0.0021 }],
    ['finish-reason', { value: 'STOP' }, '', { finishReason: 'length' }],
    ['is-refusal', {}, "I'm sorry, but I can't help with that.", 'The fox is sorry.'],
    ['is-refusal', {}, { finishReason: 'refusal', output: 'x' }, 'Here you are.'],
    [
      'is-valid-openai-tools-call',
      {},
      { toolCalls: [call('get_weather', '{"city":"Rome"}')] },
      { toolCalls: [call('get_weather', '{"town":"Rome"}')] },
    ],
    ['tool-called', { value: 'get_weather' }, { toolCalls: [call('get_weather', '{}')] }, { toolCalls: [] }],
    [
      'tool-called',
      { value: { name: 'get_weather', arguments: { city: 'Rome' } } },
      { toolCalls: [call('get_weather', '{"city":"Rome","n":1}')] },
      { toolCalls: [call('get_weather', '{"city":"Oslo"}')] },
    ],
  ])('%s %j tells one answer from the other, and not- the other way round', (type, spec, good, bad) => {
    expect([grade(type, spec, good).pass, grade(type, spec, bad).pass]).toEqual([true, false]);
    expect([grade(`not-${type}`, spec, good).pass, grade(`not-${type}`, spec, bad).pass]).toEqual([
      false,
      true,
    ]);
    expect(grade(type, spec, bad).reason).toContain(type);
  });

  it('exists for every type that is offered', () => {
    expect(
      assertionTypes.every((type) => findType(type, () => {}) && findType(`not-${type}`, () => {})),
    ).toBe(true);
    expect(assertionTypes).toContain('llm-rubric');
    expect(assertionTypes.length).toBe(new Set(assertionTypes).size);
  });

  it('scores a similarity by how near it is', () => {
    expect(grade('similarity', { value: 'abcd', threshold: 0.5 }, 'abcx').score).toBe(0.75);
    expect(grade('not-similarity', { value: 'abcd', threshold: 0.5 }, 'abcx').score).toBe(0.25);
  });

  it('takes an empty answer for a refusal that is worth nothing', () => {
    expect(grade('is-refusal', {}, ' ')).toMatchObject({ pass: true, score: 0 });
    expect(grade('not-is-refusal', {}, '')).toMatchObject({ pass: false, score: 0 });
  });

  it('crashes rather than guess what an answer cost', () => {
    expect(() => grade('cost', { threshold: 1 }, { cost: null })).toThrow(AssertionCrash);
    expect(() => grade('not-cost', { threshold: 1 }, { cost: null })).toThrow(AssertionCrash);
  });

  it('does not repeat a long answer', () => {
    expect(grade('equals', { value: 'x' }, 'y'.repeat(10_000)).reason.length).toBeLessThan(200);
  });
});

describe('a list in one text', () => {
  it.each([
    ['a, b', ['a', 'b']],
    [' ,a,, "b, c" ,"d""e","f\\"g"', ['a', 'b, c', 'd"e', 'f"g']],
    ['', []],
    ['"open', undefined],
    ['"a"b', undefined],
  ])('%j', (text, parts) => {
    expect(splitList(text)).toEqual(parts);
  });
});

describe('the grades of an answer', () => {
  const one = (pass: boolean, score: number, weight = 1): AssertionGrade => ({
    type: 't',
    pass,
    score,
    weight,
    metric: null,
    reason: 'why',
  });

  it('all have to pass, unless a threshold lets the score decide', () => {
    expect(sumGrades([one(true, 1), one(false, 0)], undefined)).toMatchObject({
      pass: false,
      score: 0.5,
      reason: 'why',
    });
    expect(sumGrades([one(true, 1), one(false, 0)], 0.5).pass).toBe(true);
    expect(sumGrades([one(true, 1, 3), one(false, 0)], 0.8).pass).toBe(false);
    expect(sumGrades([one(true, 0.2)], 0.5).pass).toBe(false);
  });

  it('one of weight 0 is measured and decides nothing', () => {
    expect(sumGrades([one(true, 1), one(false, 0, 0)], undefined)).toMatchObject({ pass: true, score: 1 });
  });
});

it('braces that nobody closes are given up, not looked through for minutes', () => {
  expect(() => grade('contains-json', {}, '{'.repeat(200_000))).toThrow(AssertionCrash);
  expect(() => grade('not-contains-json', {}, '{'.repeat(200_000))).toThrow(AssertionCrash);
});

describe('a judge', () => {
  it('is given rubric and answer as data', () => {
    expect(toJudgeVariables({ polite: true }, 'Hi')).toEqual({ rubric: '{"polite":true}', output: 'Hi' });
  });

  it('says pass or fail, by its score where a threshold asks for it', () => {
    expect(readJudgement('{"pass":true,"score":0.7,"reason":"ok"}', undefined, false)).toEqual({
      pass: true,
      score: 0.7,
      reason: 'ok',
    });
    expect(readJudgement('{"pass":true,"score":0.7}', 0.8, false).pass).toBe(false);
    expect(readJudgement('```json\n{"pass":false}\n```', undefined, true)).toMatchObject({
      pass: true,
      score: 1,
    });
  });

  it.each([
    '',
    'yes',
    '{"score":1}',
    '{"pass":"true"}',
    '[]',
    '{"pass":true,"score":7}',
    '{"pass":true,"score":-1}',
  ])('that says neither never lets anything pass: %j', (said) => {
    expect(() => readJudgement(said, undefined, false)).toThrow(AssertionCrash);
    expect(() => readJudgement(said, undefined, true)).toThrow(AssertionCrash);
  });
});
