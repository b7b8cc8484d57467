/** The assertions of a suite for inputs that are none of its cases: what it demands by default, or of that very input. */
import { hashJson } from './canonical-json.ts';
import { DefinitionError, normaliseSource, SourceText } from './definition-error.ts';
import { compileSuite, type SuiteDefaults } from './evaluation-suite.ts';
import { isObject, type JsonObject } from './json.ts';
import { parseLocatedYaml } from './located-yaml.ts';
import type { CompiledAssertion } from './suite-assertions.ts';
import type { SuiteCase } from './suite-case.ts';

export interface SampleCase {
  readonly suiteCase: SuiteCase;
  /** Assertions that only a judge could decide, and that are left out. */
  readonly judged: number;
}

/** @throws DefinitionError — the suite cannot be read */
export function createSampleCases(
  text: string,
  path: string,
  files: Readonly<Record<string, string>>,
  defaults: SuiteDefaults,
): (variables: JsonObject) => SampleCase | null {
  const suite = compileSuite(text, path, files, defaults);
  const own = new Map(suite.cases.map((suiteCase) => [hashJson(suiteCase.variables), suiteCase]));
  const { value } = parseLocatedYaml(new SourceText(path, normaliseSource(text)), {
    what: 'The suite',
    aliases: true,
  });
  const { tests: _, ...rest } = isObject(value) ? value : {};
  const fallback = isObject(rest.defaultTest) ? rest.defaultTest : {};
  const byDefault = (variables: JsonObject): SuiteCase | undefined => {
    if (!Array.isArray(fallback.assert) || fallback.assert.length === 0) return undefined;
    const test = { vars: variables, options: { disableVarExpansion: true } };
    try {
      return compileSuite(JSON.stringify({ ...rest, tests: [test] }), path, files, defaults).cases[0];
    } catch (error) {
      // A variable that the suite would read otherwise, such as `file://…`: it asserts nothing of this input.
      if (error instanceof DefinitionError) return undefined;
      throw error;
    }
  };
  return (variables) => {
    const suiteCase = own.get(hashJson(variables)) ?? byDefault(variables);
    return suiteCase ? withoutJudges(suiteCase) : null;
  };
}

function withoutJudges(suiteCase: SuiteCase): SampleCase | null {
  const assertions = suiteCase.assertions.filter((assertion) => !needsJudge(assertion));
  if (assertions.length === 0) return null;
  return {
    suiteCase: { ...suiteCase, assertions },
    judged: suiteCase.assertions.length - assertions.length,
  };
}

function needsJudge(assertion: CompiledAssertion): boolean {
  return 'parts' in assertion ? assertion.parts.some(needsJudge) : assertion.check.kind === 'judge';
}
