/** What of a run is evidence, and whether a gate could take it as it is. */

import type { Evaluation } from '../domain/evaluation.ts';
import { countOpen } from '../domain/evaluation-run.ts';
import type { CompiledSuite } from '../domain/evaluation-suite.ts';
import type { Json } from '../domain/json.ts';
import { formatMoney, parseMoney } from '../domain/money.ts';
import { rendererVersion } from '../domain/template.ts';
import { toWritableJson } from '../domain/writable-text.ts';
import type { Comparison, EvaluationReport, Facts } from './evaluation-report.ts';
import type { EvaluationStore } from './evaluation-store.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';
import type { RunSubject } from './run-suite.ts';

interface RecordDependencies {
  readonly snapshot: RegistrySnapshot;
  readonly evaluations: EvaluationStore;
}

/**
 * A run that was cut short proves nothing that a later part of it could not still turn round, and one with fewer tries
 * than the suite asks for is of another suite: neither is recorded.
 */
export async function recordEvaluation(
  deps: RecordDependencies,
  { request, suite }: Facts,
  subject: RunSubject,
  report: Omit<EvaluationReport, 'evaluationId' | 'notEvidence'>,
): Promise<Evaluation | null> {
  const { summary, comparison } = report;
  const isOpen = summary.verdict === 'insufficient' && countOpen(summary.outcomes) > 0;
  if (subject.version === null || isOpen || summary.outcomes.skipped > 0) return null;
  if (report.repeats < suite.repeats) return null;
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
  deps: RecordDependencies,
  promptName: string,
  { version, difference, lower }: Comparison,
) {
  const { checksum } = deps.snapshot.resolve(promptName, { version }).version;
  return { version, checksum, difference, differenceLower: lower };
}

/** Why no gate takes the run, whatever it came to, as far as it lies in how it was asked for; null: one may. */
export async function findNoEvidence(
  { evaluations }: Pick<RecordDependencies, 'evaluations'>,
  { request, suite, repeats }: Pick<Facts, 'request' | 'suite' | 'repeats'>,
  subject: RunSubject,
): Promise<string | null> {
  if (subject.version === null) return 'a draft is no version';
  if (repeats < suite.repeats) {
    return `the suite asks for ${suite.repeats} tries of each case, and this run made ${repeats}`;
  }
  const registered = await evaluations.findSuite(request.promptName, suite.name);
  if (registered?.checksum === suite.checksum) return null;
  if (registered === undefined)
    return `no suite "${suite.name}" is registered; \`promptgate sync\` registers it`;
  return explainOther(suite, request.judge);
}

function explainOther({ name, judge }: CompiledSuite, said: string | undefined): string {
  if (said !== undefined && judge !== null && said === `${judge.name}@${judge.version}`) {
    return `the judge ${said} was named by the command; a gate takes the one that the suite "${name}" names itself: \`judge: ${said}\``;
  }
  return `suite "${name}" is registered with another text; \`promptgate sync\` registers this one`;
}

/** What of a budget is left. */
export function leftOf(budget: string, spent: string): string {
  const left = (parseMoney(budget) ?? 0n) - (parseMoney(spent) ?? 0n);
  return formatMoney(left > 0n ? left : 0n);
}
