import { describe, expect, it } from 'vitest';
import { parseDefinition } from '../../src/domain/definition.ts';
import { exportVersions, type VersionSource } from '../../src/domain/export-versions.ts';

function version(
  name: string,
  number: number,
  body: string,
  partials: Record<string, string> = {},
): VersionSource {
  const source = `---\nname: ${name}\nversion: ${number}\nmodel: test/model\ninput:\n  schema: { a?: string, b: string }\n---\n${body}`;
  const made = parseDefinition(source, { path: name, partial: (partial) => partials[partial] });
  return { ...made, partials: made.partials };
}

const pathOf = ({ name, version }: VersionSource) => `${name}/${version}.prompt`;

/** Checksums of exported definitions, compiled with the exported partials alone. */
function recompile(versions: readonly VersionSource[]) {
  const files = exportVersions(versions, pathOf);
  const text = (path: string) => files.find((file) => file.path === path)?.source;
  expect(new Set(files.map(({ path }) => path)).size).toBe(files.length);
  return files
    .filter(({ path }) => !path.startsWith('_'))
    .map(({ path, source }) => {
      const partial = (name: string) => text(`_${name}.prompt`);
      return parseDefinition(source, { path, partial }).checksum;
    });
}

describe('exportVersions', () => {
  it('writes a version without includes as it is', () => {
    const only = version('a', 3, 'Say {{b}}.\n');
    expect(exportVersions([only], pathOf)).toEqual([{ path: 'a/3.prompt', source: only.source }]);
  });

  it('keeps the name of a partial for its newest text, and gives an older text a name of its own', () => {
    const versions = [
      version('a', 2, '{{> tone}} {{b}}', { tone: 'New.' }),
      version('a', 1, '{{> tone}} {{b}}', { tone: 'Old.' }),
      version('c', 1, '{{> tone}} {{b}}', { tone: 'New.' }),
    ];
    const files = exportVersions(versions, pathOf);
    expect(files.map(({ path }) => path)).toEqual([
      'a/2.prompt',
      'a/1.prompt',
      'c/1.prompt',
      '_tone.prompt',
      expect.stringMatching(/^_tone-[0-9a-f]{8}\.prompt$/),
    ]);
    expect(files[0]!.source).toBe(versions[0]!.source);
    expect(files[1]!.source).toMatch(/\{\{> tone-[0-9a-f]{8}\}\} \{\{b\}\}$/);
    expect(recompile(versions)).toEqual(versions.map(({ checksum }) => checksum));
  });

  it('follows partials inside partials, blocks and inverted blocks, with their white space', () => {
    const body =
      '{{role "system"}}\n{{> head}}\n{{role "user"}}\n{{^if a}}x {{> tail}}{{else}}{{> tail}} {{~> head~}} {{/if}}\n  {{> tail}}\n{{! {{> head}} }}{{b}} \\{{> head}}';
    const versions = [
      version('p', 2, body, { head: 'H2\n{{> tail}}', tail: 'T {{b}}\n' }),
      version('p', 1, body, { head: 'H2\n{{> tail}}', tail: 'T1 {{b}}\n' }),
    ];
    expect(recompile(versions)).toEqual(versions.map(({ checksum }) => checksum));
  });

  it('writes a partial that came over HTTP with slashes in its name where an include finds it', () => {
    const versions = [
      version('p', 2, '{{> team/tone}}{{> team.tone}}', { 'team/tone': 'A', 'team.tone': 'B' }),
      version('p', 1, '{{> team/tone}}', { 'team/tone': 'C' }),
    ];
    expect(recompile(versions)).toEqual(versions.map(({ checksum }) => checksum));
  });

  it('refuses to write what would not be the version', () => {
    const changed = { ...version('a', 1, 'x {{b}}'), checksum: '0' };
    expect(() => exportVersions([changed], pathOf)).toThrow('another checksum');
  });
});
