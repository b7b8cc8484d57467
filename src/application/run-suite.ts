/**
 * Every case of a suite, as often as it is repeated, on one version: so many at once, within a budget and a time. Each
 * call is an execution like any other, with its row. A call that an earlier part of the run made is not made again.
 */
import type { Actor } from '../domain/api-key.ts';
import { AssertionCrash, type Grade, type JudgedAnswer } from '../domain/assertion-type.ts';
import { type Definition, renderPrompt } from '../domain/definition.ts';
import { PromptgateError } from '../domain/errors.ts';
import { readJudgement, toJudgeVariables } from '../domain/evaluation-judge.ts';
import { type CaseResult, openOutcomes, type Trial, toCaseResult } from '../domain/evaluation-run.ts';
import type { CompiledSuite } from '../domain/evaluation-suite.ts';
import type { Execution, ExecutionPurpose, StoredExecution } from '../domain/execution.ts';
import type { JsonObject } from '../domain/json.ts';
import type { SuiteCase } from '../domain/suite-case.ts';
import {
  type CallRun,
  type CallRunDependencies,
  createCallRun,
  endedBefore,
  type RunLimits,
  type RunStop,
} from './call-run.ts';
import type { CallPlace, EarlierCalls } from './earlier-trials.ts';
import { judgeAnswer } from './judge-answer.ts';
import type { Providers } from './provider.ts';
import { boundCost } from './run-budget.ts';
import type { ScriptRunner } from './script-runner.ts';

export interface RunSuiteDependencies extends CallRunDependencies {
  readonly providers: Pick<Providers, 'route'>;
  readonly scripts: ScriptRunner;
}

/** What runs: a registered version, or a definition that is none yet. */
export interface RunSubject {
  readonly definition: Definition;
  /** Null: a draft. */
  readonly version: number | null;
}

export interface SuiteRun extends RunLimits {
  readonly actor: Actor;
  readonly requestId: string;
  readonly suite: CompiledSuite;
  readonly subject: RunSubject;
  readonly judge: RunSubject | null;
  readonly repeats: number;
  /** Left out: an evaluation. */
  readonly purpose?: ExecutionPurpose;
  readonly earlier: EarlierCalls;
  readonly onTrial: (trial: Trial, spent: ReturnType<CallRun['spent']>) => void;
}

export interface RunResult {
  readonly cases: readonly CaseResult[];
  readonly stopped: RunStop | null;
  readonly spent: ReturnType<CallRun['spent']>;
  /** Executions that the run consists of, judges' too. */
  readonly callCount: number;
  readonly simulated: boolean;
}

export async function runSuite(deps: RunSuiteDependencies, run: SuiteRun): Promise<RunResult> {
  const calls = createCallRun(deps, run, run.earlier.all);
  const tryCase = createTrials(deps, run, calls);
  const places = run.suite.cases.flatMap((suiteCase) =>
    Array.from({ length: run.repeats }, (_, index) => ({ suiteCase, repeat: index + 1 })),
  );
  const trials = new Map<string, Trial[]>(run.suite.cases.map(({ id }) => [id, []]));
  await calls.each(places, async ({ suiteCase, repeat }) => {
    const trial = calls.stopped() ? skipped(repeat) : await tryCase(suiteCase, repeat);
    trials.get(suiteCase.id)!.push(trial);
    run.onTrial(trial, calls.spent());
  });
  const byRepeat = (a: Trial, b: Trial) => a.repeat - b.repeat;
  const cases = run.suite.cases.map((suiteCase) =>
    toCaseResult(suiteCase, trials.get(suiteCase.id)!.sort(byRepeat)),
  );
  const isWhole = cases.every((one) => one.trials.every(({ outcome }) => !openOutcomes.includes(outcome)));
  return {
    cases,
    // What ran out after the last answer kept nothing from anybody.
    stopped: isWhole ? null : calls.stopped(),
    spent: calls.spent(),
    ...calls.counts(),
  };
}

/** What a call that an earlier part of the run made cost at most; null: nobody knows. */
export function boundEarlier(
  deps: Pick<RunSuiteDependencies, 'providers'>,
  { subject, judge }: Pick<SuiteRun, 'subject' | 'judge'>,
): (row: StoredExecution) => bigint | null {
  return ({ metadata, inputPayload, createdAt }) => {
    const asked = metadata.judge !== undefined && judge ? judge : subject;
    return boundOf(deps, asked, inputPayload.variables, createdAt);
  };
}

/** One trial of a case; what it asks is asked through the run. */
function createTrials(deps: RunSuiteDependencies, run: SuiteRun, calls: CallRun) {
  function callOnce(
    subject: RunSubject,
    variables: JsonObject,
    place: CallPlace,
  ): Promise<Execution | string> {
    return calls.make({
      place: [place.case, place.repeat, place.judge ?? ''],
      before: run.earlier.at(place),
      bound: () => boundOf(deps, subject, variables, new Date(deps.now())),
      request: {
        actor: run.actor,
        promptName: subject.definition.name,
        ...(subject.version === null ? { draft: subject.definition } : { version: subject.version }),
        variables,
        metadata: {
          ...place,
          suite: run.suite.name,
          suite_checksum: run.suite.checksum,
          subject: subjectOf(run.subject),
        },
        purpose: run.purpose ?? 'evaluation',
        requestId: run.requestId,
      },
    });
  }

  async function tryCase(suiteCase: SuiteCase, repeat: number): Promise<Trial> {
    const place = { case: suiteCase.id, repeat };
    const execution = await callOnce(run.subject, suiteCase.variables, place);
    if (typeof execution === 'string') {
      return {
        ...skipped(repeat),
        ...(calls.stopped() ? {} : { outcome: 'unanswered' }),
        reason: execution,
      } as Trial;
    }
    const told = {
      repeat,
      executionId: execution.id,
      latencyMs: execution.latencyMs,
      cost: costOf(execution),
    };
    if (execution.errorCode === 'invalid_output') {
      const reason = execution.errorMessage ?? 'the answer is not as the definition promises';
      return { ...told, outcome: 'failed', score: 0, reason, grades: [] };
    }
    if (execution.status !== 'succeeded') {
      return { ...told, outcome: 'unanswered', score: 0, reason: whyUnanswered(execution), grades: [] };
    }
    let judging = told.cost;
    const askJudge = async (
      rubric: Parameters<typeof toJudgeVariables>[0],
      output: string,
      ...rest: [number | undefined, boolean, string]
    ): Promise<Grade> => {
      const [threshold, inverse, judge] = rest;
      const judged = await callOnce(run.judge!, toJudgeVariables(rubric, output), { ...place, judge });
      if (typeof judged === 'string')
        throw new AssertionCrash(`llm-rubric: the judge was not asked: ${judged}`);
      const cost = costOf(judged);
      judging = judging === null || cost === null ? null : judging + cost;
      if (judged.status !== 'succeeded') {
        throw new AssertionCrash(`llm-rubric: the judge did not answer: ${whyUnanswered(judged)}`);
      }
      return readJudgement(judged.rawOutput ?? '', threshold, inverse);
    };
    const answer = toJudged(execution, run.subject.definition);
    const judgement = await judgeAnswer({ scripts: deps.scripts, askJudge }, suiteCase, answer);
    const { score, reason, crashed, grades, pass } = judgement;
    const outcome = crashed ? 'crashed' : pass ? 'passed' : 'failed';
    return { ...told, cost: judging, outcome, score, reason: pass ? null : reason, grades };
  }

  return tryCase;
}

/** What a row says that it was a run of, so that it can only be gone on with as that. */
export function subjectOf({ definition }: RunSubject): string {
  return `${definition.name}:${definition.checksum}`;
}

function boundOf(
  deps: Pick<RunSuiteDependencies, 'providers'>,
  { definition }: RunSubject,
  variables: JsonObject,
  at: Date,
): bigint | null {
  const route = deps.providers.route(definition.model);
  try {
    return route ? boundCost(route, definition, renderPrompt(definition, variables).messages, at) : null;
  } catch (error) {
    // Variables that do not fit are refused and audited when they are executed, and cost nothing.
    if (error instanceof PromptgateError) return 0n;
    throw error;
  }
}

function whyUnanswered({ status, errorCode, errorMessage }: Execution): string {
  if (status === 'unknown') return 'what became of the call is not known; it may have been paid for';
  return `${errorCode ?? status}: ${errorMessage ?? 'no answer'}`;
}

function costOf({ price, simulated }: Execution): number | null {
  if (simulated) return null;
  return price.cost === null ? null : Number(price.cost);
}

function skipped(repeat: number): Trial {
  return {
    repeat,
    outcome: 'skipped',
    score: 0,
    reason: endedBefore,
    executionId: null,
    latencyMs: null,
    cost: null,
    grades: [],
  };
}

/** Calls of tools without a text are judged as the text that OpenAI's API has for them. */
export function toJudged(execution: Execution, { tools }: Definition): JudgedAnswer {
  const { rawOutput, toolCalls, finishReason, latencyMs } = execution;
  const calls = toolCalls.map(({ id, name, arguments: said }) => ({
    id,
    type: 'function',
    function: { name, arguments: said },
  }));
  const output = rawOutput || (calls.length > 0 ? JSON.stringify(calls) : '');
  return { output, toolCalls, tools, finishReason, latencyMs, cost: costOf(execution) };
}
