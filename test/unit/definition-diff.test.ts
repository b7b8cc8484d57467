import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDefinition } from '../../src/domain/definition.ts';
import { diffDefinitions, diffText, type TextSegment } from '../../src/domain/definition-diff.ts';

function definitionOf(body: string, head = '', partials: Record<string, string> = {}) {
  return parseDefinition(`---\nname: p\nversion: 1\nmodel: gpt-4o-mini\n${head}---\n${body}\n`, {
    path: 'p.prompt',
    partial: (name) => partials[name],
  });
}

const written = (segments: readonly TextSegment[]) =>
  segments
    .map(({ kind, text }) => (kind === 'same' ? text : kind === 'removed' ? `[-${text}-]` : `{+${text}+}`))
    .join('');

describe('diffText', () => {
  it('tells what changed by word', () => {
    expect(written(diffText('Return three sentences.', 'Return two short sentences.'))).toBe(
      'Return [-three-]{+two short+} sentences.',
    );
  });

  it('reads neighbouring changed words as one change', () => {
    expect(written(diffText('say the old words now', 'say some new words now'))).toBe(
      'say [-the old-]{+some new+} words now',
    );
  });

  it('tells changes of white space, which reach the model too', () => {
    expect(written(diffText('a b', 'a  b'))).toBe('a{+ +} b');
  });

  it('holds every character of both texts, whatever they are', () => {
    const words = fc
      .array(fc.constantFrom('a', 'b', 'word', ' ', '  ', '\n', ',', 'é', '{{x}}'))
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(words, words, (before, after) => {
        const segments = diffText(before, after);
        const without = (kind: string) =>
          segments
            .filter((part) => part.kind !== kind)
            .map(({ text }) => text)
            .join('');
        expect(without('added')).toBe(before);
        expect(without('removed')).toBe(after);
      }),
    );
  });
});

describe('diffDefinitions', () => {
  it('finds nothing in equal definitions', () => {
    const diff = diffDefinitions(definitionOf('Go.'), definitionOf('Go.'));
    expect(diff).toEqual({ identical: true, texts: [], parameters: [], contract: [] });
  });

  it('tells model, parameters and defaults in the spelling of the definition', () => {
    const before = definitionOf('Go.', 'config: { temperature: 0.2, timeout: 45s }\n');
    const after = parseDefinition(
      '---\nname: p\nversion: 2\nmodel: gpt-4o\ndescription: New.\nconfig: { temperature: 0.5 }\n---\nGo.\n',
      { path: 'p.prompt' },
    );
    expect(diffDefinitions(before, after).parameters).toEqual([
      { name: 'model', before: 'gpt-4o-mini', after: 'gpt-4o' },
      { name: 'config.temperature', before: 0.2, after: 0.5 },
      { name: 'config.timeout', before: '45000ms', after: null },
      { name: 'description', before: null, after: 'New.' },
    ]);
  });

  it('tells the change of a partial with the definition that includes it', () => {
    const diff = diffDefinitions(
      definitionOf('Go. {{> tone}}', '', { tone: 'Be kind.' }),
      definitionOf('Go. {{> tone}}', '', { tone: 'Be brief.' }),
    );
    expect(diff.identical).toBe(false);
    expect(diff.texts.map(({ title, segments }) => [title, written(segments)])).toEqual([
      ['partial tone', 'Be [-kind-]{+brief+}.'],
    ]);
  });

  it('shows all of a definition that is new, and no break', () => {
    const diff = diffDefinitions(null, definitionOf('Go.'));
    expect(diff.texts[0]?.segments).toEqual([{ kind: 'added', text: '{{role "user"}}\nGo.\n' }]);
    expect(diff.contract).toEqual([]);
  });

  it('reads the reason of a declared break, which is no part of the checksum', () => {
    const declared = definitionOf('Go.', 'breaking: callers send text now\n');
    expect(declared.breaking).toBe('callers send text now');
    expect(declared.checksum).toBe(definitionOf('Go.').checksum);
    expect(() => definitionOf('Go.', 'breaking: true\n')).toThrow('`breaking` must be the reason, as text');
  });
});
