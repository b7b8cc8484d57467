import { describe, expect, it } from 'vitest';
import { compareContracts } from '../../src/domain/contract.ts';
import { parseDefinition } from '../../src/domain/definition.ts';

/** A definition with this input schema and what else its front matter says, in YAML. */
function contractOf(input: string, more = '', body = 'Do it.') {
  return parseDefinition(
    `---\nname: p\nversion: 1\nmodel: gpt-4o-mini\ninput:\n  schema: ${input}\n${more}---\n${body}\n`,
    {
      path: 'p.prompt',
    },
  );
}

const output = (schema: string) => `output: { format: json, schema: ${schema} }\n`;

function changes(before: ReturnType<typeof contractOf>, after: ReturnType<typeof contractOf>): string[] {
  return compareContracts(before, after).map(
    ({ path, change, breaking }) => `${path} ${change}${breaking ? ' !' : ''}`,
  );
}

describe('the contract of the input', () => {
  it.each([
    ['{ text: string }', '{ text: string }', []],
    ['{ text: string }', '{ text: "string, said otherwise" }', []],
    ['{ text: string }', '{ text: string, tone: string }', ['input.tone added !']],
    ['{ text: string }', '{ text: string, tone?: string }', ['input.tone added']],
    ['{ text: string, tone?: string }', '{ text: string }', ['input.tone removed !']],
    ['{ text: string, tone?: string }', '{ text: string, tone: string }', ['input.tone required !']],
    ['{ text: string, tone: string }', '{ text: string, tone?: string }', ['input.tone optional']],
    ['{ text: string }', '{ text: number }', ['input.text retyped !']],
    ['{ n: number }', '{ n: integer }', ['input.n narrowed !']],
    ['{ n: integer }', '{ n: number }', ['input.n widened']],
    ['{ n: any }', '{ n: string }', ['input.n narrowed !']],
    ['{ "t(enum)": [a, b] }', '{ "t(enum)": [a] }', ['input.t narrowed !']],
    ['{ "t(enum)": [a] }', '{ "t(enum)": [a, b] }', ['input.t widened']],
    ['{ "t(enum)": [a] }', '{ t: string }', ['input.t widened']],
    ['{ t: string }', '{ "t(enum)": [a] }', ['input.t narrowed !']],
    ['{ "tags(array)": string }', '{ "tags(array)": number }', ['input.tags[] retyped !']],
    ['{ "a(array)": { x: string } }', '{ "a(array)": { x: string, y: string } }', ['input.a[].y added !']],
    ['{ "a(object)": { x: string } }', '{ "a(object)": { x: string, y?: string } }', ['input.a.y added']],
    ['{ text: string }', '{ text: string, (*): string }', ['input widened']],
    ['{ text: string, (*): string }', '{ text: string }', ['input narrowed !']],
  ])('%s → %s', (before, after, expected) => {
    expect(changes(contractOf(before), contractOf(after))).toEqual(expected);
  });

  it.each([
    ['', 'overridable: { seed: any }\n', ['overridable.seed added']],
    ['overridable: { seed: any }\n', '', ['overridable.seed removed !']],
    [
      'overridable: { topP: any }\n',
      'overridable: { topP: { max: 0.9 } }\n',
      ['overridable.topP narrowed !'],
    ],
    ['overridable: { topP: { min: 0.5 } }\n', 'overridable: { topP: any }\n', ['overridable.topP widened']],
    ['overridable: { model: [a, b] }\n', 'overridable: { model: [b] }\n', ['overridable.model narrowed !']],
    [
      'overridable: { model: [a, b] }\n',
      'overridable: { model: [b, a, c] }\n',
      ['overridable.model widened'],
    ],
  ])('covers what callers may decide: %s → %s', (before, after, expected) => {
    expect(changes(contractOf('{}', before), contractOf('{}', after))).toEqual(expected);
  });

  it('counts a required variable with a default as one that callers may leave out', () => {
    const withDefault = contractOf('{ text: string, tone: string }', '  default: { tone: plain }\n');
    expect(changes(contractOf('{ text: string }'), withDefault)).toEqual(['input.tone added']);
    expect(changes(withDefault, contractOf('{ text: string, tone: string }'))).toEqual([
      'input.tone required !',
    ]);
  });

  it('compares the bounds of JSON Schema by their direction', () => {
    const limited = (length: number) =>
      contractOf(`{ type: object, properties: { t: { type: string, maxLength: ${length} } } }`);
    const free = contractOf('{ type: object, properties: { t: { type: string } } }');
    expect(changes(limited(10), limited(20))).toEqual(['input.t widened']);
    expect(changes(limited(20), limited(10))).toEqual(['input.t narrowed !']);
    expect(changes(free, limited(10))).toEqual(['input.t narrowed !']);
    expect(changes(limited(10), free)).toEqual(['input.t widened']);
  });

  it('counts what cannot be compared by structure as a break', () => {
    const pattern = (text: string) =>
      contractOf(`{ type: object, properties: { t: { type: string, pattern: "${text}" } } }`);
    expect(changes(pattern('^a'), pattern('^b'))).toEqual(['input.t changed !']);
  });

  it('takes the place for the messages of the caller into account', () => {
    const chat = contractOf('{ text: string }', '', '{{history}}\n{{role "user"}}\nGo on.');
    expect(changes(chat, contractOf('{ text: string }'))).toEqual(['messages removed !']);
    expect(changes(contractOf('{ text: string }'), chat)).toEqual(['messages added']);
  });
});

describe('the contract of the output', () => {
  it.each([
    ['{ a: string }', '{ a: string, b: string }', ['output.b added']],
    ['{ a: string, b: string }', '{ a: string }', ['output.b removed !']],
    ['{ a: string }', '{ a?: string }', ['output.a optional !']],
    ['{ a?: string }', '{ a: string }', ['output.a required']],
    ['{ a: integer }', '{ a: number }', ['output.a widened !']],
    ['{ a: number }', '{ a: integer }', ['output.a narrowed']],
    ['{ "a(enum)": [x] }', '{ "a(enum)": [x, y] }', ['output.a widened !']],
    ['{ "a(enum)": [x, y] }', '{ "a(enum)": [x] }', ['output.a narrowed']],
    ['{ "a(array)": string }', '{ "a(array)": number }', ['output.a[] retyped !']],
  ])('%s → %s', (before, after, expected) => {
    const [one, two] = [contractOf('{}', output(before)), contractOf('{}', output(after))];
    expect(changes(one, two)).toEqual(expected);
  });

  it('breaks when the format changes or the schema goes, not when a schema comes', () => {
    const text = contractOf('{}');
    const json = contractOf('{}', 'output: { format: json }\n');
    const schema = contractOf('{}', output('{ a: string }'));
    expect(changes(text, json)).toEqual(['output retyped !']);
    expect(changes(json, schema)).toEqual(['output narrowed']);
    expect(changes(schema, json)).toEqual(['output widened !']);
  });
});
