/** What a suite demands of the answers of a batch, on both sides. No judge is asked: that would be a call of its own. */
import { AssertionCrash } from '../domain/assertion-type.ts';
import type { Definition } from '../domain/definition.ts';
import { PromptgateError } from '../domain/errors.ts';
import { defaultSuiteName } from '../domain/evaluation-suite.ts';
import type { Execution } from '../domain/execution.ts';
import { createSampleCases, type SampleCase } from '../domain/sample-case.ts';
import type { EvaluationStore } from './evaluation-store.ts';
import { judgeAnswer } from './judge-answer.ts';
import { toJudged } from './run-suite.ts';
import type { ScriptRunner } from './script-runner.ts';

/** Whether the assertions passed; null where none apply, or they say neither. */
export type GradeAnswer = (
  original: Execution,
  answer: Execution,
  tools: Definition['tools'],
) => Promise<{ readonly passed: boolean | null; readonly judged: number }>;

/** @throws PromptgateError not_found — a suite was named, and there is none */
export async function readSampleCases(
  deps: { readonly evaluations: Pick<EvaluationStore, 'findSuite'>; readonly scripts: ScriptRunner },
  promptName: string,
  named: string | undefined,
): Promise<{ suite: { name: string; checksum: string } | null; grade: GradeAnswer }> {
  const suite = await deps.evaluations.findSuite(promptName, named ?? defaultSuiteName);
  if (!suite && named !== undefined) {
    throw new PromptgateError('not_found', `No suite "${named}" is registered for "${promptName}".`);
  }
  if (!suite) return { suite: null, grade: async () => ({ passed: null, judged: 0 }) };
  const path = suite.path ?? `${promptName}.eval.yaml`;
  const caseOf = createSampleCases(suite.source, path, suite.files, { promptName, judge: 'judge@1' });
  return {
    suite: { name: suite.suite, checksum: suite.checksum },
    async grade(original, answer, tools) {
      const sample = caseOf(original.inputPayload.variables);
      if (!sample) return { passed: null, judged: 0 };
      return { passed: await judge(deps.scripts, sample, answer, tools), judged: sample.judged };
    },
  };
}

async function judge(
  scripts: ScriptRunner,
  { suiteCase }: SampleCase,
  answer: Execution,
  tools: Definition['tools'],
): Promise<boolean | null> {
  if (answer.status !== 'succeeded') return null;
  const askJudge = () => Promise.reject(new AssertionCrash('no judge is asked'));
  const said = await judgeAnswer({ scripts, askJudge }, suiteCase, toJudged(answer, { tools } as Definition));
  return said.crashed ? null : said.pass;
}
