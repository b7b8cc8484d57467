/**
 * A directory tree of definitions as one thing: partials found by name, every file read, what is there twice refused.
 * Every file stands alone: one that is broken is an entry with issues and takes no other with it.
 */
import { basename } from 'node:path/posix';
import {
  type Definition,
  DefinitionError,
  type DefinitionIssue,
  findPartialIssue,
  locateKey,
  parseDefinition,
} from '../domain/definition.ts';

export interface DefinitionFile {
  /** Below the prompts directory, with forward slashes. */
  readonly path: string;
  readonly source: string;
  /** The commit that the file is from as it is; absent where there is none. */
  readonly git?: FileCommit;
}

export interface FileCommit {
  readonly commit: string;
  readonly message: string;
  readonly author: string;
}

/** Enough to know a version by. */
export interface KnownVersion {
  readonly name: string;
  readonly version: number;
  readonly checksum: string;
}

/** One file. With issues it is not to be used; `identity` is then there only when the text itself could be read. */
export interface SetEntry {
  readonly file: DefinitionFile;
  readonly kind: 'definition' | 'partial';
  readonly identity: KnownVersion | null;
  /** Null when the file does not parse, is a partial, or was recognised without parsing. */
  readonly definition: Definition | null;
  readonly duplicate: boolean;
  readonly issues: readonly DefinitionIssue[];
}

export interface DefinitionSet {
  /** By prompt and version, so that the older of two new versions comes first; then what could not be read. */
  readonly entries: readonly SetEntry[];
  /** Texts by name. */
  readonly partials: ReadonlyMap<string, string>;
}

/** Recognises a file that needs no parsing. It must answer only for a file that would parse to this very version. */
export type Recognise = (
  file: DefinitionFile,
  partials: ReadonlyMap<string, string>,
) => KnownVersion | undefined;

/** Parsing takes about a millisecond a file: between so many, whoever else uses the event loop has a turn. */
const filesPerTurn = 20;

export async function readDefinitionSet(
  files: readonly DefinitionFile[],
  recognise: Recognise = () => undefined,
): Promise<DefinitionSet> {
  const owners = Map.groupBy(files.filter(isPartial), partialName);
  const partials = new Map([...owners].map(([name, [file]]) => [name, file?.source ?? '']));
  const entries: SetEntry[] = [...owners].flatMap(([name, same]) =>
    same.map((file) => readPartial(file, name, same)),
  );
  const definitions = files.filter((file) => !isPartial(file));
  for (const [index, file] of definitions.entries()) {
    if (index % filesPerTurn === filesPerTurn - 1) await new Promise((next) => setImmediate(next));
    entries.push(readEntry(file, owners, recognise(file, partials)));
  }
  return { entries: refuseDuplicates(entries).sort(byIdentity), partials };
}

/** `shared/_tone.prompt` is the partial `{{> tone}}`. */
export function isPartial(file: { readonly path: string }): boolean {
  return basename(file.path).startsWith('_');
}

function partialName(file: DefinitionFile): string {
  return basename(file.path, '.prompt').slice(1);
}

function readPartial(file: DefinitionFile, name: string, same: readonly DefinitionFile[]): SetEntry {
  const others = same.filter((other) => other !== file).map(({ path }) => path);
  const fault = findEncodingIssue(file) ?? findPartialIssue(file.path, file.source);
  const issues = fault === undefined ? [] : [fault];
  if (others.length > 0) {
    const message = `The partial \`${name}\` is in ${others.join(' and ')} too: an include finds it by name alone. Rename one.`;
    issues.push(issueAt(file.path, 1, 1, message));
  }
  return { file, kind: 'partial', identity: null, definition: null, duplicate: others.length > 0, issues };
}

type Owners = ReadonlyMap<string, readonly DefinitionFile[]>;

function readEntry(file: DefinitionFile, owners: Owners, known: KnownVersion | undefined): SetEntry {
  const entry = { file, kind: 'definition', definition: null, duplicate: false, issues: [] } as const;
  if (known) return { ...entry, identity: known };
  try {
    const definition = parseDefinition(file.source, {
      path: file.path,
      partial: (name) => owners.get(name)?.[0]?.source,
    });
    const ambiguous = Object.keys(definition.partials).filter((name) => (owners.get(name)?.length ?? 0) > 1);
    const issues = ambiguous.map((name) =>
      locateInclude(file, name, `It includes \`${name}\`, and there are several partials of that name.`),
    );
    const included = Object.keys(definition.partials).flatMap((name) => owners.get(name)?.[0] ?? []);
    const fault = [file, ...included].map(findEncodingIssue).find((issue) => issue !== undefined);
    if (fault) return { ...entry, identity: null, issues: [...issues, fault] };
    return { ...entry, identity: identityOf(definition), definition, issues };
  } catch (error) {
    if (!(error instanceof DefinitionError)) throw error;
    return { ...entry, identity: null, issues: error.issues.map((issue) => inPartialFile(issue, owners)) };
  }
}

/** Whoever read the file as UTF-8 put U+FFFD where it is none: what was meant there is lost. */
function findEncodingIssue({ path, source }: DefinitionFile): DefinitionIssue | undefined {
  const at = source.indexOf('\uFFFD');
  if (at === -1) return undefined;
  const lines = source.slice(0, at).split('\n');
  const column = (lines.at(-1)?.length ?? 0) + 1;
  return issueAt(path, lines.length, column, 'Here stands what is no UTF-8: save the file as UTF-8.');
}

/** At the include; at the top of the file where another partial includes it. */
function locateInclude(file: DefinitionFile, name: string, message: string): DefinitionIssue {
  const lines = file.source.split('\n');
  const line = lines.findIndex((text) => text.includes(`{{> ${name}}}`));
  if (line === -1) return issueAt(file.path, 1, 1, message);
  return issueAt(file.path, line + 1, (lines[line] ?? '').indexOf(`{{> ${name}}}`) + 1, message);
}

function identityOf({ name, version, checksum }: Definition): KnownVersion {
  return { name, version, checksum };
}

/** A problem inside a partial stands in the file of the partial. */
function inPartialFile(issue: DefinitionIssue, owners: Owners): DefinitionIssue {
  const file = issue.file.startsWith('partial ') ? owners.get(issue.file.slice(8))?.[0] : undefined;
  return file ? issueAt(file.path, issue.line, issue.column, issue.message) : issue;
}

/** Two files with one name and version: nobody knows which of them is meant, so neither is used. */
function refuseDuplicates(entries: readonly SetEntry[]): SetEntry[] {
  const groups = Map.groupBy(entries, ({ identity, file }) =>
    identity ? `${identity.name} ${identity.version}` : `file ${file.path}`,
  );
  return entries.map((entry) => {
    const same = entry.identity && groups.get(`${entry.identity.name} ${entry.identity.version}`);
    if (!entry.identity || !same || same.length < 2) return entry;
    const others = same.filter((other) => other !== entry).map(({ file }) => file.path);
    const message = `${entry.identity.name} version ${entry.identity.version} is in ${others.join(' and ')} too. Give one of them another number.`;
    const issue = locateKey(entry.file.path, entry.file.source, 'version', message);
    return { ...entry, duplicate: true, issues: [...entry.issues, issue] };
  });
}

function byIdentity(a: SetEntry, b: SetEntry): number {
  if (!a.identity || !b.identity) return Number(!a.identity) - Number(!b.identity);
  if (a.identity.name !== b.identity.name) return a.identity.name < b.identity.name ? -1 : 1;
  return a.identity.version - b.identity.version;
}

function issueAt(file: string, line: number, column: number, message: string): DefinitionIssue {
  return { file, line, column, message, path: `${file}:${line}:${column}` };
}
