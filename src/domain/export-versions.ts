/**
 * Versions as files that make the same versions again. A version is pinned to the texts of its partials, and two
 * versions may pin two texts of one name: the newest keeps the name, every other text gets one of its own, and the
 * includes follow. The checksum, which covers the inlined text, stays; every file is compiled to prove it.
 */
import { createHash } from 'node:crypto';
import { parseDefinition } from './definition.ts';
import { SourceText } from './definition-error.ts';
import { PromptgateError } from './errors.ts';
import { parseFrontMatter } from './front-matter.ts';
import { type Include, parseTemplate, type Statement } from './template-ast.ts';

export interface VersionSource {
  readonly name: string;
  readonly version: number;
  readonly checksum: string;
  readonly source: string;
  readonly partials: Readonly<Record<string, string>>;
}

export interface ExportedFile {
  /** Below the directory, with forward slashes. */
  readonly path: string;
  readonly source: string;
}

/**
 * Files of versions, given newest first, each at the path that `pathOf` says.
 * @throws PromptgateError internal — a version does not compile to its checksum, so nothing true could be written
 */
export function exportVersions(
  versions: readonly VersionSource[],
  pathOf: (version: VersionSource) => string,
): ExportedFile[] {
  const partials = new Map<string, string>();
  const definitions = versions.map((version) => {
    const { body } = parseFrontMatter(new SourceText(version.name, version.source));
    const head = version.source.slice(0, version.source.length - body.text.length);
    const source = head + renameIncludes(body.text, version.partials, partials);
    verify(version, source, partials);
    return { path: pathOf(version), source };
  });
  return [...definitions, ...[...partials].map(([name, source]) => ({ path: `_${name}.prompt`, source }))];
}

/** The text with every include named as its partial is exported; the partials are added on the way, innermost first. */
function renameIncludes(
  text: string,
  pinned: Readonly<Record<string, string>>,
  exported: Map<string, string>,
): string {
  const source = new SourceText('', text);
  const parsed = parseTemplate(source);
  if ('message' in parsed) return text;
  let result = text;
  // From the end, so that the places before it stay where they are.
  const places = findIncludes(parsed)
    .map(({ name }) => ({
      name: String(name.original),
      start: source.offset(name.loc.start),
      end: source.offset(name.loc.end),
    }))
    .sort((a, b) => b.start - a.start);
  for (const { name, start, end } of places) {
    if (!Object.hasOwn(pinned, name)) continue;
    const inner = renameIncludes(pinned[name]!, pinned, exported);
    const renamed = nameFor(name.replaceAll('/', '.'), inner, exported);
    result = result.slice(0, start) + renamed + result.slice(end);
  }
  return result;
}

function nameFor(wanted: string, text: string, exported: Map<string, string>): string {
  const hash = createHash('sha256').update(text).digest('hex');
  for (let length = 0; ; length += 8) {
    const name = length === 0 ? wanted : `${wanted}-${hash.slice(0, length)}`;
    if (!exported.has(name)) exported.set(name, text);
    if (exported.get(name) === text) return name;
  }
}

function findIncludes(statements: readonly Statement[]): Include[] {
  return statements.flatMap((statement) => {
    if (statement.type === 'PartialStatement') return [statement];
    if (statement.type !== 'BlockStatement') return [];
    const branches = [statement.program, statement.inverse].filter((branch) => branch !== undefined);
    return branches.flatMap((branch) => findIncludes(branch.body));
  });
}

function verify(version: VersionSource, source: string, partials: ReadonlyMap<string, string>): void {
  const path = `${version.name} version ${version.version}`;
  const { checksum } = parseDefinition(source, { path, partial: (name) => partials.get(name) });
  if (checksum === version.checksum) return;
  throw new PromptgateError('internal', `${path} compiles to another checksum than it was registered with.`);
}
