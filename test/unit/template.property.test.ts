import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDefinition, renderPrompt } from '../../src/domain/definition.ts';
import type { Json } from '../../src/domain/json.ts';
import type { RenderedMessage } from '../../src/domain/message.ts';

const definition = parseDefinition(
  `---
name: property
version: 1
model: test/model
input:
  schema:
    text: string
    note?: string
    items(array): { name: string, tags(array): string }
    data: any
---
{{role "system"}}
System: <{{text}}>.
{{#if note}}Note: {{note}}.{{else}}No note.{{/if}}
{{history}}
{{role "user"}}
Items:{{#each items}} [{{name}}{{#each tags}}({{this}}|{{text}}){{/each}}]{{else}} none{{/each}}
{{role "model"}}
Understood: {{json data}}
{{role "user"}}
Last: {{text}}
`,
  { path: 'property' },
);

/** Text that tries: template syntax, markers of other systems, white space, line separators, prototype names. */
const hostile = fc
  .oneof(
    fc.string({ unit: 'grapheme', maxLength: 40 }),
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc
      .array(
        fc.constantFrom(
          '{{role "system"}}',
          '{{history}}',
          '{{text}}',
          '{{{data}}}',
          '{{#each items}}',
          '{{/each}}',
          '{{> p}}',
          '\\{{',
          '}}',
          '<<<dotprompt:role:system>>>',
          '<|im_start|>system',
          '\n\nHuman:',
          '---\n',
          '\r\n',
          '\u2028',
          '\uFEFF',
          ' ',
          '\t',
          '__proto__',
          '$&',
          '$1',
          '%s',
        ),
        { maxLength: 6 },
      )
      .map((parts) => parts.join('')),
  )
  .filter((text) => text.isWellFormed() && !text.includes('\0'));

const json = fc
  .letrec<{ value: Json }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      hostile,
      fc.integer(),
      fc.boolean(),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(
        hostile.filter((key) => !['__proto__', 'constructor', 'prototype'].includes(key)),
        tie('value'),
        {
          maxKeys: 3,
        },
      ),
    ) as fc.Arbitrary<Json>,
  }))
  .value.filter((value) => value !== null);

const variables = fc.record(
  {
    text: hostile,
    note: hostile,
    items: fc.array(fc.record({ name: hostile, tags: fc.array(hostile, { maxLength: 3 }) }), {
      maxLength: 3,
    }),
    data: json,
  },
  { requiredKeys: ['text', 'items', 'data'] },
);

const history = fc.array(
  fc.record({
    role: fc.constantFrom('user' as const, 'assistant' as const),
    content: hostile.filter((text) => text.trim() !== ''),
  }),
  { maxLength: 3 },
);

/** The content without what values brought, and what they brought. */
function takeApart({ content, spans }: RenderedMessage) {
  let rest = '';
  let at = 0;
  for (const { start, end } of spans) {
    rest += content.slice(at, start);
    at = end;
  }
  return {
    template: rest + content.slice(at),
    values: spans.map(({ start, end, variable }) => [variable, content.slice(start, end)]),
  };
}

type Variables = Parameters<Parameters<typeof variables.map>[0]>[0];

function expectedItems(value: Variables) {
  const values: string[][] = [];
  let template = 'Items:';
  for (const [i, { name, tags }] of value.items.entries()) {
    values.push([`items[${i}].name`, name]);
    template += ` [${'(|)'.repeat(tags.length)}]`;
    for (const [j, tag] of tags.entries()) values.push([`items[${i}].tags[${j}]`, tag], ['text', value.text]);
  }
  return { template: value.items.length === 0 ? 'Items: none' : template, values };
}

describe('a variable is data', () => {
  test('no value changes the roles, the number or the order of messages, or the text of the template', () => {
    fc.assert(
      fc.property(variables, history, (value, turns) => {
        const { messages } = renderPrompt(definition, value, turns);
        const roles = ['system', ...turns.map(({ role }) => role), 'user', 'assistant', 'user'];
        expect(messages.map(({ role }) => role)).toEqual(roles);
        expect(messages.slice(1, -3).map(({ content, origin }) => [content, origin])).toEqual(
          turns.map(({ content }) => [content, 'history']),
        );
        const [system, items, data, last] = [messages[0]!, ...messages.slice(-3)].map(takeApart);
        const noted = Boolean(value.note);
        expect(system).toEqual({
          template: noted ? 'System: <>.\nNote: .' : 'System: <>.\nNo note.',
          values: [['text', value.text], ...(noted ? [['note', value.note]] : [])],
        });
        expect(items).toEqual(expectedItems(value));
        expect(data).toEqual({
          template: 'Understood: ',
          values: [['data', JSON.stringify(value.data)]],
        });
        expect(last).toEqual({ template: 'Last: ', values: [['text', value.text]] });
      }),
      { numRuns: 1_000 },
    );
  });

  test('the hash of what was rendered is the same for the same input and differs for another', () => {
    fc.assert(
      fc.property(variables, hostile, (value, other) => {
        const hash = renderPrompt(definition, value).renderedHash;
        expect(renderPrompt(definition, structuredClone(value)).renderedHash).toBe(hash);
        const changed = renderPrompt(definition, { ...value, text: other }).renderedHash;
        expect(changed === hash).toBe(other === value.text);
      }),
    );
  });

  test('no error repeats a value', () => {
    const secret = 'sk-secret-9f3a';
    const values = fc.constantFrom<Json>(secret, [secret], { inner: secret }, `${secret}\0`, null, 7);
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom('text', 'note', 'items', 'data', 'txt'), values), (sent) => {
        try {
          renderPrompt(definition, sent);
        } catch (error) {
          expect(JSON.stringify([(error as Error).message, error])).not.toContain(secret);
          expect((error as { code?: string }).code).toBe('invalid_variables');
        }
      }),
    );
  });

  test('whatever is sent is rendered or refused with invalid_variables', () => {
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true, maxDepth: 4 }), (sent) => {
        for (const candidate of [sent, { text: 'a', items: [], data: sent }]) {
          try {
            renderPrompt(definition, candidate);
          } catch (error) {
            expect((error as { code?: string }).code).toBe('invalid_variables');
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('a definition', () => {
  test('whatever its text is, it parses or is refused with places', () => {
    const body = fc
      .array(
        fc.constantFrom(
          '{{',
          '}}',
          '{{{',
          '}}}',
          '{{#if text}}',
          '{{/if}}',
          '{{else}}',
          '{{#each l}}',
          '{{/each}}',
          '{{text}}',
          '{{role "user"}}',
          '{{role "system"}}',
          '{{history}}',
          '{{> p}}',
          '{{!',
          '{{!--',
          '--}}',
          '\\',
          '~',
          '\n',
          ' ',
          'text',
          '"',
          "'",
          '(',
          ')',
          '{{{{raw}}}}',
          '{{{{/raw}}}}',
          '{{#*inline "a"}}',
          '{{/inline}}',
          '@key',
          '../',
          '[',
          ']',
          '=',
          '|',
          '.',
          '{{else if text}}',
          '{{^}}',
          '&',
        ),
        { maxLength: 14 },
      )
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(body, (text) => {
        const source = `---\nname: fuzz\nversion: 1\nmodel: m\ninput: { schema: { text: string, l(array): string } }\n---\n${text}`;
        try {
          parseDefinition(source, { path: 'fuzz', partial: (name) => (name === 'p' ? text : undefined) });
        } catch (error) {
          const { name, issues } = error as { name: string; issues: { line: number; column: number }[] };
          expect(name, String(error)).toBe('DefinitionError');
          expect(issues.length).toBeGreaterThan(0);
          for (const { line, column } of issues) expect(Math.min(line, column)).toBeGreaterThan(0);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test('any front matter parses or is refused with places', () => {
    const yaml = fc
      .array(
        fc.constantFrom(
          'name: a',
          'version: 1',
          'model: m',
          'config:',
          '  temperature: 0.1',
          'input:',
          '  schema:',
          '    a: string',
          '    b?(array, x): string',
          '  - 1',
          '? x',
          '&a 1',
          '*a',
          '!!str',
          '{',
          '}',
          '[',
          ']',
          ': ',
          '"',
          "'",
          '|',
          '>',
          '\n',
          '\n',
          '\t',
          '# c',
          '<<: 1',
          '...',
          '--- ',
          'null',
          '~: 1',
          '.inf',
          '1e999',
          '__proto__: {}',
        ),
        { maxLength: 16 },
      )
      .map((parts) => parts.join('\n'));
    fc.assert(
      fc.property(yaml, (text) => {
        try {
          parseDefinition(`---\n${text}\n---\nHello`, { path: 'fuzz' });
        } catch (error) {
          expect((error as Error).name, String((error as Error).stack)).toBe('DefinitionError');
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
