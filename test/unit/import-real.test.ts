// Prompts of other tools, read in place when they are beside this checkout.
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseDefinition, renderPrompt } from '../../src/domain/definition.ts';
import { type ImportedPrompt, type ImportRequest, importPrompts } from '../../src/domain/import-prompts.ts';

const file = new URL('../../../shared/prompts/real-templates.jsonl', import.meta.url);
const present = existsSync(file);
if (!present) test.skip('the collection of real templates is not beside this checkout', () => {});

interface RealTemplate {
  readonly id: string;
  readonly format: string;
  readonly template: string;
  readonly name?: string;
  readonly version?: number;
  readonly providers?: unknown;
  readonly tests?: unknown;
}

/** The file that the tool itself would have written, and the format to be seen in it. */
const files: Record<
  string,
  (template: RealTemplate) => { text: string; format?: ImportRequest['format']; seen: string }
> = {
  'langfuse-prompt': ({ name, version, template }) => ({
    text: JSON.stringify({
      name,
      version,
      type: 'text',
      prompt: template,
      config: {},
      labels: ['production'],
    }),
    seen: 'langfuse',
  }),
  'promptfoo-config': ({ template, providers, tests }) => ({
    text: JSON.stringify({ prompts: [JSON.parse(template)].flat(), providers, tests }),
    seen: 'promptfoo',
  }),
  'promptfoo-prompt': ({ template }) => ({ text: template, format: 'promptfoo', seen: 'promptfoo' }),
  'fabric-pattern': ({ template }) => ({ text: template, seen: 'text' }),
  csv: ({ template }) => ({ text: template, format: 'text', seen: 'text' }),
};

/** What each message says when every variable is replaced by the other tool. */
function replace(text: string, values: Record<string, string>): string {
  return text.replaceAll(/\{\{\s*([\p{L}_][\p{L}\p{N}_-]*)\s*\}\}/gu, (_, name) => values[name] ?? '');
}

function expectSame(prompt: ImportedPrompt, original: string, id: string): void {
  const definition = parseDefinition(prompt.source!, { path: id });
  const names = Object.keys(definition.inputSchema.properties as object);
  const values = Object.fromEntries(names.map((name) => [name, `<${name}>`]));
  const { messages } = renderPrompt(definition, values);
  const wanted = replace(original, values).replaceAll(/\r\n?/g, '\n');
  for (const { content } of messages) expect(wanted, id).toContain(content);
}

describe.runIf(present)('real prompts of other tools', () => {
  const templates: RealTemplate[] = present
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line))
        .filter(({ format }: RealTemplate) => Object.hasOwn(files, format))
    : [];

  test('each becomes definitions that send the same text, or is refused with a place', () => {
    const counts: Record<string, { imported: number; refused: number; why: Record<string, number> }> = {};
    for (const template of templates) {
      const { text, format, seen } = files[template.format]!(template);
      const prompts = importPrompts({
        text,
        format,
        fallbackName: template.id,
        fallbackModel: 'test/model',
        versionOf: () => 1,
      });
      expect(prompts.length, template.id).toBeGreaterThan(0);
      counts[template.format] ??= { imported: 0, refused: 0, why: {} };
      const count = counts[template.format]!;
      for (const prompt of prompts) {
        expect(prompt.format).toBe(seen);
        if (prompt.source === null) {
          count.refused++;
          expect(prompt.issues.length, template.id).toBeGreaterThan(0);
          for (const { path, message } of prompt.issues) {
            expect(path, template.id).toMatch(/^(?:text|prompts?)\b/);
            const reason = message.replaceAll(/`[^`]+`|\S+:\/\/\S+|\S+\.txt/g, '…');
            count.why[reason] = (count.why[reason] ?? 0) + 1;
          }
        } else {
          count.imported++;
          if (template.format !== 'promptfoo-config') expectSame(prompt, template.template, template.id);
        }
      }
    }
    console.info(
      Object.entries(counts)
        .flatMap(([format, { imported, refused, why }]) => [
          `${format}: ${imported} imported, ${refused} refused`,
          ...Object.entries(why).map(([reason, times]) => `  ${times} × ${reason}`),
        ])
        .join('\n'),
    );
    expect(counts['langfuse-prompt']).toMatchObject({ imported: 7, refused: 0 });
    expect(Object.values(counts).reduce((sum, { imported }) => sum + imported, 0)).toBeGreaterThan(300);
  });
});
