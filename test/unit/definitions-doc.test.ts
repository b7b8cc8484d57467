// What docs/definitions.md shows is run: its definitions compile and render as it says, its refusals read as it says.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DefinitionError, parseDefinition, renderPrompt } from '../../src/domain/definition.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import type { Role } from '../../src/domain/message.ts';

const doc = readFileSync(new URL('../../docs/definitions.md', import.meta.url), 'utf8');

interface Rendered {
  readonly variables: JsonObject;
  readonly history?: readonly (readonly [Role, string])[];
  readonly messages: readonly (readonly [Role, string])[];
}

const partials = new Map(
  [...doc.matchAll(/^`_(\S+)\.prompt`:\n\n```partial\n([\s\S]*?)^```$/gm)].map(([, name, text]) => [
    name!,
    text!,
  ]),
);
const examples = [...doc.matchAll(/^```prompt\n([\s\S]*?)^```\n\n```json\n([\s\S]*?)^```$/gm)].map(
  ([, source, rendered]) => ({
    name: /^name: (.+)$/m.exec(source!)![1]!,
    source: source!,
    rendered: JSON.parse(rendered!) as Rendered,
  }),
);
const schema = /where the schema is `([^`]+)`/.exec(doc)![1]!;

/** Rows of the table whose first header cell is `title`, as [cell, cell]. */
function rowsOf(title: string): [string, string][] {
  const table = doc.slice(doc.indexOf(`| ${title} | refusal |`)).split('\n\n')[0]!;
  return table
    .split('\n')
    .slice(2)
    .map((row) => /^\| `(.+?)` \| (.+) \|$/.exec(row)!)
    .map(([, written, refusal]) => [written!, refusal!]);
}

function firstRefusal(frontMatter: readonly string[], body: string): string | undefined {
  try {
    parseDefinition(`---\n${frontMatter.join('\n')}\n---\n${body}`, { path: 'doc' });
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(DefinitionError);
    return (error as DefinitionError).issues[0]!.message;
  }
}

describe('docs/definitions.md', () => {
  it('has examples and refusals to run', () => {
    expect(examples.length).toBe([...doc.matchAll(/^```prompt$/gm)].length);
    expect([examples.length, partials.size, rowsOf('template').length]).toEqual([5, 1, 34]);
    expect(rowsOf('front matter').length).toBeGreaterThan(15);
  });

  it('lists every key, and none that is not', () => {
    const documented = (heading: string) =>
      [
        ...doc
          .slice(doc.indexOf(`| ${heading} |`))
          .split('\n\n')[0]!
          .matchAll(/^\| `(\w+)`/gm),
      ].map(([, key]) => key!);
    const known = (path: string, line: string) =>
      firstRefusal(['name: a', 'version: 1', 'model: m', line], 'x')!
        .replace(`There is no key \`${path}\`. The keys are `, '')
        .replace(/\.$/, '')
        .split(', ');
    expect(documented('key').sort()).toEqual(known('zzzzzzzz', 'zzzzzzzz: 1').sort());
    expect(documented('key of `config`').sort()).toEqual(
      known('config.zzzzzzzz', 'config: { zzzzzzzz: 1 }').sort(),
    );
  });

  it.each(examples)('$name compiles without a warning and renders as shown', ({ source, rendered }) => {
    const definition = parseDefinition(source, { path: 'doc', partial: (name) => partials.get(name) });
    expect(definition.warnings).toEqual([]);
    const history = (rendered.history ?? []).map(([role, content]) => ({ role, content }));
    const { messages } = renderPrompt(definition, rendered.variables, history);
    expect(messages.map(({ role, content }) => [role, content])).toEqual(rendered.messages);
  });

  it.each(rowsOf('template'))('%s is refused as shown', (body, refusal) => {
    const frontMatter = ['name: a', 'version: 1', 'model: m', `input: { schema: ${schema} }`];
    expect(firstRefusal(frontMatter, body)).toBe(refusal);
  });

  it.each(rowsOf('front matter'))('%s is refused as shown', (line, refusal) => {
    const key = line.split(':')[0]!;
    const rest = ['name: a', 'version: 1', 'model: m'].filter((other) => !other.startsWith(`${key}:`));
    expect(firstRefusal([...rest, line], 'x')).toBe(refusal);
  });
});
