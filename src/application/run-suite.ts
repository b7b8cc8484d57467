/**
 * Every case of a suite, as often as it is repeated, on one version: so many at once, within a budget and a time. Each
 * call is an execution like any other, with its row. A call that an earlier part of the run made is not made again.
 */
import type { Actor } from '../domain/api-key.ts';
import { AssertionCrash, type Grade, type JudgedAnswer } from '../domain/assertion-type.ts';
import { sha256 } from '../domain/canonical-json.ts';
import { type Definition, renderPrompt } from '../domain/definition.ts';
import { PromptgateError, toPromptgateError } from '../domain/errors.ts';
import { readJudgement, toJudgeVariables } from '../domain/evaluation-judge.ts';
import { type CaseResult, openOutcomes, type Trial, toCaseResult } from '../domain/evaluation-run.ts';
import type { CompiledSuite } from '../domain/evaluation-suite.ts';
import type { Execution } from '../domain/execution.ts';
import type { JsonObject } from '../domain/json.ts';
import type { SuiteCase } from '../domain/suite-case.ts';
import type { AuditStore } from './audit-store.ts';
import type { CallPlace, EarlierCalls } from './earlier-trials.ts';
import type { Executed, ExecuteRequest } from './execute-prompt.ts';
import { judgeAnswer } from './judge-answer.ts';
import type { Providers } from './provider.ts';
import { type BudgetStop, boundCost, createRunBudget, type RunBudget } from './run-budget.ts';
import type { ScriptRunner } from './script-runner.ts';

export interface RunSuiteDependencies {
  readonly execute: (request: ExecuteRequest) => Promise<Executed>;
  readonly audit: Pick<AuditStore, 'findExecution'>;
  readonly providers: Pick<Providers, 'route'>;
  readonly scripts: ScriptRunner;
  /** Epoch in milliseconds. */
  readonly now: () => number;
  readonly wait: (milliseconds: number) => Promise<void>;
}

/** Why a run ended before its last case. */
export type RunStop = BudgetStop | 'time' | 'cancelled' | 'stopping';

/** What runs: a registered version, or a definition that is none yet. */
export interface RunSubject {
  readonly definition: Definition;
  /** Null: a draft. */
  readonly version: number | null;
}

export interface SuiteRun {
  readonly runId: string;
  readonly actor: Actor;
  readonly requestId: string;
  readonly suite: CompiledSuite;
  readonly subject: RunSubject;
  readonly judge: RunSubject | null;
  readonly repeats: number;
  readonly concurrency: number;
  /** Decimal text; null: none. */
  readonly budget: string | null;
  /** Epoch in milliseconds; null: none. */
  readonly deadline: number | null;
  /** Make calls again that got no answer, though they may have been paid for. */
  readonly retryUnanswered: boolean;
  readonly earlier: EarlierCalls;
  readonly signal: AbortSignal;
  readonly onTrial: (trial: Trial, spent: ReturnType<RunBudget['total']>) => void;
}

export interface RunResult {
  readonly cases: readonly CaseResult[];
  readonly stopped: RunStop | null;
  readonly spent: ReturnType<RunBudget['total']>;
  /** Executions that the run consists of, judges' too. */
  readonly callCount: number;
  readonly simulated: boolean;
}

export async function runSuite(deps: RunSuiteDependencies, run: SuiteRun): Promise<RunResult> {
  const runner = createRunner(deps, run);
  const places = run.suite.cases.flatMap((suiteCase) =>
    Array.from({ length: run.repeats }, (_, index) => ({ suiteCase, repeat: index + 1 })),
  );
  const trials = new Map<string, Trial[]>(run.suite.cases.map(({ id }) => [id, []]));
  const queue = places.values();
  const work = async () => {
    for (const { suiteCase, repeat } of queue) {
      const trial = runner.stopped() ? skipped(repeat) : await runner.tryCase(suiteCase, repeat);
      trials.get(suiteCase.id)!.push(trial);
      run.onTrial(trial, runner.budget.total());
    }
  };
  await Promise.all(Array.from({ length: Math.min(run.concurrency, places.length) }, work));
  const byRepeat = (a: Trial, b: Trial) => a.repeat - b.repeat;
  const cases = run.suite.cases.map((suiteCase) =>
    toCaseResult(suiteCase, trials.get(suiteCase.id)!.sort(byRepeat)),
  );
  const isWhole = cases.every((one) => one.trials.every(({ outcome }) => !openOutcomes.includes(outcome)));
  return {
    cases,
    // What ran out after the last answer kept nothing from anybody.
    stopped: isWhole ? null : runner.stopped(),
    spent: runner.budget.total(),
    ...runner.counts(),
  };
}

function createRunner(deps: RunSuiteDependencies, run: SuiteRun) {
  const budget = createRunBudget(run.budget);
  for (const execution of run.earlier.all) budget.add(execution);
  let stop: RunStop | null = null;
  const made = new Set(run.earlier.all.map(({ id }) => id));
  let simulated = run.earlier.all.some((execution) => execution.simulated);

  function stopped(): RunStop | null {
    if (stop === null && run.signal.aborted) stop = 'cancelled';
    if (stop === null && run.deadline !== null && deps.now() >= run.deadline) stop = 'time';
    return stop;
  }

  function note(execution: Execution): void {
    if (execution.attempts.length === 0) return;
    made.add(execution.id);
    simulated ||= execution.simulated;
  }

  /** An execution of this place, made now or before; a reason where there is none. */
  async function callOnce(
    subject: RunSubject,
    variables: JsonObject,
    place: CallPlace,
  ): Promise<Execution | string> {
    const before = run.earlier.at(place);
    const last = before.at(-1);
    if (last && (isAnswered(last) || !run.retryUnanswered)) return last;
    const reservation = await budget.reserve(boundOf(deps, subject, variables, new Date(deps.now())));
    if (typeof reservation === 'string') {
      stop ??= reservation;
      return 'the run ended before it';
    }
    let execution: Execution | undefined;
    try {
      execution = await call(subject, variables, place, before.length);
    } catch (thrown) {
      const error = toPromptgateError(thrown);
      if (error.code === 'audit_unavailable' && !error.providerAsked) {
        // Nothing can be recorded, so nothing may be called: what is left waits for another time.
        stop ??= 'stopping';
        return `${error.code}: ${error.message}`;
      }
      execution = error.executionId === null ? undefined : await deps.audit.findExecution(error.executionId);
      if (!execution) return `${error.code}: ${error.message}`;
    } finally {
      reservation.settle(execution);
    }
    note(execution);
    return execution;
  }

  /** Of one place and number of tries only one call is ever made, whichever part of the run comes first. */
  async function call(
    subject: RunSubject,
    variables: JsonObject,
    place: CallPlace,
    tries: number,
  ): Promise<Executed> {
    const key = sha256(JSON.stringify([place.case, place.repeat, place.judge ?? '', tries]));
    const request: ExecuteRequest = {
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
      purpose: 'evaluation',
      runId: run.runId,
      requestId: run.requestId,
      idempotencyKey: `${run.runId}:${key.slice(0, 32)}`,
    };
    for (let pause = firstPauseMs; ; pause = Math.min(2 * pause, longestPauseMs)) {
      try {
        return await deps.execute(request);
      } catch (thrown) {
        const error = toPromptgateError(thrown);
        // Another part of the run has it in flight, or died with it: recovery says which.
        if (error.code !== 'conflict' || error.retryAfterMs === null || stopped()) throw error;
        await deps.wait(pause);
      }
    }
  }

  async function tryCase(suiteCase: SuiteCase, repeat: number): Promise<Trial> {
    const place = { case: suiteCase.id, repeat };
    const execution = await callOnce(run.subject, suiteCase.variables, place);
    if (typeof execution === 'string') {
      return {
        ...skipped(repeat),
        ...(stopped() ? {} : { outcome: 'unanswered' }),
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

  return {
    budget,
    stopped,
    tryCase,
    counts: () => ({ callCount: made.size, simulated }),
  };
}

const firstPauseMs = 500;
const longestPauseMs = 8_000;

/** What a row says that it was a run of, so that it can only be gone on with as that. */
export function subjectOf({ definition }: RunSubject): string {
  return `${definition.name}:${definition.checksum}`;
}

function boundOf(
  deps: RunSuiteDependencies,
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

/** An answer that breaks the schema of the definition is an answer: it was bought, and it fails. */
function isAnswered({ status, errorCode }: Execution): boolean {
  return status === 'succeeded' || errorCode === 'invalid_output';
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
    reason: 'the run ended before it',
    executionId: null,
    latencyMs: null,
    cost: null,
    grades: [],
  };
}

/** Calls of tools without a text are judged as the text that OpenAI's API has for them. */
function toJudged(execution: Execution, { tools }: Definition): JudgedAnswer {
  const { rawOutput, toolCalls, finishReason, latencyMs } = execution;
  const calls = toolCalls.map(({ id, name, arguments: said }) => ({
    id,
    type: 'function',
    function: { name, arguments: said },
  }));
  const output = rawOutput || (calls.length > 0 ? JSON.stringify(calls) : '');
  return { output, toolCalls, tools, finishReason, latencyMs, cost: costOf(execution) };
}
