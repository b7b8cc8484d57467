// Templates of other projects, read in place when they are beside this checkout.
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { DefinitionError, parseDefinition } from '../../src/domain/definition.ts';

const file = new URL('../../../shared/prompts/real-templates.jsonl', import.meta.url);
const present = existsSync(file);
if (!present) test.skip('the collection of real templates is not beside this checkout', () => {});

interface RealTemplate {
  readonly id: string;
  readonly engine: string;
  readonly template: string;
  readonly variables?: readonly string[];
}

/** `undefined` when the template compiles, else the error. */
function attempt(body: string, schema: unknown): unknown {
  const head = `name: real\nversion: 1\nmodel: test/model\ninput: ${JSON.stringify({ schema })}`;
  try {
    parseDefinition(`---\n${head}\n---\n${body}`, { path: 'real' });
    return undefined;
  } catch (error) {
    return error;
  }
}

describe.runIf(present)('real templates', () => {
  const templates: RealTemplate[] = present
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line))
    : [];

  test('each compiles, or is refused with a place and a sentence', () => {
    const counts: Record<string, { compiled: number; refused: number }> = {};
    for (const { id, engine, template, variables } of templates) {
      const body =
        engine === 'handlebars' ? template.replace(/^[\s\S]*?^---\n[\s\S]*?^---\n/m, '') : template;
      const names = (variables ?? []).filter((name) => /^\w+$/.test(name));
      const properties = Object.fromEntries(names.map((name) => [name, {}]));
      const error = attempt(body, { type: 'object', properties, additionalProperties: true });
      counts[engine] ??= { compiled: 0, refused: 0 };
      if (error === undefined) {
        counts[engine].compiled++;
        continue;
      }
      counts[engine].refused++;
      expect(error, id).toBeInstanceOf(DefinitionError);
      const { issues } = error as DefinitionError;
      expect(issues.length, id).toBeGreaterThan(0);
      for (const { line, column, message } of issues) {
        expect(line, id).toBeGreaterThan(5);
        expect(column, id).toBeGreaterThan(0);
        expect(message.length, id).toBeGreaterThan(10);
      }
    }
    console.info(
      Object.entries(counts)
        .map(([engine, { compiled, refused }]) => `${engine}: ${compiled} compile, ${refused} refused`)
        .join('\n'),
    );
    expect(Object.values(counts).some(({ compiled }) => compiled > 10)).toBe(true);
  });
});
