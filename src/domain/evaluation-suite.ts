/**
 * A suite file as what runs: cases with stable ids, every assertion compiled, every file taken in. Written in promptfoo's
 * words; whatever would change a verdict and is not understood is refused with its place, never dropped.
 */
import { hashJson } from './canonical-json.ts';
import { staysBelow, type TakeFile, toFileKey } from './case-files.ts';
import {
  DefinitionError,
  type DefinitionIssue,
  findSourceIssue,
  normaliseSource,
  SourceText,
} from './definition-error.ts';
import { readMapping } from './definition-keys.ts';
import { type JudgeReference, readJudge } from './evaluation-judge.ts';
import { isObject, type Json, type JsonObject } from './json.ts';
import { parseLocatedYaml } from './located-yaml.ts';
import { promptNamePattern } from './names.ts';
import { type Probe, readProbe } from './probe.ts';
import {
  type CaseReader,
  createProblems,
  passOver,
  type ReadCase,
  readDefaults,
  readSuiteCases,
  type SuiteCase,
} from './suite-case.ts';
import { suiteKeys } from './suite-keys.ts';

export interface CompiledSuite {
  readonly promptName: string;
  readonly name: string;
  /** SHA-256, hex, of everything that decides what a run asks and what it says, files taken in included. */
  readonly checksum: string;
  readonly cases: readonly SuiteCase[];
  readonly repeats: number;
  /** Share of the answers that has to pass. */
  readonly threshold: number;
  /** Pass rate that the run has to prove; null: it only says what it proves. */
  readonly proven: number | null;
  readonly confidence: number;
  /** The pinned prompt that judges rubrics. */
  readonly judge: JudgeReference | null;
  /** Asked by the clock; it is no part of the checksum: whatever the time, the suite asks and demands the same. */
  readonly probe: Probe | null;
  /** Some assertion is `javascript`. */
  readonly hasScripts: boolean;
  readonly warnings: readonly DefinitionIssue[];
}

/** What a caller says where the file does not, as for a file of promptfoo. */
export interface SuiteDefaults {
  readonly promptName?: string;
  readonly judge?: string;
}

export const defaultSuiteName = 'default';
const defaultConfidence = 0.95;

/**
 * @param files text of the files that it takes in, by path as seen from the suite; `listSuiteFiles` names them
 * @throws DefinitionError — with every problem found, each with file, line and column
 */
export function compileSuite(
  text: string,
  path: string,
  files: Readonly<Record<string, string>> = {},
  defaults: SuiteDefaults = {},
): CompiledSuite {
  const source = new SourceText(path, normaliseSource(text));
  const unreadable = findSourceIssue(source);
  if (unreadable !== undefined) throw new DefinitionError([unreadable]);
  const located = parseLocatedYaml(source, { what: 'The suite', aliases: true });
  if (located.issues.length > 0) throw new DefinitionError(located.issues);
  if (!isObject(located.value)) {
    throw new DefinitionError([source.issueAtOffset(0, 'A suite is a mapping with `tests`.')]);
  }
  const problems = createProblems();
  const { issues } = problems;
  const top = readMapping(
    suiteKeys,
    passOver('suite', located.value, [], located, problems),
    [],
    located,
    issues,
  );
  const promptName = top.prompt ?? defaults.promptName ?? promptNameOf(path);
  if (promptName === undefined) {
    issues.push(
      located.issueAt([], 'Which prompt is tested? Say `prompt:`, or name the file NAME.eval.yaml.'),
    );
  }
  const judge = top.judge ?? defaults.judge;
  const probe = readProbe(top.probe, located, issues);
  const reader: CaseReader = {
    takeFile: createFiles(path, files),
    problems,
    templates: (top.assertionTemplates ?? {}) as JsonObject,
    located,
    hasJudge: judge !== undefined,
    fallback: readDefaults(top, located, problems),
  };
  const cases = readSuiteCases(top.tests, reader);
  if (issues.length > 0 || promptName === undefined) throw new DefinitionError(issues);
  const suite = {
    promptName,
    name: top.suite ?? defaultSuiteName,
    cases: cases.map(({ suiteCase }) => suiteCase),
    repeats: top.repeats ?? 1,
    threshold: top.threshold ?? 1,
    proven: top.proven ?? null,
    confidence: top.confidence ?? defaultConfidence,
    judge: judge === undefined ? null : readJudge(judge),
    probe,
    hasScripts: cases.some(({ canonical }) => JSON.stringify(canonical.assert).includes('javascript"')),
    warnings: problems.warnings,
  };
  return { ...suite, checksum: toChecksum(suite, cases) };
}

/** Names of the files that a suite, or a file of cases that it takes in, asks for. Nothing where it cannot be read. */
export function listSuiteFiles(text: string): string[] {
  const { value } = parseLocatedYaml(new SourceText('', normaliseSource(text)), {
    what: 'It',
    aliases: true,
  });
  const found = new Set<string>();
  const walk = (item: Json | undefined): void => {
    if (typeof item === 'string' && item.startsWith('file://')) found.add(toFileKey(item));
    else if (typeof item === 'object' && item !== null)
      for (const member of Object.values(item)) walk(member);
  };
  walk(value);
  const tests = isObject(value) ? value.tests : undefined;
  for (const test of Array.isArray(tests) ? tests : [tests]) {
    if (typeof test === 'string') found.add(toFileKey(test));
  }
  return [...found].sort();
}

function createFiles(suitePath: string, files: Readonly<Record<string, string>>): TakeFile {
  const directory = suitePath.includes('/') ? suitePath.replace(/[^/]*$/, '') : '';
  return (reference) => {
    const key = toFileKey(reference);
    if (!staysBelow(directory, key)) {
      return {
        fault: `The file ${JSON.stringify(key)} is outside of the prompts directory, and a suite takes in nothing from there.`,
      };
    }
    const text = Object.hasOwn(files, key) ? files[key] : undefined;
    if (text === undefined) return { fault: `The file ${JSON.stringify(key)} is not there.` };
    return { path: `${directory}${key}`, text };
  };
}

/** `billing/summarize.eval.yaml` is a suite of `summarize`. */
function promptNameOf(path: string): string | undefined {
  const [, name] = /([^/]+)\.eval\.ya?ml$/.exec(path) ?? [];
  return name !== undefined && promptNamePattern.test(name) ? name : undefined;
}

function toChecksum(
  { repeats, threshold, proven, confidence, judge }: Omit<CompiledSuite, 'checksum'>,
  cases: readonly ReadCase[],
): string {
  const sorted = cases
    .map(({ canonical }) => canonical)
    .sort((a, b) => (String(a.id) < String(b.id) ? -1 : 1));
  return hashJson({ form: 1, repeats, threshold, proven, confidence, judge, cases: sorted });
}
