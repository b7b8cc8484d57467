/** The assertions of one case, compiled with its variables. */
import { type Check, compileCheck, findType } from './assertion.ts';
import type { TakeFile } from './case-files.ts';
import type { DefinitionIssue } from './definition-error.ts';
import { readMapping } from './definition-keys.ts';
import type { Json, JsonObject } from './json.ts';
import type { KeyPath, LocatedYaml } from './located-yaml.ts';
import { assertionKeys, passedOver, setKeys } from './suite-keys.ts';
import { readExpected } from './suite-values.ts';

export type CompiledAssertion = {
  /** As the suite writes it. */
  readonly type: string;
  readonly weight: number;
  readonly metric: string | null;
} & (
  | { readonly check: Check }
  | { readonly parts: readonly CompiledAssertion[]; readonly threshold: number | undefined }
);

/** Whether an assertion can keep an answer from passing. */
export function decides(assertion: CompiledAssertion): boolean {
  return assertion.weight > 0 && (!('parts' in assertion) || assertion.parts.some(decides));
}

interface Written {
  readonly value: JsonObject;
  readonly path: KeyPath;
  readonly located: Pick<LocatedYaml, 'issueAt'>;
}

interface Surroundings {
  readonly variables: JsonObject;
  readonly takeFile: TakeFile;
  /** Assertions that `$ref: '#/assertionTemplates/NAME'` stands for. */
  readonly templates: JsonObject;
  readonly hasJudge: boolean;
  readonly problems: { readonly issues: DefinitionIssue[]; readonly warnings: DefinitionIssue[] };
}

interface Compiled {
  readonly assertions: readonly CompiledAssertion[];
  /** What they say with everything put in: for the checksum. */
  readonly canonical: JsonObject[];
}

export function compileAssertions(written: readonly Written[], around: Surroundings): Compiled {
  const compiled = written.flatMap((one) => compileOne(resolveTemplate(one, around), around, false) ?? []);
  return {
    assertions: compiled.map(({ assertion }) => assertion),
    canonical: compiled.map(({ canonical }) => canonical),
  };
}

interface One {
  readonly assertion: CompiledAssertion;
  readonly canonical: JsonObject;
}

function compileOne(written: Written, around: Surroundings, isPart: boolean): One | undefined {
  if (written.value.type === 'assert-set' && !isPart) return compileSet(written, around);
  const { path, located } = written;
  const { issues } = around.problems;
  const before = issues.length;
  const spec = readMapping(assertionKeys, withoutPassedOver(written, around), path, located, issues);
  const type = spec.type ?? '';
  const complain = (part: string, message: string) => issues.push(located.issueAt([...path, part], message));
  const read =
    spec.value === undefined
      ? { value: undefined }
      : readExpected(spec.value as Json, around.variables, around.takeFile);
  if ('fault' in read) complain('value', read.fault);
  if (spec.type !== undefined) findType(type, complain);
  if (issues.length > before || 'fault' in read) return undefined;
  const { threshold, tolerance, config = {}, weight = 1, metric = null } = spec;
  const check = compileCheck(type, { value: read.value, threshold, tolerance, config }, complain);
  if (!check) return undefined;
  if (check.kind === 'judge' && !around.hasJudge) {
    complain(
      'type',
      '`llm-rubric` needs a judge: say `judge: NAME@VERSION` in the suite, a registered prompt.',
    );
    return undefined;
  }
  const canonical = { type, value: read.value, threshold, tolerance, weight, config };
  return { assertion: { type, weight, metric, check }, canonical: dropUndefined(canonical) };
}

function compileSet(written: Written, around: Surroundings): One | undefined {
  const { path, located } = written;
  const set = readMapping(setKeys, withoutPassedOver(written, around), path, located, around.problems.issues);
  const parts = (set.assert ?? []).flatMap((value, index) => {
    const part = resolveTemplate({ value, path: [...path, 'assert', index], located }, around);
    return compileOne(part, around, true) ?? [];
  });
  if (!set.assert) return undefined;
  const { threshold, weight = 1, metric = null } = set;
  const assertions = parts.map(({ assertion }) => assertion);
  const canonical = { type: 'assert-set', threshold, weight, assert: parts.map((part) => part.canonical) };
  return {
    assertion: { type: 'assert-set', weight, metric, parts: assertions, threshold },
    canonical: dropUndefined(canonical),
  };
}

function resolveTemplate(written: Written, { templates, problems }: Surroundings): Written {
  const { $ref: reference, ...own } = written.value;
  if (reference === undefined) return written;
  const [, name = ''] = /^#\/assertionTemplates\/([^/]+)$/.exec(String(reference)) ?? [];
  const template = Object.hasOwn(templates, name) ? templates[name] : undefined;
  if (typeof template === 'object' && template !== null && !Array.isArray(template)) {
    return { ...written, value: { ...template, ...own } };
  }
  problems.issues.push(
    written.located.issueAt([...written.path, '$ref'], 'There is no assertion template of that name.'),
  );
  return { ...written, value: { type: 'equals', value: '', ...own } };
}

function withoutPassedOver({ value, path, located }: Written, { problems }: Surroundings): JsonObject {
  return Object.fromEntries(
    Object.entries(value).filter(([name]) => {
      const reason = Object.hasOwn(passedOver.assertion, name) ? passedOver.assertion[name] : undefined;
      if (reason === undefined) return true;
      if (name !== 'description') {
        problems.warnings.push(
          located.issueAt([...path, name], `\`${name}\` is passed over: ${reason}.`, 'key'),
        );
      }
      return false;
    }),
  );
}

function dropUndefined(value: Record<string, unknown>): JsonObject {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as JsonObject;
}
