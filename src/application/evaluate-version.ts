/**
 * Runs a suite on a version, and records what it came to as evidence. Evidence is bound to everything it depended on;
 * only registered versions have any. Against another version both are run on the same cases, and compared case by case.
 */
import { v7 as newId, v5 } from 'uuid';
import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { Evaluation } from '../domain/evaluation.ts';
import type { Trial } from '../domain/evaluation-run.ts';
import type { Json } from '../domain/json.ts';
import { formatMoney, parseMoney } from '../domain/money.ts';
import { rendererVersion } from '../domain/template.ts';
import type { AuditStore } from './audit-store.ts';
import { authorizePrompt } from './authorize.ts';
import { noEarlierCalls, readEarlierCalls } from './earlier-trials.ts';
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
  const startedAt = new Date(deps.now());
  const { actor, promptName } = request;
  authorizePrompt(actor, promptName);
  const suite = await readSuite(deps, request);
  const subject = readSubject(deps, request);
  const judge = suite.judge && readRegistered(deps, actor, suite.judge.name, suite.judge.version);
  refuseImpossible(deps, suite, subject, judge);
  const baseline =
    request.against === undefined ? null : readBaseline(deps, request, request.against, subject);
  const runId = request.resume ?? newId();
  const repeats = request.repeats ?? suite.repeats;
  const trials = suite.cases.length * repeats;
  const progress = createProgress(trials * (baseline ? 2 : 1), request.onTrial);
  const common = {
    actor,
    requestId: request.requestId,
    suite,
    judge,
    repeats,
    concurrency: request.concurrency,
    deadline: request.timeoutMs === undefined ? null : startedAt.getTime() + request.timeoutMs,
    retryUnanswered: request.retryUnanswered ?? false,
    signal: request.signal,
  };
  const earlierOf = (id: string, of: RunSubject) =>
    readEarlierCalls(deps.audit, actor, id, { suiteChecksum: suite.checksum, subject: subjectOf(of) });
  const earlier = request.resume === undefined ? noEarlierCalls : await earlierOf(runId, subject);
  request.onStart?.({ runId, trials: trials * (baseline ? 2 : 1), warnings: suite.warnings });
  const result = await runSuite(deps, {
    ...common,
    runId,
    subject,
    budget: request.budget ?? null,
    earlier,
    onTrial: progress,
  });
  const facts = { request, suite, judge, repeats, startedAt };
  const compared = baseline && (await runBaseline(baseline, result));
  const report = toReport(facts, deps.now(), subject, runId, result, compared);
  const evaluation = await record(deps, facts, subject, report);
  return { ...report, evaluationId: evaluation?.id ?? null };

  /** A run of its own, named after this one, so that going on with this one goes on with it. */
  async function runBaseline(
    held: RunSubject,
    first: RunResult,
  ): Promise<{ held: RunSubject; result: RunResult }> {
    const id = v5('baseline', runId);
    const before =
      request.resume === undefined
        ? noEarlierCalls
        : await earlierOf(id, held).catch((error) => {
            if (error instanceof PromptgateError && error.code === 'not_found') return noEarlierCalls;
            throw error;
          });
    const onTrial = (trial: Trial) => progress(trial, first.spent);
    const budget = request.budget === undefined ? null : leftOf(request.budget, first.spent.known);
    const run = await runSuite(deps, {
      ...common,
      runId: id,
      subject: held,
      budget,
      earlier: before,
      onTrial,
    });
    await record(deps, facts, held, toReport(facts, deps.now(), held, id, run, null));
    return { held, result: run };
  }
}

/** A run that was cut short proves nothing that a later part of it could not still turn round: it is not recorded. */
async function record(
  deps: EvaluateDependencies,
  { request }: Facts,
  subject: RunSubject,
  report: Omit<EvaluationReport, 'evaluationId'>,
): Promise<Evaluation | null> {
  const { summary, comparison } = report;
  if (subject.version === null || summary.outcomes.skipped > 0) return null;
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
    cases: report.cases as unknown as Json,
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
