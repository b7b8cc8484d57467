// Dotprompt's own specification cases, read in place when the checkout has them beside it.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { parseDefinition, renderPrompt } from '../../src/domain/definition.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { parsePicoschema } from '../../src/domain/picoschema.ts';

const spec = new URL('../../../shared/specs/dotprompt/spec/', import.meta.url);
const present = existsSync(spec);
if (!present) test.skip('the Dotprompt specification is not beside this checkout', () => {});

interface SpecMessage {
  readonly role: string;
  readonly content: readonly { readonly text?: string }[];
}

interface SpecTest {
  readonly desc?: string;
  readonly data?: { input?: JsonObject; context?: unknown; messages?: readonly SpecMessage[] };
  readonly options?: { input?: { default?: JsonObject } };
  readonly expect: { messages?: readonly SpecMessage[]; input?: JsonObject; output?: JsonObject };
}

interface Suite {
  readonly name: string;
  readonly template: string;
  readonly data?: SpecTest['data'];
  readonly partials?: Record<string, string>;
  readonly resolverPartials?: Record<string, string>;
  readonly schemas?: unknown;
  readonly tests: readonly SpecTest[];
}

/** Where promptgate differs on purpose: `file/suite` or `file/suite/test` and why. The answer is then a refusal. */
const differences: Readonly<Record<string, string>> = {
  'partials/partial_with_context':
    'includes take no parameters: a partial sees the variables where it stands',
  'partials/partial_with_license_header': 'includes take no parameters',
  'json/basic': 'there is no {{this}} outside a loop: variables are named',
  'json/indented': 'there is no {{this}} outside a loop',
  'json/indented_4_spaces': 'there is no {{this}} outside a loop',
  'json/nested_objects': 'there is no {{this}} outside a loop',
  'json/arrays': 'there is no {{this}} outside a loop',
  'json/empty_values': 'there is no {{this}} outside a loop',
  'role/system_only_prompt': 'history is inserted where {{history}} says and nowhere else',
  'metadata/metadata_state': '@ variables other than those of a loop: a call has variables only',
  'metadata/metadata_context_variables': '@ variables: a call has variables only',
  'metadata/raw': 'a key that is not known is an error, never kept beside',
  'metadata/ext': 'a key that is not known is an error, and so is a template without a message',
  'ifEquals/*': 'no comparisons: decide before the call, and send a boolean',
  'unlessEquals/*': 'no comparisons',
  'media/*': 'the value says its own type, and the schema which it has to be: an image or a file',
  'section/*': 'no sections',
};

function reasonFor(file: string, suite: string): string | undefined {
  return differences[`${file}/${suite}`] ?? differences[`${file}/*`];
}

/** A type for each variable of a test, as the specification's cases declare none. */
function schemaOf(value: Json): JsonObject {
  if (Array.isArray(value)) return { type: 'array', items: value.length === 0 ? {} : schemaOf(value[0]!) };
  if (typeof value === 'object' && value !== null) {
    const properties = Object.entries(value).map(([key, member]) => [key, schemaOf(member)]);
    return { type: 'object', properties: Object.fromEntries(properties) };
  }
  return value === null ? {} : { type: typeof value };
}

function render(suite: Suite, each: SpecTest) {
  const variables = each.data?.input ?? suite.data?.input ?? {};
  const defaults = each.options?.input?.default ?? {};
  const input = JSON.stringify({ schema: schemaOf({ ...defaults, ...variables }), default: defaults });
  const head = `name: spec\nversion: 1\nmodel: test/model\n`;
  const source = suite.template.startsWith('---')
    ? suite.template.replace('---\n', `---\n${head}`)
    : `---\n${head}input: ${input}\n---\n${suite.template}`;
  const partials = { ...suite.partials, ...suite.resolverPartials };
  const definition = parseDefinition(source, { path: 'spec', partial: (name) => partials[name] });
  const messages = (each.data?.messages ?? suite.data?.messages ?? []).map(({ role, content }) => ({
    role: role === 'model' ? ('assistant' as const) : ('user' as const),
    content: content.map(({ text }) => text).join(''),
  }));
  return renderPrompt(definition, variables, messages).messages;
}

/** White space of the template at the ends of a message is layout here, and sent by Dotprompt. */
function comparable(messages: readonly SpecMessage[]) {
  return messages.map(({ role, content }) => [
    role === 'model' ? 'assistant' : role,
    content
      .map(({ text }) => text)
      .join('')
      .trim(),
  ]);
}

function load(path: string): Suite[] {
  return parseYaml(readFileSync(new URL(path, spec), 'utf8'));
}

describe.runIf(present)('Dotprompt specification', () => {
  const files = present
    ? [
        ...readdirSync(spec).filter((name) => name.endsWith('.yaml') && name !== 'picoschema.yaml'),
        ...readdirSync(new URL('helpers/', spec)).map((name) => `helpers/${name}`),
      ].filter((name) => name.endsWith('.yaml'))
    : [];
  for (const path of files) {
    const file = path.replace('helpers/', '').replace('.yaml', '');
    for (const suite of load(path)) {
      for (const each of suite.tests) {
        const reason = reasonFor(file, suite.name);
        const name = `${file}/${suite.name}: ${each.desc ?? ''}`;
        if (reason !== undefined) {
          test(`${name} [refused: ${reason}]`, () => expect(() => render(suite, each)).toThrow());
        } else {
          test(name, () => {
            const rendered = render(suite, each).map(({ role, content }) => [role, content]);
            expect(rendered).toEqual(comparable(each.expect.messages ?? []));
          });
        }
      }
    }
  }
});

const picoschemaDifferences: Readonly<Record<string, string>> = {
  named_schema_override_description: 'no registry of named schemas: a definition stands alone',
  nested_named_schema: 'no registry of named schemas',
};

describe.runIf(present)("Dotprompt's Picoschema", () => {
  for (const suite of present ? load('picoschema.yaml') : []) {
    const yaml = /^---\r?\n([\s\S]*?)---/.exec(suite.template)?.[1] ?? '';
    const head = parseYaml(yaml) as Record<'input' | 'output', { schema?: Json } | undefined>;
    const reason = picoschemaDifferences[suite.name];
    for (const side of ['input', 'output'] as const) {
      const source = head[side]?.schema;
      if (source === undefined) continue;
      test(`${suite.name} (${side})${reason === undefined ? '' : ` [refused: ${reason}]`}`, () => {
        const { schema, issues } = parsePicoschema(source);
        if (reason !== undefined) {
          expect(issues).not.toEqual([]);
          return;
        }
        expect(issues).toEqual([]);
        const expected = suite.tests[0]?.expect;
        // One of the cases lists `input` beside `messages` as it should, the rest below `expect`.
        const wanted = expected?.[side] ?? (suite.tests[0] as unknown as SpecTest['expect'])[side];
        expect(schema).toEqual(wanted?.schema);
      });
    }
  }
});
