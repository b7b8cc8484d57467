/**
 * One run of a probe: the cases of a suite, asked of what a label points at, within a budget. It is named by the time that
 * it fell due, so it is one run however often it is begun; its calls are claimed one by one, so whoever goes on with it
 * repeats none. Only answers that are not as demanded make it fail, and only then the label may be rolled back.
 */

import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { EvaluationSuite } from '../domain/evaluation.ts';
import { type CaseResult, openOutcomes, summariseRun } from '../domain/evaluation-run.ts';
import { type CompiledSuite, compileSuite } from '../domain/evaluation-suite.ts';
import { parseMoney } from '../domain/money.ts';
import { probeNameOf } from '../domain/probe.ts';
import { authorizePrompt } from './authorize.ts';
import type { RunStop } from './call-run.ts';
import { noEarlierCalls, readEarlierCalls } from './earlier-trials.ts';
import { countTrials, type EvaluateDependencies, type TrialProgress } from './evaluate-version.ts';
import { readRegistered, refuseImpossible } from './evaluation-subject.ts';
import { newId } from './new-id.ts';
import type { ProbeOutcome, ProbeRollback, ProbeRun, ProbeStore, RegisteredProbe } from './probe-store.ts';
import { leftOf } from './record-evaluation.ts';
import type { RegistryStore } from './registry-store.ts';
import { rollBack } from './roll-back.ts';
import { boundEarlier, type RunResult, runSuite, subjectOf } from './run-suite.ts';

export interface ProbeDependencies extends EvaluateDependencies {
  readonly probes: ProbeStore;
  readonly registry: RegistryStore;
  /** The gateway admits no calls any more. */
  readonly isStopping: () => boolean;
  /** Hears of every run that ended. */
  readonly onProbe?: (report: ProbeReport) => void;
}

export interface ProbeRequest {
  /** Who asked for it, or the schedule. */
  readonly actor: Actor;
  readonly promptName: string;
  /** Whose cases are asked. */
  readonly suite: string;
  /** The time that it is the run of; null: now, because somebody asks for it. */
  readonly dueAt: Date | null;
  readonly requestId: string;
  readonly signal: AbortSignal;
  /** Before the first call; of a run that asks nothing never. */
  readonly onStart?: (begun: { readonly run: ProbeRun; readonly trials: number }) => void;
  readonly onTrial?: (progress: TrialProgress) => void;
}

export interface ProbeReport {
  readonly run: ProbeRun;
  readonly outcome: ProbeOutcome;
}

const concurrency = 4;
const timeoutMs = 900_000;

/**
 * @returns null for a time whose run has ended, and where the label points at nothing yet
 * @throws PromptgateError not_found — no such probe, or its label was never set; cancelled — the gateway stops, and
 * another one goes on with what fell due; audit_unavailable — no call could be recorded, and none was made
 */
export async function runProbe(deps: ProbeDependencies, request: ProbeRequest): Promise<ProbeReport | null> {
  const { promptName, suite: suiteName, dueAt, actor } = request;
  authorizePrompt(actor, promptName);
  const probe = await deps.probes.find(promptName, suiteName);
  const registered = probe && (await deps.evaluations.findSuite(promptName, suiteName));
  const [held] = probe
    ? await deps.registry.listDeployments(promptName, { label: probe.label, limit: 1 })
    : [];
  if (!probe || !registered || !held) {
    // What was ended since it fell due, or has nothing to ask yet, is no failure.
    if (dueAt !== null) return null;
    throw new PromptgateError('not_found', describeMissing(promptName, suiteName, probe));
  }
  const begun = await deps.probes.begin({
    ...{ runId: newId(), promptName, suite: suiteName, dueAt, probeId: probe.id, label: probe.label },
    ...{
      version: held.toVersion,
      deploymentId: held.id,
      suiteChecksum: registered.checksum,
      actor: actor.name,
    },
  });
  if (begun.outcome) return null;
  const { run } = begun;
  await deps.snapshot.refresh();
  const outcome = await judgeRun(deps, request, run, probe, registered);
  const report = { run, outcome };
  if (await deps.probes.end(run.runId, outcome)) deps.onProbe?.(report);
  return report;
}

function describeMissing(promptName: string, suite: string, probe: RegisteredProbe | undefined): string {
  return probe
    ? `Label "${probe.label}" of "${promptName}" points at nothing: deploy a version first.`
    : `The suite "${suite}" of "${promptName}" has no probe in force. Give it a member \`probe\`, and sync.`;
}

/** Whatever keeps a run from being judged is its outcome too: it would be the same the next time that it is tried. */
async function judgeRun(
  deps: ProbeDependencies,
  request: ProbeRequest,
  run: ProbeRun,
  probe: RegisteredProbe,
  { source, files, path }: EvaluationSuite,
): Promise<ProbeOutcome> {
  const { promptName } = run;
  try {
    const suite = compileSuite(source, path ?? `${promptName}.eval.yaml`, files, { promptName });
    if (suite.checksum !== run.suiteChecksum) return undecided('the suite has changed since the run began');
    const left = await findBudget(deps.probes, run, probe);
    if (left === null) return { ...undecided('the budget of the day is spent'), cost: '0', currency: 'USD' };
    return await toOutcome(deps, run, probe, suite, await askCases(deps, request, run, suite, left));
  } catch (error) {
    if (error instanceof PromptgateError && foreseen.includes(error.code)) return undecided(error.message);
    throw error;
  }
}

/** A suite that this program refuses, or that does not fit the version, a model that no provider takes, a run that was of another version. */
const foreseen: readonly string[] = [
  'invalid_request',
  'invalid_variables',
  'provider_misconfigured',
  'not_found',
  'conflict',
];

async function findBudget(
  probes: ProbeStore,
  run: ProbeRun,
  { budget, dailyBudget }: RegisteredProbe,
): Promise<string | null> {
  if (dailyBudget === null) return budget;
  const left = leftOf(dailyBudget, await probes.spentToday(run));
  if (parseMoney(left) === 0n) return null;
  return (parseMoney(left) ?? 0n) < (parseMoney(budget) ?? 0n) ? left : budget;
}

async function askCases(
  deps: ProbeDependencies,
  request: ProbeRequest,
  run: ProbeRun,
  suite: CompiledSuite,
  budget: string,
): Promise<RunResult> {
  const { requestId, signal } = request;
  const actor = actorOf(run);
  const subject = readRegistered(deps, actor, run.promptName, run.version);
  const judge = suite.judge && readRegistered(deps, actor, suite.judge.name, suite.judge.version);
  refuseImpossible(deps, suite, subject, judge);
  const most = boundEarlier(deps, { subject, judge });
  const expected = { suiteChecksum: suite.checksum, subject: subjectOf(subject), most };
  const earlier = await readEarlierCalls(deps, actor, run.runId, expected, { signal }).catch((error) => {
    if (error instanceof PromptgateError && error.code === 'not_found') return noEarlierCalls;
    throw error;
  });
  const limits = { concurrency, budget, callsPerMinute: null, deadline: deps.now() + timeoutMs };
  const trials = suite.cases.length * suite.repeats;
  request.onStart?.({ run, trials });
  const onTrial = countTrials(trials, request.onTrial);
  const result = await runSuite(deps, {
    ...{ runId: run.runId, actor, requestId, suite, subject, judge, repeats: suite.repeats, earlier, signal },
    ...{ ...limits, retryUnanswered: false, purpose: 'probe', onTrial },
  });
  if (result.stopped === 'stopping' && !deps.isStopping()) {
    throw new PromptgateError(
      'audit_unavailable',
      'The audit trail takes no records now, so the probe asks nothing more. Run it again.',
    );
  }
  // What fell due is gone on with by another gateway; what somebody asked for is over.
  if (isCut(result) && request.dueAt !== null) {
    throw new PromptgateError('cancelled', 'The gateway stopped before the probe had ended.');
  }
  return result;
}

function isCut({ stopped }: RunResult): boolean {
  return stopped === 'stopping' || stopped === 'cancelled';
}

/** Calls and moves are the probe's own, whoever asked for the run. */
function actorOf({ promptName, suite }: ProbeRun): Actor {
  return { name: `probe:${probeNameOf({ promptName, suite })}`, keyId: null, scopes: ['admin'] };
}

async function toOutcome(
  deps: ProbeDependencies,
  run: ProbeRun,
  probe: RegisteredProbe,
  suite: CompiledSuite,
  result: RunResult,
): Promise<ProbeOutcome> {
  const { verdict, reasons, ...figures } = summariseRun(result.cases, suite);
  const { cost, currency } = result.spent;
  const why = result.stopped && whyStopped[result.stopped];
  const told = {
    outcome: isCut(result) ? ('insufficient' as const) : verdict,
    reasons: why ? [...reasons, why] : reasons,
    failures: result.cases.filter(({ passed }) => !passed).map(toFailure),
    caseCount: figures.caseCount,
    trialCount: figures.trialCount,
    passedCount: figures.trialsPassed,
    callCount: result.callCount,
    simulated: result.simulated,
    cost,
    currency: cost === null ? null : currency,
  };
  const isRolledBack = told.outcome === 'failed' && probe.onFailure === 'rollback';
  const rollback = isRolledBack ? await rollLabelBack(deps, run, told) : null;
  return { ...told, rollback };
}

const whyStopped: Partial<Record<RunStop, string>> = {
  budget: 'the next call could have cost more than the budget has left',
  cost_unknown: 'a call did not tell its cost, so the budget could not be kept',
  time: 'the time of the run was over',
  cancelled: 'whoever asked for it went away, or the gateway stopped',
  stopping: 'the gateway stopped',
};

function toFailure({ id, trials }: CaseResult): ProbeOutcome['failures'][number] {
  const shown =
    trials.find(({ outcome }) => outcome === 'failed') ??
    trials.find(({ outcome }) => openOutcomes.includes(outcome));
  return { case: id, execution: shown?.executionId ?? null };
}

/** As anyone rolls back, by the same rules; and only what was there when the run began, once for each version. */
async function rollLabelBack(
  deps: ProbeDependencies,
  run: ProbeRun,
  { reasons, simulated }: Pick<ProbeOutcome, 'reasons' | 'simulated'>,
): Promise<ProbeRollback> {
  const { promptName, label, version, runId } = run;
  if (simulated) return { refusal: 'Simulated answers move no label.' };
  const actor = actorOf(run);
  const taken = async () => {
    const moves = await deps.registry.listDeployments(promptName, { label, limit: 1_000 });
    return moves.find((move) => move.actor.startsWith('probe:') && move.fromVersion === version);
  };
  const before = await taken();
  // This run did it: it died before it could say so, or another gateway goes on with it too.
  if (before?.reason?.includes(runId)) return { deploymentId: before.id };
  if (before) {
    return {
      refusal: `A probe has taken version ${version} off the label before; somebody put it there again.`,
    };
  }
  const reason = `probe ${probeNameOf(run)} failed in run ${runId}: ${reasons.join('; ')}`.slice(0, 1_000);
  try {
    const expectedDeployment = run.deploymentId;
    const { id } = await rollBack(deps, { actor, promptName, label, expectedDeployment, reason });
    return { deploymentId: id };
  } catch (error) {
    const isRefusal = error instanceof PromptgateError && refusals.includes(error.code);
    if (!isRefusal) throw error;
    const meanwhile = await taken();
    return meanwhile?.reason?.includes(runId) ? { deploymentId: meanwhile.id } : { refusal: error.message };
  }
}

const refusals: readonly string[] = ['conflict', 'forbidden', 'not_found'];

function undecided(reason: string): ProbeOutcome {
  return {
    outcome: 'insufficient',
    reasons: [reason],
    failures: [],
    ...{ caseCount: 0, trialCount: 0, passedCount: 0, callCount: 0 },
    simulated: false,
    // Nothing is asked that could cost anything; what an earlier part of the run has spent nobody adds up here.
    cost: null,
    currency: null,
    rollback: null,
  };
}
