/**
 * Runs a suite on a version, and records what it came to as evidence. Evidence is bound to everything it depended on;
 * only registered versions have any. Against another version both are run on the same cases, and compared case by case.
 */
import { v5 } from 'uuid';
import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { Trial } from '../domain/evaluation-run.ts';
import type { AuditStore } from './audit-store.ts';
import { authorizeLabel, authorizePrompt } from './authorize.ts';
import type { RunProgress } from './call-run.ts';
import { type EarlierCalls, noEarlierCalls, readEarlierCalls } from './earlier-trials.ts';
import { type EvaluationReport, type Facts, toReport } from './evaluation-report.ts';
import type { EvaluationStore } from './evaluation-store.ts';
import {
  readBaseline,
  readRegistered,
  readSubject,
  readSuite,
  refuseImpossible,
} from './evaluation-subject.ts';
import { newId } from './new-id.ts';
import { findNoEvidence, leftOf, recordEvaluation } from './record-evaluation.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';
import {
  boundEarlier,
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
  readonly audit: Pick<AuditStore, 'findExecution' | 'listExecutions' | 'countCallsInFlight'>;
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
  /** Label whose gate is to be satisfied: its suite as registered, its tries, and what it holds beside it. */
  readonly gate?: string;
  /** A run to go on with. */
  readonly resume?: string;
  readonly retryUnanswered?: boolean;
  readonly requestId: string;
  readonly signal: AbortSignal;
  /** Hears of calls of an earlier part that are in flight still, while they are waited for. */
  readonly onWait?: (calls: number) => void;
  readonly onStart?: (run: StartedRun) => void;
  readonly onTrial?: (progress: TrialProgress) => void;
}

export interface StartedRun {
  readonly runId: string;
  readonly trials: number;
  /** Warnings of the suite: what of it was passed over. */
  readonly warnings: readonly { readonly path: string; readonly message: string }[];
}

export interface TrialProgress extends RunProgress {
  readonly passed: number;
  readonly failed: number;
  /** Without a verdict. */
  readonly open: number;
}

/** @throws PromptgateError — whatever keeps the run from beginning; what happens on the way is part of the report */
export async function evaluateVersion(
  deps: EvaluateDependencies,
  request: EvaluateRequest,
): Promise<EvaluationReport> {
  const plan = await planRun(deps, await askAsGate(deps, request));
  const { request: asked, runId, subject, baseline, earlier, trials, suite } = plan;
  asked.onStart?.({ runId, trials, warnings: suite.warnings });
  const result = await runOne(deps, plan, { runId, subject, earlier, budget: asked.budget ?? null });
  const beside = baseline && (await runBaseline(deps, plan, baseline, result));
  const report = toReport(plan, deps.now(), subject, runId, result, beside);
  const evaluation = await recordEvaluation(deps, plan, subject, report);
  const notEvidence = await findNoEvidence(deps, plan, subject);
  return { ...report, evaluationId: evaluation?.id ?? null, notEvidence };
}

/** What is asked, as the gate of a label asks it. A label that has none is only compared with. */
async function askAsGate(deps: EvaluateDependencies, request: EvaluateRequest): Promise<EvaluateRequest> {
  const { actor, promptName, gate: label } = request;
  if (label === undefined) return request;
  authorizePrompt(actor, promptName);
  authorizeLabel(actor, label);
  const demands = await deps.evaluations.findGateDemands(promptName, label);
  if (demands === null) return { against: label, ...request };
  const { suite = 'default', repeatsMin } = demands;
  const { judge: _, ...rest } = request;
  const asked = { ...rest, against: label, suite };
  if (repeatsMin === null) return asked;
  const registered = await readSuite(deps, asked);
  return { ...asked, repeats: Math.max(repeatsMin, registered.repeats, request.repeats ?? 1) };
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
  const begunAt = deps.now();
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
    resume === undefined
      ? noEarlierCalls
      : await readEarlier(deps, request, { suite, judge }, runId, subject);
  const onTrial = countTrials(trials, request.onTrial);
  // Evidence is as old as its oldest answer, whenever the run is gone on with.
  const oldest = earlier.all.reduce((time, { createdAt }) => Math.min(time, createdAt.getTime()), begunAt);
  const startedAt = new Date(oldest);
  const facts = { request, suite, judge, repeats, begunAt, startedAt };
  return { ...facts, runId, subject, baseline, earlier, trials, onTrial };
}

function readEarlier(
  deps: EvaluateDependencies,
  { actor, signal, onWait }: EvaluateRequest,
  { suite, judge }: Pick<Facts, 'suite' | 'judge'>,
  runId: string,
  subject: RunSubject,
): Promise<EarlierCalls> {
  const most = boundEarlier(deps, { subject, judge });
  const expected = { suiteChecksum: suite.checksum, subject: subjectOf(subject), most };
  return readEarlierCalls(deps, actor, runId, expected, { signal, onWait });
}

function runOne(
  deps: EvaluateDependencies,
  { request, suite, judge, repeats, begunAt, onTrial }: Plan,
  which: Pick<SuiteRun, 'runId' | 'subject' | 'budget' | 'earlier'> & Partial<Pick<SuiteRun, 'onTrial'>>,
): Promise<RunResult> {
  const { actor, requestId, concurrency, signal, timeoutMs, retryUnanswered = false } = request;
  const deadline = timeoutMs === undefined ? null : begunAt + timeoutMs;
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
  const { request } = plan;
  const runId = v5('baseline', plan.runId);
  const isNew = (error: unknown) => {
    if (error instanceof PromptgateError && error.code === 'not_found') return noEarlierCalls;
    throw error;
  };
  const earlier =
    request.resume === undefined
      ? noEarlierCalls
      : await readEarlier(deps, request, plan, runId, held).catch(isNew);
  const budget = request.budget === undefined ? null : leftOf(request.budget, first.spent.known);
  const onTrial = (trial: Trial) => plan.onTrial(trial, first.spent);
  const result = await runOne(deps, plan, { runId, subject: held, budget, earlier, onTrial });
  await recordEvaluation(deps, plan, held, toReport(plan, deps.now(), held, runId, result, null));
  return { held, result };
}

/** @returns what `runSuite` tells of each trial */
export function countTrials(trials: number, tell: EvaluateRequest['onTrial']): SuiteRun['onTrial'] {
  const counts = { done: 0, passed: 0, failed: 0, open: 0 };
  return ({ outcome }, { known }) => {
    counts.done++;
    counts[outcome === 'passed' || outcome === 'failed' ? outcome : 'open']++;
    tell?.({ ...counts, trials, spent: known });
  };
}
