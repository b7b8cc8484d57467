import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDefinition } from '../../src/domain/definition.ts';
import { writeDefinition } from '../../src/domain/write-definition.ts';

const frontMatter = { name: 'greet', version: 1, model: 'gpt-4o-mini' };
const parse = (source: string) => parseDefinition(source, { path: 'greet.prompt' });

describe('a definition written from its parts', () => {
  it('has the checksum of the same definition written by hand', () => {
    const written = writeDefinition({
      frontMatter: { ...frontMatter, config: { temperature: 0.2 }, input: { schema: { name: 'string' } } },
      messages: [
        { role: 'system', template: 'Be kind.' },
        { role: 'history', template: '' },
        { role: 'assistant', template: 'Hello.' },
        { role: 'user', template: 'Greet {{name}}.' },
      ],
    });
    const byHand = `---
version: 1
name: greet
model: gpt-4o-mini
config: { temperature: 0.2 }
input: { schema: { name: string } }
---
{{role "system"}}
Be kind.
{{history}}
{{role "model"}}
Hello.
{{role "user"}}
Greet {{name}}.
`;
    expect(parse(written).checksum).toBe(parse(byHand).checksum);
  });

  it('keeps any description and metadata, whatever they contain', () => {
    const text = fc
      .string({ unit: 'grapheme', maxLength: 80 })
      .filter((value) => !value.includes('\0') && !/\r/.test(value));
    fc.assert(
      fc.property(text, text, (description, note) => {
        const written = writeDefinition({
          frontMatter: { ...frontMatter, description, metadata: { note, again: note } },
          messages: [{ role: 'user', template: 'Hi.' }],
        });
        expect(parse(written)).toMatchObject({ description, metadata: { note, again: note } });
      }),
    );
  });
});
