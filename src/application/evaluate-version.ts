/**
 * Runs a suite on a version, and records what it came to as evidence. Evidence is bound to everything it depended on;
 * only registered versions have any. Against another version both are run on the same cases, and compared case by case.
 */
import { v7 as newId, v5 } from 'uuid';
import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { Evaluation } from '../domain/evaluation.ts';
import { countOpen, type Trial } from '../domain/evaluation-run.ts';
import type { CompiledSuite } from '../domain/evaluation-suite.ts';
import type { Json } from '../domain/json.ts';
import { formatMoney, parseMoney } from '../domain/money.ts';
import { rendererVersion } from '../domain/template.ts';
import { toWritableJson } from '../domain/writable-text.ts';
import type { AuditStore } from './audit-store.ts';
import { authorizePrompt } from './authorize.ts';
import { type EarlierCalls, noEarlierCalls, readEarlierCalls } from './earlier-trials.ts';
import { type Comparison, type EvaluationReport, type Facts, toReport } from './evaluation-report.ts';
import type { EvaluationStore } from './evaluation-store.ts';
import {
  readBaseline,
  readRegistered,
  readSubject,
  readSuite,
  refuseImpossible,
} from './evaluation-subject.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';
import {
  type RunResult,
  type RunSubject,
  type RunSuiteDependencies,
  runSuite,
  type SuiteRun,
  subjectOf,
} from './run-suite.ts';

export interface EvaluateDependencies extends RunSuiteDependencies {
  readonly snapshot: RegistrySnapshot;
  readonly evaluations: EvaluationStore;
  readonly audit: Pick<AuditStore, 'findExecution' | 'listExecutions'>;
}

export interface EvaluateRequest {
  readonly actor: Actor;
  readonly promptName: string;
  /** Label, version or draft: one of them; none means the newest version. */
  readonly label?: string;
  readonly version?: number;
  /** A definition that is no version: it is run, and no evidence is recorded. */
  readonly draft?: {
    readonly source: string;
    readonly partials: Readonly<Record<string, string>>;
    readonly path: string;
  };
  /** A suite as text, or the name of one that is registered; left out: the registered `default`. */
  readonly suite?:
    | { readonly source: string; readonly path: string; readonly files: Readonly<Record<string, string>> }
    | string;
  /** Who judges where the suite does not say, e.g. `grade-answer@3`. */
  readonly judge?: string;
  /** Default: what the suite says. */
  readonly repeats?: number;
  readonly concurrency: number;
  /** Cap on what the whole run may cost, as decimal text. */
  readonly budget?: string;
  /** Time after which no further call is started, in milliseconds. */
  readonly timeoutMs?: number;
  /** Label whose version is run beside it. */
  readonly against?: string;
  /** A run to go on with. */
  readonly resume?: string;
  readonly retryUnanswered?: boolean;
  readonly requestId: string;
  readonly signal: AbortSignal;
  readonly onStart?: (run: StartedRun) => void;
  readonly onTrial?: (progress: RunProgress) => void;
}

export interface StartedRun {
  readonly runId: string;
  readonly trials: number;
  /** Warnings of the suite: what of it was passed over. */
  readonly warnings: readonly { readonly path: string; readonly message: string }[];
}

export interface RunProgress {
  readonly done: number;
  readonly trials: number;
  readonly passed: number;
  readonly failed: number;
  /** Without a verdict. */
  readonly open: number;
  /** Known cost so far, as decimal text. */
  readonly spent: string;
}

/** @throws PromptgateError — whatever keeps the run from beginning; what happens on the way is part of the report */
export async function evaluateVersion(
  deps: EvaluateDependencies,
  request: EvaluateRequest,
): Promise<EvaluationReport> {
  const plan = await planRun(deps, request);
  const { runId, subject, baseline, earlier, trials, suite } = plan;
  request.onStart?.({ runId, trials, warnings: suite.warnings });
  const result = await runOne(deps, plan, { runId, subject, earlier, budget: request.budget ?? null });
  const beside = baseline && (await runBaseline(deps, plan, baseline, result));
  const report = toReport(plan, deps.now(), subject, runId, result, beside);
  const evaluation = await record(deps, plan, subject, report);
  return { ...report, evaluationId: evaluation?.id ?? null };
}

/** Everything that is decided before the first call. */
interface Plan extends Facts {
  readonly runId: string;
  readonly subject: RunSubject;
  /** Run beside it; null: nothing to compare with. */
  readonly baseline: RunSubject | null;
  readonly earlier: EarlierCalls;
  /** Of both together. */
  readonly trials: number;
  readonly onTrial: SuiteRun['onTrial'];
}

async function planRun(deps: EvaluateDependencies, request: EvaluateRequest): Promise<Plan> {
  const startedAt = new Date(deps.now());
  const { actor, promptName, resume, against } = request;
  authorizePrompt(actor, promptName);
  const suite = await readSuite(deps, request);
  const subject = readSubject(deps, request);
  const judge = suite.judge && readRegistered(deps, actor, suite.judge.name, suite.judge.version);
  refuseImpossible(deps, suite, subject, judge);
  const baseline = against === undefined ? null : readBaseline(deps, request, against, subject);
  const repeats = request.repeats ?? suite.repeats;
  const trials = suite.cases.length * repeats * (baseline ? 2 : 1);
  const runId = resume ?? newId();
  const earlier =
    resume === undefined ? noEarlierCalls : await readEarlier(deps, request, suite, runId, subject);
  const onTrial = createProgress(trials, request.onTrial);
  return { request, suite, judge, repeats, startedAt, runId, subject, baseline, earlier, trials, onTrial };
}

function readEarlier(
  deps: EvaluateDependencies,
  { actor }: EvaluateRequest,
  { checksum }: CompiledSuite,
  runId: string,
  subject: RunSubject,
): Promise<EarlierCalls> {
  const expected = { suiteChecksum: checksum, subject: subjectOf(subject) };
  return readEarlierCalls(deps.audit, actor, runId, expected);
}

function runOne(
  deps: EvaluateDependencies,
  { request, suite, judge, repeats, startedAt, onTrial }: Plan,
  which: Pick<SuiteRun, 'runId' | 'subject' | 'budget' | 'earlier'> & Partial<Pick<SuiteRun, 'onTrial'>>,
): Promise<RunResult> {
  const { actor, requestId, concurrency, signal, timeoutMs, retryUnanswered = false } = request;
  const deadline = timeoutMs === undefined ? null : startedAt.getTime() + timeoutMs;
  const limits = { concurrency, callsPerMinute: null, signal, deadline, retryUnanswered };
  const common = { actor, requestId, ...limits };
  return runSuite(deps, { ...common, suite, judge, repeats, onTrial, ...which });
}

/** A run of its own, named after the first, so that going on with that goes on with this. It is evidence as well. */
async function runBaseline(
  deps: EvaluateDependencies,
  plan: Plan,
  held: RunSubject,
  first: RunResult,
): Promise<{ held: RunSubject; result: RunResult }> {
  const { request, suite } = plan;
  const runId = v5('baseline', plan.runId);
  const isNew = (error: unknown) => {
    if (error instanceof PromptgateError && error.code === 'not_found') return noEarlierCalls;
    throw error;
  };
  const earlier =
    request.resume === undefined
      ? noEarlierCalls
      : await readEarlier(deps, request, suite, runId, held).catch(isNew);
  const budget = request.budget === undefined ? null : leftOf(request.budget, first.spent.known);
  const onTrial = (trial: Trial) => plan.onTrial(trial, first.spent);
  const result = await runOne(deps, plan, { runId, subject: held, budget, earlier, onTrial });
  await record(deps, plan, held, toReport(plan, deps.now(), held, runId, result, null));
  return { held, result };
}

/** A run that was cut short proves nothing that a later part of it could not still turn round: it is not recorded. */
async function record(
  deps: EvaluateDependencies,
  { request }: Facts,
  subject: RunSubject,
  report: Omit<EvaluationReport, 'evaluationId'>,
): Promise<Evaluation | null> {
  const { summary, comparison } = report;
  const isOpen = summary.verdict === 'insufficient' && countOpen(summary.outcomes) > 0;
  if (subject.version === null || isOpen || summary.outcomes.skipped > 0) return null;
  return deps.evaluations.recordEvaluation({
    runId: report.runId,
    promptName: report.promptName,
    version: subject.version,
    versionChecksum: report.versionChecksum,
    suite: report.suite,
    suiteChecksum: report.suiteChecksum,
    judges: report.judges,
    model: report.model,
    simulated: report.simulated,
    rendererVersion,
    repeats: report.repeats,
    caseCount: summary.caseCount,
    trialCount: summary.trialCount,
    passedCount: summary.trialsPassed,
    callCount: report.callCount,
    lowerBound: summary.lowerBound,
    confidence: summary.confidence,
    score: Math.max(0, Math.min(1, summary.score)),
    threshold: report.demands.threshold,
    baseline: comparison && toBaseline(deps, report.promptName, comparison),
    verdict: summary.verdict,
    // A reason may quote an answer, which may hold what no database takes.
    cases: toWritableJson(report.cases as unknown as Json),
    cost: report.cost,
    currency: report.cost === null ? null : report.currency,
    actor: request.actor.name,
    startedAt: report.startedAt,
  });
}

function toBaseline(
  deps: EvaluateDependencies,
  promptName: string,
  { version, difference, lower }: Comparison,
) {
  const { checksum } = deps.snapshot.resolve(promptName, { version }).version;
  return { version, checksum, difference, differenceLower: lower };
}

function createProgress(trials: number, tell: EvaluateRequest['onTrial']) {
  const counts = { done: 0, passed: 0, failed: 0, open: 0 };
  return ({ outcome }: Trial, { known }: RunResult['spent']) => {
    counts.done++;
    counts[outcome === 'passed' || outcome === 'failed' ? outcome : 'open']++;
    tell?.({ ...counts, trials, spent: known });
  };
}

function leftOf(budget: string, spent: string): string {
  const left = (parseMoney(budget) ?? 0n) - (parseMoney(spent) ?? 0n);
  return formatMoney(left > 0n ? left : 0n);
}
