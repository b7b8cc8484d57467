/** What a run came to, for whoever asked for it. */
import type { JudgeVersion } from '../domain/evaluation.ts';
import {
  type CaseResult,
  type Demands,
  openOutcomes,
  type RunSummary,
  summariseRun,
} from '../domain/evaluation-run.ts';
import type { CompiledSuite } from '../domain/evaluation-suite.ts';
import { formatMoney, parseMoney } from '../domain/money.ts';
import { comparePaired, type PairedDifference } from '../domain/pass-rate.ts';
import type { RunStop } from './call-run.ts';
import type { EvaluateRequest } from './evaluate-version.ts';
import type { RunResult, RunSubject } from './run-suite.ts';

export interface Comparison extends PairedDifference {
  readonly label: string;
  readonly version: number;
  /** Cases that passed there and do not here, and the other way round. */
  readonly newlyBroken: readonly string[];
  readonly newlyFixed: readonly string[];
}

export interface EvaluationReport {
  readonly runId: string;
  readonly promptName: string;
  /** Null: a draft. */
  readonly version: number | null;
  readonly versionChecksum: string;
  readonly suite: string;
  readonly suiteChecksum: string;
  readonly judges: readonly JudgeVersion[];
  readonly model: string;
  readonly simulated: boolean;
  readonly repeats: number;
  readonly demands: Demands;
  readonly summary: RunSummary;
  readonly cases: readonly CaseResult[];
  readonly stopped: RunStop | null;
  /** Decimal text; null where some call's cost is not known. */
  readonly cost: string | null;
  readonly costKnown: string;
  readonly currency: string;
  readonly callCount: number;
  readonly comparison: Comparison | null;
  /** The evidence; null where none is recorded: a draft, a run that did not end. */
  readonly evaluationId: number | null;
  /** Why no gate takes the run, as far as it lies in how it was asked for; null: one may. */
  readonly notEvidence: string | null;
  readonly startedAt: Date;
  readonly durationMs: number;
}

/** What is the same for every version that the request runs. */
export interface Facts {
  readonly request: EvaluateRequest;
  readonly suite: CompiledSuite;
  readonly judge: RunSubject | null;
  readonly repeats: number;
  /** Epoch in milliseconds. */
  readonly begunAt: number;
  /** Of its first call, which an earlier part of the run may have made. */
  readonly startedAt: Date;
}

export function toReport(
  { request, suite, judge, repeats, begunAt, startedAt }: Facts,
  now: number,
  subject: RunSubject,
  runId: string,
  result: RunResult,
  compared: { readonly held: RunSubject; readonly result: RunResult } | null,
): Omit<EvaluationReport, 'evaluationId' | 'notEvidence'> {
  const { threshold, proven, confidence } = suite;
  const demands = { threshold, proven, confidence };
  const stop = result.stopped ?? compared?.result.stopped ?? null;
  return {
    runId,
    promptName: request.promptName,
    version: subject.version,
    versionChecksum: subject.definition.checksum,
    suite: suite.name,
    suiteChecksum: suite.checksum,
    judges: judge ? [toJudgeVersion(judge)] : [],
    model: subject.definition.model,
    simulated: result.simulated,
    repeats,
    demands,
    summary: summariseRun(result.cases, demands),
    cases: result.cases,
    stopped: stop,
    cost: compared ? addCosts(result.spent.cost, compared.result.spent.cost) : result.spent.cost,
    costKnown: compared
      ? (addCosts(result.spent.known, compared.result.spent.known) ?? '0')
      : result.spent.known,
    currency: result.spent.currency,
    callCount: result.callCount + (compared?.result.callCount ?? 0),
    comparison:
      compared &&
      toComparison(request.against!, compared.held, result.cases, compared.result.cases, confidence),
    startedAt,
    durationMs: now - begunAt,
  };
}

function toComparison(
  label: string,
  held: RunSubject,
  now: readonly CaseResult[],
  before: readonly CaseResult[],
  confidence: number,
): Comparison | null {
  const then = new Map(before.map((result) => [result.id, result]));
  const pairs = now.map((result) => ({
    id: result.id,
    now: result.share,
    before: then.get(result.id)?.share ?? 0,
  }));
  // A case that was not tried says nothing of a difference. An answer that the held version did not get is no failure
  // of it: an outage would make whatever comes after look better.
  const isWhole =
    now.every(({ trials }) => trials.every(({ outcome }) => outcome !== 'skipped')) &&
    before.every(({ trials }) => trials.every(({ outcome }) => !openOutcomes.includes(outcome)));
  const paired = isWhole ? comparePaired(pairs, confidence) : undefined;
  if (!paired) return null;
  return {
    ...paired,
    label,
    version: held.version ?? 0,
    newlyBroken: pairs.filter((pair) => pair.before === 1 && pair.now < 1).map(({ id }) => id),
    newlyFixed: pairs.filter((pair) => pair.before < 1 && pair.now === 1).map(({ id }) => id),
  };
}

function toJudgeVersion({ definition, version }: RunSubject): JudgeVersion {
  return { name: definition.name, version: version ?? 0, checksum: definition.checksum };
}

function addCosts(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return null;
  return formatMoney((parseMoney(a) ?? 0n) + (parseMoney(b) ?? 0n));
}
