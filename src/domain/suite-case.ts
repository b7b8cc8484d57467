/** The cases of a suite: defaults put in, lists expanded, ids given, assertions compiled. */
import { hashJson } from './canonical-json.ts';
import { type RawCase, readCases, type TakeFile } from './case-files.ts';
import type { DefinitionIssue } from './definition-error.ts';
import { readMapping, type Values } from './definition-keys.ts';
import { isObject, type Json, type JsonObject } from './json.ts';
import type { LocatedYaml } from './located-yaml.ts';
import { type CompiledAssertion, compileAssertions, decides } from './suite-assertions.ts';
import { optionKeys, passedOver, type suiteKeys, testKeys } from './suite-keys.ts';
import { expandVariables, maxCombinations, readVariable } from './suite-values.ts';

const maxCases = 10_000;

export interface SuiteCase {
  /** As the file says, or made of the variables: the same case has the same id wherever in the file it stands. */
  readonly id: string;
  readonly description: string | null;
  /** When it does not pass, nothing else matters. */
  readonly critical: boolean;
  readonly variables: JsonObject;
  readonly assertions: readonly CompiledAssertion[];
  /** When given, the weighted score alone decides. */
  readonly threshold: number | undefined;
}

export interface Problems {
  readonly issues: DefinitionIssue[];
  readonly warnings: DefinitionIssue[];
}

/** A default assertion is compiled for every case: what is wrong with it is said once. */
export function createProblems(): Problems {
  const once = () => {
    const seen = new Set<string>();
    const list: DefinitionIssue[] = [];
    const push = list.push.bind(list);
    list.push = (...items) =>
      push(
        ...items.filter(
          ({ path, message }) => !seen.has(`${path} ${message}`) && seen.add(`${path} ${message}`),
        ),
      );
    return list;
  };
  return { issues: once(), warnings: once() };
}

export interface CaseReader {
  readonly takeFile: TakeFile;
  readonly problems: Problems;
  readonly templates: JsonObject;
  readonly located: LocatedYaml;
  readonly hasJudge: boolean;
  readonly fallback: Values<typeof testKeys>;
}

export interface ReadCase {
  readonly suiteCase: SuiteCase;
  /** What the checksum is made of. */
  readonly canonical: JsonObject;
}

/** A case that has its id. */
interface NamedCase {
  readonly raw: RawCase;
  readonly content: string;
}

export function readDefaults(
  top: Values<typeof suiteKeys>,
  located: LocatedYaml,
  problems: Problems,
): Values<typeof testKeys> {
  const written = passOver('test', top.defaultTest ?? {}, ['defaultTest'], located, problems);
  return readMapping(testKeys, written, ['defaultTest'], located, problems.issues);
}

export function readSuiteCases(tests: Json | undefined, reader: CaseReader): ReadCase[] {
  const { issues } = reader.problems;
  const before = issues.length;
  const raw = readCases(tests, reader.located, reader.takeFile, issues);
  const ids = new Map<string, NamedCase>();
  const cases = raw.flatMap((one) => readCase(one, reader, ids));
  if (cases.length === 0 && issues.length === before) {
    issues.push(reader.located.issueAt(['tests'], 'There is no case: a suite without cases proves nothing.'));
  }
  if (cases.length > maxCases) {
    issues.push(
      reader.located.issueAt(
        ['tests'],
        `There are ${cases.length} cases, and a suite has at most ${maxCases}.`,
      ),
    );
  }
  return cases;
}

function readCase(raw: RawCase, reader: CaseReader, ids: Map<string, NamedCase>): ReadCase[] {
  const { problems, fallback } = reader;
  const { issues } = problems;
  if (!isObject(raw.value)) {
    issues.push(raw.located.issueAt(raw.path, 'A test is a mapping with `vars` and `assert`.'));
    return [];
  }
  const test = readMapping(
    testKeys,
    passOver('test', raw.value, raw.path, raw.located, problems),
    raw.path,
    raw.located,
    issues,
  );
  const options = {
    ...readOptions(fallback.options, ['defaultTest', 'options'], reader.located, problems),
    ...readOptions(test.options, [...raw.path, 'options'], raw.located, problems),
  };
  const variables = readVariables({ ...fallback.vars, ...test.vars }, raw, reader);
  const combinations = options.disableVarExpansion ? [variables] : expandVariables(variables);
  if (combinations.length > maxCombinations) {
    issues.push(
      raw.located.issueAt(raw.path, `The lists among its variables make more than ${maxCombinations} cases.`),
    );
    return [];
  }
  const written = [
    ...(options.disableDefaultAsserts ? [] : (fallback.assert ?? [])).map((value, index) => ({
      value,
      path: ['defaultTest', 'assert', index],
      located: reader.located,
    })),
    ...(test.assert ?? []).map((value, index) => ({
      value,
      path: [...raw.path, 'assert', index],
      located: raw.located,
    })),
  ];
  if (written.length === 0) {
    issues.push(raw.located.issueAt(raw.path, 'This case asserts nothing: whatever is answered would pass.'));
    return [];
  }
  const threshold = test.threshold ?? fallback.threshold;
  return combinations.flatMap((vars) => {
    const compiled = compileAssertions(written, { ...reader, variables: vars });
    if (compiled.assertions.length === written.length && !compiled.assertions.some(decides)) {
      issues.push(
        raw.located.issueAt(
          raw.path,
          'No assertion of this case has a weight: whatever is answered would pass.',
        ),
      );
    }
    const canonical: JsonObject = {
      vars,
      assert: compiled.canonical,
      ...(threshold === undefined ? {} : { threshold }),
    };
    const id = identify(test.id, canonical, combinations.length > 1, ids);
    if (id === undefined || ids.has(id)) {
      issues.push(
        raw.located.issueAt(
          raw.path,
          duplicate(test.id, ids.get(id ?? `case-${hashJson(vars).slice(0, 10)}`)),
        ),
      );
      return [];
    }
    ids.set(id, { raw, content: hashJson(canonical) });
    const critical = test.critical ?? fallback.critical ?? false;
    const description = test.description ?? null;
    const { assertions } = compiled;
    return [
      {
        suiteCase: { id, description, critical, variables: vars, assertions, threshold },
        canonical: { ...canonical, id, critical },
      },
    ];
  });
}

/**
 * Without an id of its own a case is called by its variables, so that editing its assertions or its place leaves the
 * name; a second case of the same variables by its assertions too.
 */
function identify(
  said: string | number | undefined,
  canonical: JsonObject,
  isOneOfMany: boolean,
  taken: ReadonlyMap<string, NamedCase>,
): string | undefined {
  const byVariables = hashJson(canonical.vars).slice(0, 10);
  if (said !== undefined) return isOneOfMany ? `${said}/${byVariables}` : String(said);
  const id = `case-${byVariables}`;
  const first = taken.get(id);
  if (first === undefined) return id;
  const content = hashJson(canonical);
  return first.content === content ? undefined : `case-${content.slice(0, 10)}`;
}

function duplicate(said: string | number | undefined, first: NamedCase | undefined): string {
  const where = first ? ` (${first.raw.located.issueAt(first.raw.path, '').path})` : '';
  return said === undefined
    ? `Another case${where} is the same in everything: remove one, or give each an \`id\`.`
    : `The id ${JSON.stringify(String(said))} is taken by another case${where}.`;
}

function readOptions(
  written: JsonObject | undefined,
  path: readonly (string | number)[],
  located: Pick<LocatedYaml, 'issueAt'>,
  problems: Problems,
): Values<typeof optionKeys> {
  return readMapping(
    optionKeys,
    passOver('options', written ?? {}, path, located, problems),
    path,
    located,
    problems.issues,
  );
}

function readVariables(written: JsonObject, raw: RawCase, { takeFile, problems }: CaseReader): JsonObject {
  const variables: JsonObject = {};
  for (const [name, value] of Object.entries(written)) {
    const read = readVariable(value, takeFile);
    const at = [...raw.path, 'vars', name];
    if ('fault' in read) problems.issues.push(raw.located.issueAt(at, read.fault));
    else variables[name] = read.value;
    // A value is data here; promptfoo would put the other variable in.
    const [, inner] = typeof value === 'string' ? (/\{\{\s*(\w+)\s*\}\}/.exec(value) ?? []) : [];
    if (inner !== undefined && Object.hasOwn(written, inner)) {
      problems.warnings.push(
        raw.located.issueAt(at, `\`{{${inner}}}\` stays as it is: a variable is never a template.`),
      );
    }
  }
  return variables;
}

/** The mapping without what is passed over, each with a warning. */
export function passOver(
  kind: keyof typeof passedOver,
  value: JsonObject,
  path: readonly (string | number)[],
  located: Pick<LocatedYaml, 'issueAt'>,
  { warnings }: Problems,
): JsonObject {
  const reasons = passedOver[kind];
  return Object.fromEntries(
    Object.entries(value).filter(([name]) => {
      const reason = Object.hasOwn(reasons, name) ? reasons[name] : undefined;
      if (reason === undefined) return true;
      warnings.push(located.issueAt([...path, name], `\`${name}\` is passed over: ${reason}.`, 'key'));
      return false;
    }),
  );
}
