// A suite file as what runs: promptfoo's words, ids that stay, and every problem with its place.
import { describe, expect, it } from 'vitest';
import { DefinitionError } from '../../src/domain/definition-error.ts';
import { type CompiledSuite, compileSuite, listSuiteFiles } from '../../src/domain/evaluation-suite.ts';

const path = 'summarize.eval.yaml';

function compile(text: string, files: Record<string, string> = {}): CompiledSuite {
  return compileSuite(text, path, files);
}

function problemsOf(text: string, files: Record<string, string> = {}): string[] {
  try {
    compile(text, files);
  } catch (error) {
    expect(error).toBeInstanceOf(DefinitionError);
    return (error as DefinitionError).issues.map((issue) => `${issue.path}: ${issue.message}`);
  }
  return [];
}

const ids = ({ cases }: CompiledSuite) => cases.map(({ id }) => id);

describe('a suite', () => {
  it('takes its prompt from its name and its cases with defaults put in', () => {
    const suite = compile(`
repeats: 3
threshold: 0.9
defaultTest:
  vars: { audience: children }
  assert: [{ type: not-contains, value: sorry }]
tests:
  - id: short
    critical: true
    vars: { text: A fox. }
    assert:
      - { type: icontains, value: '{{text}}', weight: 2 }
  - vars: { text: [one, two] }
    assert: [{ type: length, value: { max: 9 } }]
`);
    expect(suite).toMatchObject({ promptName: 'summarize', name: 'default', repeats: 3, threshold: 0.9 });
    expect(suite.cases.map(({ variables }) => variables)).toEqual([
      { audience: 'children', text: 'A fox.' },
      { audience: 'children', text: 'one' },
      { audience: 'children', text: 'two' },
    ]);
    expect(suite.cases[0]).toMatchObject({ id: 'short', critical: true });
    expect(suite.cases.map(({ assertions }) => assertions.map(({ type }) => type))).toEqual([
      ['not-contains', 'icontains'],
      ['not-contains', 'length'],
      ['not-contains', 'length'],
    ]);
  });

  it('runs a file of promptfoo as it is, and says what it passes over', () => {
    const suite = compileSuite(
      `# yaml-language-server: $schema=https://promptfoo.dev/config-schema.json
description: Translation
prompts:
  - 'Translate to {{language}}: {{input}}'
providers: [openai:gpt-4o-mini]
assertionTemplates:
  polite: { type: not-icontains, value: stupid }
x: &greeting { type: contains, value: Bonjour }
`.replace('x: &greeting { type: contains, value: Bonjour }\n', '') +
        `tests:
  - vars: &vars { language: French, input: Hello }
    assert:
      - &greeting { type: contains, value: Bonjour }
      - $ref: '#/assertionTemplates/polite'
      - type: assert-set
        threshold: 0.5
        assert: [*greeting, { type: latency, threshold: 5000 }]
  - vars: { <<: *vars, language: German }
    assert: [{ type: regex, value: '^Hallo' }]
`,
      'promptfooconfig.yaml',
      {},
      { promptName: 'translate' },
    );
    expect(suite.promptName).toBe('translate');
    expect(suite.cases[1]!.variables).toEqual({ language: 'German', input: 'Hello' });
    expect(suite.cases[0]!.assertions.map(({ type }) => type)).toEqual([
      'contains',
      'not-icontains',
      'assert-set',
    ]);
    expect(suite.warnings.map(({ line, message }) => `${line}: ${message}`)).toEqual([
      '3: `prompts` is passed over: the version under test is what runs.',
      '5: `providers` is passed over: the version names its model.',
    ]);
  });

  it('takes cases from CSV by the conventions of promptfoo, from JSONL, JSON and YAML', () => {
    const suite = compile('tests: [file://a.csv, ./b.jsonl, c.json, d.yaml]', {
      'a.csv':
        '__id,text,__expected,__expected2,__threshold\nfirst,"a\nb",contains: fox,"not-icontains-any: x, ""y,z""",0.5\n,plain,The answer,,\n',
      'b.jsonl':
        '{"vars":{"text":"l1"},"assert":[{"type":"equals","value":"x"}]}\n\n{"id":7,"vars":{},"assert":[{"type":"is-json"}]}\n',
      'c.json': '[{"vars":{"text":"j"},"assert":[{"type":"equals","value":"x"}]}]',
      'd.yaml': '- vars: { text: y }\n  assert: [{ type: equals, value: x }]\n',
    });
    expect(ids(suite)).toHaveLength(6);
    expect(suite.cases[0]).toMatchObject({ id: 'first', variables: { text: 'a\nb' }, threshold: 0.5 });
    expect(suite.cases.map(({ assertions }) => assertions.map(({ type }) => type))).toEqual([
      ['contains', 'not-icontains-any'],
      ['equals'],
      ['equals'],
      ['is-json'],
      ['equals'],
      ['equals'],
    ]);
    expect(ids(suite)[3]).toBe('7');
  });

  it('names the files that it takes in', () => {
    expect(
      listSuiteFiles(
        "tests:\n  - file://./more.csv\n  - vars: { text: 'file://article.txt' }\n    assert: [{ type: is-json, value: 'file://s.json' }]\n",
      ),
    ).toEqual(['article.txt', 'more.csv', 's.json']);
    expect(listSuiteFiles('tests: cases.csv')).toEqual(['cases.csv']);
  });

  it('keeps the id of a case when it moves or its assertions change', () => {
    const one = "  - { vars: { text: one }, assert: [{ type: equals, value: '1' }] }\n";
    const two = "  - { vars: { text: two }, assert: [{ type: equals, value: '2' }] }\n";
    const before = ids(compile(`tests:\n${one}${two}`));
    expect(ids(compile(`tests:\n${two.replace("'2'", "'zwei'")}${one}`))).toEqual(before.toReversed());
    const again = one.replace("'1'", "'eins'");
    expect(ids(compile(`tests:\n${one}${again}`))[0]).toBe(before[0]);
  });

  it('has the checksum of what it does: files count, descriptions, order and spelling do not', () => {
    const text =
      "tests:\n  - { vars: { text: 'file://a.txt' }, assert: [{ type: equals, value: x }] }\n  - { vars: { text: b }, assert: [{ type: is-json }] }\n";
    const { checksum } = compile(text, { 'a.txt': 'one' });
    expect(compile(text, { 'a.txt': ' one\n' }).checksum).toBe(checksum);
    const [, first, second] = text.split('\n');
    expect(compile(`description: A test\ntests:\n${second}\n${first}\n`, { 'a.txt': 'one' }).checksum).toBe(
      checksum,
    );
    for (const other of [
      compile(text, { 'a.txt': 'two' }),
      compile(`repeats: 2\n${text}`, { 'a.txt': 'one' }),
      compile(`judge: grade@1\n${text}`, { 'a.txt': 'one' }),
      compile(text.replace('value: x', 'value: y'), { 'a.txt': 'one' }),
      compile(text.replace('- { vars: { text: b }', '- { critical: true, vars: { text: b }'), {
        'a.txt': 'one',
      }),
    ]) {
      expect(other.checksum).not.toBe(checksum);
    }
  });
});

describe('what a suite cannot say is refused with its place', () => {
  const one = (assertion: string) => `tests:\n  - vars: { text: a }\n    assert:\n      - ${assertion}\n`;

  it.each([
    [
      'an unsupported type',
      one('{ type: bleu, value: x }'),
      /^summarize\.eval\.yaml:4:17: The assertion type `bleu` is not supported: supported are /,
    ],
    [
      'a relative of a supported type',
      one('{ type: similar, value: x }'),
      /4:17: .*`similar` is not supported: `similarity` compares/,
    ],
    ['a misspelt type', one('{ type: contians, value: x }'), /4:17: .*did you mean `contains`\?/],
    ['a misspelt key', one('{ type: contains, valeu: x }'), /4:27: There is no key .*Did you mean `value`/],
    ['a value of the wrong kind', one('{ type: contains, value: [a] }'), /4:34: The value is the text/],
    ['a pattern that is none', one("{ type: regex, value: '(' }"), /4:31: This is no regular expression/],
    [
      'a schema that is none',
      one('{ type: is-json, value: { type: nothing } }'),
      /4:33: The value is no JSON schema/,
    ],
    ['a threshold that is missing', one('{ type: latency }'), /4:9: `latency` needs a `threshold`/],
    [
      'a rubric without a judge',
      one('{ type: llm-rubric, value: polite }'),
      /4:17: `llm-rubric` needs a judge/,
    ],
    [
      'a judge by a label',
      `judge: grade@production\n${one('{ type: is-json }')}`,
      /1:8: `judge` must be .*a label could move/,
    ],
    [
      'a variable that is not there',
      one("{ type: contains, value: '{{txt}}' }"),
      /4:34: There is no variable `txt`/,
    ],
    [
      'a template that is more',
      one("{ type: contains, value: '{{ text | upper }}' }"),
      /4:34: Only `{{name}}`/,
    ],
    [
      'a transformation',
      one('{ type: contains, value: a, transform: output.x }'),
      /4:37: There is no key `tests.0.assert.0.transform`/,
    ],
    [
      'a key of promptfoo that changes verdicts',
      `scenarios: []\n${one('{ type: is-json }')}`,
      /1:1: There is no key `scenarios`/,
    ],
    ['a case without assertions', 'tests:\n  - vars: { text: a }\n', /2:5: This case asserts nothing/],
    ['no cases', 'tests: []\n', /1:8: There is no case/],
    ['no tests', 'repeats: 2\n', /1:1: `tests` is missing/],
    [
      'an id that is taken',
      'tests:\n  - { id: a, assert: [{ type: is-json }] }\n  - { id: a, assert: [{ type: is-json }] }\n',
      /3:5: The id "a" is taken by another case \(summarize\.eval\.yaml:2:5\)/,
    ],
    [
      'a case twice',
      'tests:\n  - { vars: { a: b }, assert: [{ type: is-json }] }\n  - { vars: { a: b }, assert: [{ type: is-json }] }\n',
      /3:5: Another case .* is the same in everything/,
    ],
    [
      'a case whose assertions weigh nothing',
      one('{ type: assert-set, assert: [{ type: is-json, weight: 0 }] }'),
      /2:5: No assertion of this case has a weight/,
    ],
    [
      'a threshold that lets everything through',
      `threshold: 0\n${one('{ type: is-json }')}`,
      /1:12: .*above 0/,
    ],
    [
      'a threshold of a case that does',
      'tests:\n  - { threshold: 0, assert: [{ type: is-json }] }\n',
      /2:18: .*above 0/,
    ],
    [
      'a file above it',
      'tests: file://../cases.csv\n',
      /1:8: The file "\.\.\/cases\.csv" is outside of the prompts/,
    ],
    [
      'a file of the machine',
      one('{ type: equals, value: file:///etc/hostname.txt }'),
      /4:32: .*is outside of the/,
    ],
    [
      'a file by a detour',
      'tests:\n  - { vars: { a: file://b/../../c.txt }, assert: [{ type: is-json }] }\n',
      /2:18: .*is outside/,
    ],
    ['a file that is not there', 'tests: file://cases.csv\n', /1:8: The file "cases.csv" is not there/],
    ['a key that is written twice', 'tests: []\ntests: []\n', /2:1: This key is written twice/],
  ])('%s', (_what, text, message) => {
    expect(problemsOf(text).join('\n')).toMatch(message);
  });

  it('in a file of cases, by its own line', () => {
    expect(
      problemsOf('tests: [a.csv, b.jsonl]', {
        'a.csv': 'text,__expected\nx,contains: y\nz,bleu: q\n',
        'b.jsonl': '\n{"vars":{},"assert":[{"type":"equal","value":1}]}\n',
      }),
    ).toEqual([
      expect.stringMatching(/^a\.csv:3:1: The assertion type `bleu`/),
      expect.stringMatching(
        /^b\.jsonl:2:\d+: The assertion type `equal` is not supported: did you mean `equals`\?/,
      ),
    ]);
  });

  it('a critical case whose cell nobody can read', () => {
    expect(problemsOf('tests: a.csv', { 'a.csv': 'text,__expected,__critical\nx,y,ture\n' })).toEqual([
      expect.stringMatching(/^a\.csv:2:1: `__critical` is yes, no, or empty/),
    ]);
  });

  it('all of it at once', () => {
    expect(problemsOf(one("{ type: g-eval, value: '{{txt}}' }"))).toHaveLength(2);
  });

  it('once, however many cases a default reaches', () => {
    const text =
      'defaultTest: { assert: [{ type: bleu }] }\ntests:\n  - { vars: { a: b } }\n  - { vars: { a: c } }\n';
    expect(problemsOf(text)).toHaveLength(1);
  });
});
