import { describe, expect, test } from 'vitest';
import { DefinitionError, parseDefinition, renderPrompt } from '../../src/domain/definition.ts';

const base = `---
name: summarize
version: 2
description: Short.
model: gpt-4o-mini
config: { temperature: 0.2, maxOutputTokens: 800, timeout: 45s }
input:
  schema: { text: string, audience?: string }
  default: { audience: all }
---
{{role "system"}}
Be brief for {{audience}}.
{{role "user"}}
Summarize: {{text}}
`;

function parse(source: string, partials: Record<string, string> = {}) {
  return parseDefinition(source, { path: 'a.prompt', partial: (name) => partials[name] });
}

function refusals(source: string): string[] {
  try {
    parse(source);
  } catch (error) {
    if (error instanceof DefinitionError) return error.message.split('\n');
    throw error;
  }
  return [];
}

function frontMatter(lines: string): string {
  return `---\nname: a\nversion: 1\nmodel: m\n${lines}\n---\nHello`;
}

describe('parseDefinition', () => {
  test('reads every part of a version', () => {
    const definition = parse(base);
    expect(definition).toMatchObject({
      name: 'summarize',
      version: 2,
      model: 'gpt-4o-mini',
      parameters: { temperature: 0.2, maxOutputTokens: 800, timeoutMs: 45_000 },
      outputFormat: 'text',
      outputSchema: null,
      messages: [
        { role: 'system', template: 'Be brief for {{audience}}.' },
        { role: 'user', template: 'Summarize: {{text}}' },
      ],
      partials: {},
      metadata: {},
      warnings: [],
      acceptsHistory: false,
    });
  });

  test('reports every problem at its place', () => {
    const source = base
      .replace('name: summarize', 'name: Summarize')
      .replace('model:', 'modle:')
      .replace('0.2', '3')
      .replace('{{text}}', '{{txt}}');
    expect(refusals(source).map((line) => line.slice(0, line.indexOf(': ')))).toEqual([
      'a.prompt:2:1',
      'a.prompt:2:7',
      'a.prompt:5:1',
      'a.prompt:6:24',
      'a.prompt:14:14',
    ]);
    expect(refusals(source).join('\n')).toContain('Did you mean `model`?');
  });

  test.each([
    ['no front matter', 'Hello', 'a.prompt:1:1'],
    ['a NUL', `${base}\0`, 'a.prompt:15:1'],
    ['a duplicate key', frontMatter('author: x\nauthor: y'), 'a.prompt:6:1'],
    ['an anchor', frontMatter('author: &x y'), 'a.prompt:5:'],
    ['a tag', frontMatter('author: !!str y'), 'a.prompt:5:'],
    ['a number that loses digits', frontMatter('metadata: { id: 12345678901234567890 }'), 'a.prompt:5:17'],
    ['a reserved key', frontMatter('metadata: { __proto__: 1 }'), 'a.prompt:5:13'],
    ['a wrong timeout', frontMatter('config: { timeout: 11m }'), 'a.prompt:5:20'],
    ['a parameter by its wire name', frontMatter('config: { max_tokens: 5 }'), 'a.prompt:5:11'],
    ['an unknown type', frontMatter('input: { schema: { a: strng } }'), 'a.prompt:5:23'],
    [
      'a schema that is not one',
      frontMatter('output: { schema: { type: object, required: a } }'),
      'a.prompt:5:45',
    ],
    [
      'an external reference',
      frontMatter('output: { schema: { type: object, $ref: "other.json" } }'),
      'a.prompt:5:19',
    ],
    [
      'a default that does not fit',
      frontMatter('input: { schema: { a: string }, default: { a: 1 } }'),
      'a.prompt:5:47',
    ],
    ['a text output with a schema', frontMatter('output: { format: text, schema: string }'), 'a.prompt:5:25'],
    ['a file that is too large', `${base}${'a'.repeat(1_048_576)}`, 'a.prompt:1:1'],
    ['front matter that is too large', frontMatter(`description: ${'a'.repeat(70_000)}`), 'a.prompt:2:1'],
    ['nesting that is too deep', `${frontMatter('')}${'{{#if x}}'.repeat(20_000)}`, 'a.prompt:'],
  ])('refuses %s', (_, source, place) => {
    const [first] = refusals(source);
    expect(first?.startsWith(place), first).toBe(true);
  });

  test('warns of variables that are never used and of optional ones without a guard', () => {
    const source = `---\nname: a\nversion: 1\nmodel: m\ninput:\n  schema:\n    text: string\n    tone?: string\n---\nIn {{tone}}`;
    expect(
      parse(source)
        .warnings.map(({ path }) => path)
        .sort(),
    ).toEqual(['a.prompt:10:6', 'a.prompt:7:5']);
  });

  test('declares its answers deterministic, or not, or leaves it to the temperature; and hears where that cannot be', () => {
    const declared = (lines: string) => parse(frontMatter(lines));
    expect(declared('').deterministic).toBe(null);
    expect(declared('deterministic: false\nconfig: { temperature: 0 }').deterministic).toBe(false);
    expect(declared('deterministic: true')).toMatchObject({ deterministic: true, warnings: [] });
    expect(declared('deterministic: true\nconfig: { temperature: 0.7 }').warnings).toMatchObject([
      { message: expect.stringContaining('`config.temperature` is 0.7: at 0 they may be.') },
    ]);
  });

  test('is rebuilt whole from its stored source and partials', () => {
    const source = base.replace('Be brief', '{{> tone}}');
    const first = parse(source, { tone: 'Be {{> word}}', word: 'kind', unused: 'x' });
    expect(Object.keys(first.partials)).toEqual(['tone', 'word']);
    const again = parseDefinition(first.source, { path: 'stored', partial: (name) => first.partials[name] });
    expect(again.checksum).toBe(first.checksum);
    expect(renderPrompt(again, { text: 'x' })).toEqual(renderPrompt(first, { text: 'x' }));
  });
});

describe('the checksum', () => {
  const checksum = parse(base).checksum;

  test.each([
    ['name', base.replace('summarize', 'other')],
    ['version', base.replace('version: 2', 'version: 3')],
    ['description and author', base.replace('description: Short.', 'author: me')],
    ['metadata', base.replace('description: Short.', 'metadata: { a: 1 }')],
    ['line ends and BOM', `\uFEFF${base.replaceAll('\n', '\r\n')}`],
    ['YAML comments', base.replace('version: 2', 'version: 2 # two')],
    ['template comments', base.replace('Summarize:', '{{! note }}Summarize:')],
    ['key order', base.replace('{ text: string, audience?: string }', '{ audience?: string, text: string }')],
    ['white space that is trimmed', `${base}\n\n`],
    ['how a partial is cut', base.replace('Be brief', 'Be bri{{! }}ef')],
  ])('does not change with %s', (_, source) => {
    expect(parse(source).checksum).toBe(checksum);
  });

  test.each([
    ['model', base.replace('gpt-4o-mini', 'gpt-4o')],
    ['parameters', base.replace('0.2', '0.3')],
    ['timeout', base.replace('45s', '46s')],
    ['text', base.replace('Summarize:', 'Summarise:')],
    ['role', base.replace('{{role "system"}}', '{{role "user"}}')],
    ['input schema', base.replace('text: string', 'text: any')],
    ['defaults', base.replace('audience: all', 'audience: some')],
    ['output format', base.replace('input:', 'output: { format: json }\ninput:')],
    ['output schema', base.replace('input:', 'output: { schema: { a: string } }\ninput:')],
    ['what is declared of the answers', base.replace('input:', 'deterministic: true\ninput:')],
    ['inner white space', base.replace('Summarize: ', 'Summarize:  ')],
  ])('changes with %s', (_, source) => {
    expect(parse(source).checksum).not.toBe(checksum);
  });

  test('changes with the text of a partial, and not with putting it in place', () => {
    const source = base.replace('Be brief', '{{> tone}}');
    expect(parse(source, { tone: 'Be brief' }).checksum).toBe(checksum);
    expect(parse(source, { tone: 'Be kind' }).checksum).not.toBe(checksum);
  });
});

describe('renderPrompt', () => {
  test('fills in defaults, and hashes variables whatever their order', () => {
    const definition = parse(base);
    const one = renderPrompt(definition, { text: 'x' });
    const two = renderPrompt(definition, { audience: 'all', text: 'x' });
    expect(one.variables).toEqual({ text: 'x', audience: 'all' });
    expect(two.variablesHash).toBe(one.variablesHash);
    expect(two.renderedHash).toBe(one.renderedHash);
    expect(one.messages[0]).toEqual({
      role: 'system',
      content: 'Be brief for all.',
      origin: 'template',
      spans: [{ start: 13, end: 16, variable: 'audience' }],
    });
  });

  test.each([
    ['no object', 'text', 'variables', 'expected an object of variables, got string'],
    ['a missing variable', {}, 'variables.text', 'is missing'],
    ['an unknown variable', { text: 'a', audiense: 'b' }, 'variables.audiense', 'did you mean audience?'],
    ['a wrong type', { text: 5 }, 'variables.text', 'expected string, got number'],
    ['a prototype name', JSON.parse('{"text":"a","__proto__":{}}'), 'variables.__proto__', 'reserved name'],
    ['half of a surrogate pair', { text: '\uD800' }, 'variables.text', 'surrogate'],
    ['what is not JSON', { text: () => 'a' }, 'variables.text', 'not a JSON value'],
  ])('refuses %s', (_, variables, path, message) => {
    let thrown: unknown;
    try {
      renderPrompt(parse(base), variables);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'invalid_variables' });
    const issue = (thrown as DefinitionError).issues.find((each) => each.path === path);
    expect(issue?.message).toContain(message);
  });
});
