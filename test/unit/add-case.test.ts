import { describe, expect, it } from 'vitest';
import { addCasesToSuite, addCaseToSuite } from '../../src/domain/add-case.ts';
import { compileSuite } from '../../src/domain/evaluation-suite.ts';

const path = 'summarize.eval.yaml';
const added = {
  promptName: 'summarize',
  id: 'execution-1',
  critical: false,
  description: 'Execution 1 of version 2',
  variables: { text: 'A fox.\nAnd a dog: "both".', tags: ['a', 'b'] },
  assertion: { type: 'equals', value: 'Foxes & dogs' },
};
const written = `# Ours, not theirs.
threshold: 0.9   # as agreed in March
tests:
  # The first one ever.
  - id: first
    vars: { text: 'x' }
    assert: [{ type: is-json }]   # strange, but so it is
`;

describe('cases that are added together', () => {
  const ask = (id: string, text: string) => ({ ...added, id, variables: { text } });

  it('are each input once, whatever file the suite has its own from, and one that is none keeps no other out', () => {
    const suite = `${written}  - file://more.csv\n# The end.\n`;
    const files = { 'more.csv': 'text,__expected\ny,contains: y\n' };
    const cases = [
      ask('a', 'x'),
      ask('b', 'y'),
      ask('c', 'z'),
      ask('d', 'z'),
      ask('e', 'file://secret'),
      ask('first', 'w'),
    ];
    const result = addCasesToSuite(suite, path, files, cases);
    expect(result).toMatchObject({ added: 1, duplicates: 4, refused: [{ id: 'e' }] });
    expect(result.text).toContain(written.trimEnd());
    const ids = compileSuite(result.text, path, files).cases.map(({ id }) => id);
    expect([ids[0], ids.at(-1), ids.length]).toEqual(['first', 'c', 3]);
  });

  it('begin a suite where there is none, and leave one as it is that has them all', () => {
    const { text, added: count } = addCasesToSuite('', path, {}, [ask('a', 'x'), ask('b', 'y')]);
    expect([count, compileSuite(text, path).cases.length]).toEqual([2, 2]);
    expect(addCasesToSuite(text, path, {}, [ask('c', 'x')])).toMatchObject({ text, added: 0, duplicates: 1 });
  });
});

describe('a case that is added', () => {
  it('stands at the end, and everything else stays as it is', () => {
    const text = addCaseToSuite(written, path, added);
    expect(text.startsWith(written.trimEnd())).toBe(true);
    const { cases } = compileSuite(text, path);
    expect(cases.map(({ id }) => id)).toEqual(['first', 'execution-1']);
    // A list of texts stays one value.
    expect(cases[1]!.variables).toEqual(added.variables);
  });

  it('begins a suite where there is none', () => {
    expect(compileSuite(addCaseToSuite('', path, added), path).cases).toHaveLength(1);
  });

  it.each([
    ['an id that is taken', addCaseToSuite(written, path, added), added, /has a case "execution-1" already/],
    ['a suite whose cases are elsewhere', 'tests: cases.csv\n', added, /no list of `tests`/],
    ['a suite that cannot be read', 'tests: [\n', added, /no list of `tests`/],
    [
      'an assertion that is none',
      '',
      { ...added, assertion: { type: 'bleu', value: 'x' } },
      /`bleu` is not supported/,
    ],
  ])('is refused: %s', (_what, text, one, message) => {
    expect(() => addCaseToSuite(text, path, one)).toThrow(message);
  });
});
