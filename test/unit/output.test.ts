import { describe, expect, it } from 'vitest';
import { compileSchema } from '../../src/domain/json-schema.ts';
import { compileOutput } from '../../src/domain/output.ts';

const schema = compileSchema({
  type: 'object',
  properties: { mood: { enum: ['good', 'bad'] }, tags: { type: 'array', items: { type: 'string' } } },
  required: ['mood'],
  additionalProperties: false,
});
const validate = compileOutput('json', schema);

describe('an output', () => {
  it('of text may be anything', () => {
    expect(compileOutput('text', null)('{', 'stop')).toEqual([]);
  });

  it('that fits its schema has no problem', () => {
    expect(validate(' {"mood":"good","tags":[]}\n', 'stop')).toEqual([]);
  });

  it.each([
    ['{"mood":"secret"}', 'output.mood', /must be one of/],
    ['{"tags":[]}', 'output.mood', /is missing/],
    ['{"mood":"bad","tags":[1]}', 'output.tags[0]', /expected string/],
    ['{"mood":"bad","secret":1}', 'output.secret', /is not declared/],
    ['["secret"]', 'output', /expected object, got array/],
    ['secret', 'output', /^is not JSON$/],
    ['```json\n{"mood":"good"}\n```', 'output', /^is not JSON$/],
    ['', 'output', /^is not JSON$/],
  ])('%s is refused with its place', (output, path, message) => {
    const issues = validate(output, 'stop');
    expect(issues[0]).toMatchObject({ path, message: expect.stringMatching(message) });
    expect(issues[0]?.message).not.toContain('secret');
  });

  it('that was cut off says so', () => {
    expect(validate('{"mood":"go', 'length')[0]?.message).toMatch(/limit of output tokens/);
  });

  it('nested beyond all bounds is refused, not crashed on', () => {
    const deep = `${'['.repeat(5_000)}${']'.repeat(5_000)}`;
    expect(compileOutput('json', null)(deep, 'stop')[0]?.message).toMatch(/nested deeper/);
  });

  it.each(['refusal', 'content_filter', 'tool_calls'] as const)(
    'that is a %s is not held to the schema',
    (finish) => {
      expect(validate('No.', finish)).toEqual([]);
    },
  );

  it('without a schema has to be JSON', () => {
    const any = compileOutput('json', null);
    expect([any('[1]', 'stop'), any('1', 'stop')]).toEqual([[], []]);
    expect(any('one', 'stop')).toHaveLength(1);
  });
});
