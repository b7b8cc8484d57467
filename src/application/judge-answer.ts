/** One answer, held against the assertions of its case. What crashes on the way is said, and is never a pass. */

import type { Check } from '../domain/assertion.ts';
import { AssertionCrash, type Grade, type JudgedAnswer } from '../domain/assertion-type.ts';
import { type AssertionGrade, sumGrades } from '../domain/case-grade.ts';
import type { Json } from '../domain/json.ts';
import type { CompiledAssertion } from '../domain/suite-assertions.ts';
import type { SuiteCase } from '../domain/suite-case.ts';
import type { ScriptRunner } from './script-runner.ts';

export interface JudgeDependencies {
  readonly scripts: ScriptRunner;
  /** Asks the judge of the suite; `place` tells its questions about one answer apart. @throws AssertionCrash */
  readonly askJudge: (
    rubric: Json,
    output: string,
    threshold: number | undefined,
    inverse: boolean,
    place: string,
  ) => Promise<Grade>;
}

export interface Judgement extends Grade {
  /** Some assertion could say neither pass nor fail. */
  readonly crashed: boolean;
  readonly grades: readonly AssertionGrade[];
}

export async function judgeAnswer(
  deps: JudgeDependencies,
  suiteCase: SuiteCase,
  answer: JudgedAnswer,
): Promise<Judgement> {
  const crashes: string[] = [];
  const grades = await gradeAll(deps, suiteCase, suiteCase.assertions, answer, '', crashes);
  const sum = sumGrades(grades, suiteCase.threshold);
  if (crashes.length === 0) return { ...sum, crashed: false, grades };
  return { pass: false, score: sum.score, reason: crashes.join('; '), crashed: true, grades };
}

async function gradeAll(
  deps: JudgeDependencies,
  suiteCase: SuiteCase,
  assertions: readonly CompiledAssertion[],
  answer: JudgedAnswer,
  place: string,
  crashes: string[],
): Promise<AssertionGrade[]> {
  const grades: AssertionGrade[] = [];
  for (const [index, assertion] of assertions.entries()) {
    const { type, weight, metric } = assertion;
    const here = `${place}${index}`;
    if ('parts' in assertion) {
      const parts = await gradeAll(deps, suiteCase, assertion.parts, answer, `${here}.`, crashes);
      grades.push({ type, weight, metric, ...sumGrades(parts, assertion.threshold), parts });
      continue;
    }
    try {
      grades.push({ type, weight, metric, ...(await grade(deps, suiteCase, assertion, answer, here)) });
    } catch (error) {
      const reason = error instanceof AssertionCrash ? error.message : `${type}: the assertion crashed`;
      crashes.push(reason);
      grades.push({ type, weight, metric, pass: false, score: 0, reason });
    }
  }
  return grades;
}

async function grade(
  deps: JudgeDependencies,
  suiteCase: SuiteCase,
  { type, check }: CompiledAssertion & { readonly check: Check },
  answer: JudgedAnswer,
  place: string,
): Promise<Grade> {
  switch (check.kind) {
    case 'pure':
      return check.grade(answer);
    case 'pattern': {
      const found = await orCrash(type, deps.scripts.matches(check.pattern, answer.output));
      const pass = found !== check.inverse;
      const reason = pass
        ? 'as demanded'
        : `${type}: the answer ${found ? 'matches' : 'does not match'} ${check.pattern}`;
      return { pass, score: pass ? 1 : 0, reason };
    }
    case 'script': {
      if (deps.scripts.refusal !== null) throw new AssertionCrash(deps.scripts.refusal);
      const { id, description, variables } = suiteCase;
      const context = { vars: variables, config: check.config, test: { id, description } };
      return readScript(
        type,
        check,
        await orCrash(type, deps.scripts.evaluate(check.code, answer.output, context)),
      );
    }
    case 'judge':
      return deps.askJudge(check.rubric, answer.output, check.threshold, check.inverse, place);
  }
}

async function orCrash<T>(type: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new AssertionCrash(`${type}: ${(error as Error).message}`);
  }
}

/** A boolean, a number (above 0, or the threshold, is a pass), or `{pass, score, reason}`. */
function readScript(
  type: string,
  { threshold, inverse }: { readonly threshold: number | undefined; readonly inverse: boolean },
  value: Json,
): Grade {
  if (typeof value === 'boolean')
    return toGrade(type, value !== inverse, value !== inverse ? 1 : 0, `it is ${value}`);
  if (typeof value === 'number') {
    const enough = threshold === undefined ? value > 0 : value >= threshold;
    return toGrade(type, enough !== inverse, value, `it is ${value}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const { pass, score, reason } = value;
    if (typeof pass === 'boolean' && typeof score === 'number') {
      return toGrade(
        type,
        pass !== inverse,
        score,
        typeof reason === 'string' ? reason.slice(0, 500) : 'it says so',
      );
    }
  }
  throw new AssertionCrash(`${type}: it returned neither a boolean, a number nor {pass, score, reason}`);
}

function toGrade(type: string, pass: boolean, score: number, reason: string): Grade {
  return { pass, score, reason: pass ? 'as demanded' : `${type}: ${reason}` };
}
