/**
 * Definition files against the state that they would replace, without a registry: what a pull request has to put right,
 * and what it changes. Pure: whoever calls it reads the files and asks git.
 */
import {
  type Definition,
  type DefinitionIssue,
  locateKey,
  normaliseSource,
  readIdentity,
} from '../domain/definition.ts';
import { type DefinitionDiff, diffDefinitions } from '../domain/definition-diff.ts';
import {
  type DefinitionFile,
  type DefinitionSet,
  type KnownVersion,
  readDefinitionSet,
  type SetEntry,
} from './definition-set.ts';
import { type PlannedSuite, readSuites, type SuiteFile } from './sync-suites.ts';

export interface CheckRequest {
  readonly files: readonly DefinitionFile[];
  readonly suites?: readonly SuiteFile[];
  /** The state to compare with; null: only what the files say by themselves. */
  readonly base: {
    /** What messages call it, e.g. `origin/main`. */
    readonly ref: string;
    readonly files: readonly DefinitionFile[];
    /** Every text that the file has had before, so that a return to one is known, and a number that was used once. */
    textsOf(path: string): Promise<readonly string[]>;
  } | null;
}

export type ProblemCode =
  | 'invalid'
  | 'duplicate'
  | 'not_bumped'
  | 'backwards'
  | 'undeclared_break'
  | 'returned'
  | 'removed'
  | 'warning';

export interface CheckProblem {
  readonly code: ProblemCode;
  /** Errors fail the check; the rest is told. */
  readonly severity: 'error' | 'warning' | 'notice';
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** A version that the base does not have, or has with other content. */
export interface VersionChange {
  readonly name: string;
  readonly version: number;
  /** The version that it is compared with; null for a new prompt. */
  readonly previous: number | null;
  readonly path: string;
  /** The reason that the definition gives for breaking the contract. */
  readonly breaking: string | null;
  readonly difference: DefinitionDiff;
}

export interface CheckReport {
  readonly files: number;
  readonly problems: readonly CheckProblem[];
  readonly changes: readonly VersionChange[];
}

type Base = NonNullable<CheckRequest['base']>;

export async function checkDefinitions(request: CheckRequest): Promise<CheckReport> {
  const set = await readDefinitionSet(request.files);
  const suites = request.suites ?? [];
  const problems = [...set.entries.flatMap(ownProblems), ...readSuites(suites).flatMap(suiteProblems)];
  const changes: VersionChange[] = [];
  if (request.base) {
    const before = await readDefinitionSet(request.base.files, recogniseSame(set));
    await compareWithBase(request.base, set, before, problems, changes);
  }
  return { files: request.files.length + suites.length, problems: distinct(problems), changes };
}

function ownProblems({ issues, duplicate, definition }: SetEntry): CheckProblem[] {
  return [
    ...issues.map((issue) => toProblem(issue, duplicate ? 'duplicate' : 'invalid', 'error')),
    ...(definition?.warnings ?? []).map((issue) => toProblem(issue, 'warning', 'warning')),
  ];
}

function suiteProblems({ file, suite, state, message, issues }: PlannedSuite): CheckProblem[] {
  const at = { file: file.path, line: 1, column: 1, path: file.path };
  return [
    ...issues.map((issue) => toProblem(issue, 'invalid', 'error')),
    ...(state === 'duplicate' ? [toProblem({ ...at, message: message ?? '' }, 'duplicate', 'error')] : []),
    ...(suite?.warnings ?? []).map((issue) => toProblem(issue, 'warning', 'warning')),
  ];
}

/** A file that is the same in the base, with the same partials, needs no second parsing. */
function recogniseSame(set: DefinitionSet) {
  const byPath = new Map(set.entries.map((entry) => [entry.file.path, entry]));
  return (file: DefinitionFile, partials: ReadonlyMap<string, string>): KnownVersion | undefined => {
    const entry = byPath.get(file.path);
    if (!entry?.definition || entry.file.source !== file.source) return undefined;
    const same = Object.entries(entry.definition.partials).every(
      ([name, text]) => partials.has(name) && normaliseSource(partials.get(name) ?? '') === text,
    );
    return same ? entry.definition : undefined;
  };
}

/** The usable definitions of a set by prompt, oldest version first. */
type Versions = ReadonlyMap<string, readonly SetEntry[]>;

function versionsOf(set: DefinitionSet): Versions {
  return Map.groupBy(
    set.entries.filter(({ identity, duplicate }) => identity && !duplicate),
    ({ identity }) => identity?.name ?? '',
  );
}

async function compareWithBase(
  base: Base,
  set: DefinitionSet,
  before: DefinitionSet,
  problems: CheckProblem[],
  changes: VersionChange[],
): Promise<void> {
  const [now, then] = [versionsOf(set), versionsOf(before)];
  // What the base has and these files have unchanged was recognised: its definition is the one parsed here.
  const parsed = new Map(set.entries.map((entry) => [entry.file.path, entry.definition]));
  const definitionOf = (entry: SetEntry) => entry.definition ?? parsed.get(entry.file.path) ?? null;
  for (const [name, entries] of now) {
    const known = then.get(name) ?? [];
    const newest = known.at(-1)?.identity?.version ?? 0;
    for (const { file, definition } of entries) {
      if (!definition) continue;
      const same = known.find(({ identity }) => identity?.version === definition.version);
      if (same?.identity?.checksum === definition.checksum) continue;
      const previous = same ?? findPrevious(definition.version, [...known, ...entries]) ?? known.at(-1);
      const change = describeChange(file.path, definition, previous ? definitionOf(previous) : null);
      changes.push(change);
      if (same) problems.push(notBumped(file, definition, change.difference, newest, base.ref));
      else if (definition.version < newest)
        problems.push(await backwards(base, known, file, definition, newest));
      else {
        if (known.length > 0) problems.push(...(await usedBefore(base, known, file, definition)));
        problems.push(...undeclaredBreaks(file, change));
      }
    }
  }
  for (const name of then.keys()) if (!now.has(name)) problems.push(removed(name, then, set, base.ref));
}

function findPrevious(version: number, entries: readonly SetEntry[]): SetEntry | undefined {
  const older = entries.filter(({ identity }) => identity && identity.version < version);
  return older.sort((a, b) => (a.identity?.version ?? 0) - (b.identity?.version ?? 0)).at(-1);
}

function describeChange(path: string, definition: Definition, previous: Definition | null): VersionChange {
  const { name, version } = definition;
  // A reason that was only copied with the file belongs to the version before.
  const breaking = definition.breaking === previous?.breaking ? null : definition.breaking;
  const difference = diffDefinitions(previous, definition);
  return { name, version, previous: previous?.version ?? null, path, breaking, difference };
}

function notBumped(
  file: DefinitionFile,
  { name, version }: Definition,
  { texts, parameters, contract }: DefinitionDiff,
  newest: number,
  ref: string,
): CheckProblem {
  const partials = texts.flatMap(({ title }) => (title.startsWith('partial ') ? [title] : []));
  const own = texts.length > partials.length || parameters.length > 0 || contract.length > 0;
  const cause =
    own || partials.length === 0
      ? 'has other content than'
      : `includes ${partials.map((title) => `the ${title}`).join(' and ')}, which has other content than`;
  const message = `${name} version ${version} ${cause} on ${ref}, and a version never changes. Give it the number ${newest + 1}: promptgate make ${name}`;
  return toProblem(locateKey(file.path, file.source, 'version', message), 'not_bumped', 'error');
}

/** Every text that the file has had; also in the base's file of the prompt, because it may have moved. */
async function earlierTexts(base: Base, known: readonly SetEntry[], file: DefinitionFile): Promise<string[]> {
  const paths = new Set([file.path, known.at(-1)?.file.path ?? file.path]);
  return (await Promise.all([...paths].map((path) => base.textsOf(path)))).flat();
}

async function backwards(
  base: Base,
  known: readonly SetEntry[],
  file: DefinitionFile,
  { name, version }: Definition,
  newest: number,
): Promise<CheckProblem> {
  const at = (message: string) => locateKey(file.path, file.source, 'version', message);
  if ((await earlierTexts(base, known, file)).includes(file.source)) {
    const message = `${name} returns from version ${newest} to version ${version}, as it was before: sync --deploy will roll back.`;
    return toProblem(at(message), 'returned', 'notice');
  }
  const message = `${name} version ${version} is new and older than version ${newest} on ${base.ref}. Give it the number ${newest + 1}.`;
  return toProblem(at(message), 'backwards', 'error');
}

/** After a revert the files say an older number than was ever used: the next one is above all of them. */
async function usedBefore(
  base: Base,
  known: readonly SetEntry[],
  file: DefinitionFile,
  { name, version, checksum, partials }: Definition,
): Promise<CheckProblem[]> {
  const others = (await earlierTexts(base, known, file))
    .map((text) => readIdentity(text, partials))
    .filter((identity) => identity.name === name);
  if (!others.some((other) => other.version === version && other.checksum !== checksum)) return [];
  const next = Math.max(...others.map((other) => other.version ?? 0)) + 1;
  const message = `${name} version ${version} was used before with other content, and a version never changes. Give it the number ${next}.`;
  return [toProblem(locateKey(file.path, file.source, 'version', message), 'not_bumped', 'error')];
}

function undeclaredBreaks(file: DefinitionFile, change: VersionChange): CheckProblem[] {
  if (change.breaking !== null) return [];
  return change.difference.contract
    .filter(({ breaking }) => breaking)
    .map(({ path, message }) => {
      const text = `Callers of ${change.name} version ${change.previous} may break: ${path}: ${message} If they are ready, declare it: \`breaking: why, and what they have to do\`.`;
      return toProblem(locateKey(file.path, file.source, topKey(path), text), 'undeclared_break', 'error');
    });
}

/** `input.text` is declared under `input`; what a template takes has no key of its own. */
function topKey(path: string): string {
  return /^(input|output)/.exec(path)?.[0] ?? 'version';
}

function removed(name: string, then: Versions, set: DefinitionSet, ref: string): CheckProblem {
  const path = then.get(name)?.at(-1)?.file.path ?? name;
  const broken = set.entries.some(({ file, identity }) => file.path === path && !identity);
  const message = broken
    ? `${name} cannot be compared with ${ref}: its file does not parse.`
    : `${name} has no file any more. Its versions and labels stay in the registry; archive it when nobody needs it.`;
  return toProblem({ file: path, line: 1, column: 1, message, path }, 'removed', 'notice');
}

function toProblem(
  { file, line, column, message }: DefinitionIssue,
  code: ProblemCode,
  severity: CheckProblem['severity'],
): CheckProblem {
  return { code, severity, file, line, column, message };
}

/** In the order of the files; what many files report about one partial is told once. */
function distinct(problems: readonly CheckProblem[]): CheckProblem[] {
  const unique = new Map(problems.map((problem) => [JSON.stringify(problem), problem]));
  return [...unique.values()].sort((a, b) =>
    a.file === b.file ? a.line - b.line || a.column - b.column : a.file < b.file ? -1 : 1,
  );
}
