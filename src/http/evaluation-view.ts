/** Runs of suites as the wire has them. */
import { z } from '@hono/zod-openapi';
import type { EvaluationReport } from '../application/evaluation-report.ts';
import type { AssertionGrade } from '../domain/case-grade.ts';
import type { Evaluation } from '../domain/evaluation.ts';
import type { CaseResult, Trial } from '../domain/evaluation-run.ts';
import { runProgress } from './run-request.ts';

export const trialProgressSchema = z.object({
  ...runProgress,
  passed: z.number().int(),
  failed: z.number().int(),
  open: z.number().int().openapi({ description: 'Without a verdict.' }),
});

export type TrialProgressView = z.infer<typeof trialProgressSchema>;

const count = z.number().int();
const rate = z.number().nullable();
const verdict = z.enum(['passed', 'failed', 'insufficient']).openapi({
  description: '`insufficient`: what was tried is too little to say either.',
});

const gradeSchema = z.object({
  type: z.string(),
  metric: z.string().nullable(),
  weight: z.number(),
  pass: z.boolean(),
  score: z.number(),
  reason: z.string(),
  parts: z.array(z.record(z.string(), z.unknown())).openapi({ description: 'Of `assert-set`.' }),
});

const caseSchema = z
  .object({
    id: z.string(),
    description: z.string().nullable(),
    critical: z.boolean(),
    passed: z.boolean(),
    trials: z.array(
      z.object({
        repeat: count,
        outcome: z
          .enum(['passed', 'failed', 'crashed', 'unanswered', 'skipped'])
          .openapi({ description: 'Only `passed` counts as a pass.' }),
        score: z.number(),
        reason: z.string().nullable(),
        execution_id: z.string().nullable(),
        latency_ms: z.number().nullable(),
        cost: z.number().nullable(),
        assertions: z.array(gradeSchema),
      }),
    ),
  })
  .openapi('EvaluationCase');

const common = {
  run_id: z.string(),
  prompt: z.string(),
  version_checksum: z.string(),
  suite: z.string(),
  suite_checksum: z.string(),
  judges: z.array(z.object({ name: z.string(), version: count, checksum: z.string() })),
  model: z.string(),
  simulated: z.boolean(),
  verdict,
  repeats: count,
  case_count: count,
  trial_count: count,
  passed_count: count,
  call_count: count,
  pass_rate: rate,
  lower_bound: rate.openapi({ description: 'The pass rate that is proven, at `confidence`.' }),
  confidence: z.number(),
  score: z.number(),
  threshold: z.number(),
  cost: z.string().nullable().openapi({ description: 'Exact decimal; null when some call has none.' }),
  currency: z.string().nullable(),
  started_at: z.iso.datetime(),
};

export const evaluationReportSchema = z
  .object({
    ...common,
    version: count.nullable().openapi({ description: 'Null: a definition that is no version.' }),
    evaluation_id: count.nullable().openapi({
      description: 'The evidence; null: none is recorded, of a draft or while trials are without a verdict.',
    }),
    not_evidence: z.string().nullable().openapi({
      description: 'Why no gate takes the run, as far as it lies in how it was asked for; null: one may.',
    }),
    reasons: z.array(z.string()).openapi({ description: 'Why it is not passed.' }),
    proven: rate,
    cases_passed: count,
    outcomes: z.record(z.string(), count),
    stopped: z
      .enum(['budget', 'cost_unknown', 'time', 'cancelled', 'stopping'])
      .nullable()
      .openapi({ description: 'Why the run ended before its last case; `resume` goes on with it.' }),
    spent: z.string().openapi({ description: 'The sum of what is known.' }),
    duration_ms: z.number(),
    latency: z.object({ p50_ms: z.number(), p95_ms: z.number() }).nullable(),
    assertions: z.array(
      z.object({
        type: z.string(),
        metric: z.string().nullable(),
        passed: count,
        count,
        mean_score: z.number(),
      }),
    ),
    comparison: z
      .object({
        label: z.string(),
        version: count,
        difference: z.number(),
        difference_lower: z.number(),
        p_value: z.number(),
        newly_broken: z.array(z.string()),
        newly_fixed: z.array(z.string()),
      })
      .nullable()
      .openapi({ description: 'Against the version that the label holds, case by case.' }),
    cases: z.array(caseSchema),
  })
  .openapi('EvaluationReport');

export type EvaluationReportView = z.infer<typeof evaluationReportSchema>;

export const evaluationSchema = z
  .object({
    ...common,
    id: count,
    version: count,
    renderer_version: count,
    baseline: z.object({ version: count, difference: rate, difference_lower: rate }).nullable(),
    actor: z.string(),
    created_at: z.iso.datetime(),
  })
  .openapi('Evaluation');

export const evaluationDetailSchema = evaluationSchema
  .extend({ cases: z.array(caseSchema) })
  .openapi('EvaluationDetail');

export function toReportView(report: EvaluationReport): EvaluationReportView {
  const { summary, demands, comparison } = report;
  return {
    run_id: report.runId,
    prompt: report.promptName,
    version: report.version,
    version_checksum: report.versionChecksum,
    suite: report.suite,
    suite_checksum: report.suiteChecksum,
    judges: report.judges.map((judge) => ({ ...judge })),
    model: report.model,
    simulated: report.simulated,
    evaluation_id: report.evaluationId,
    not_evidence: report.notEvidence,
    verdict: summary.verdict,
    reasons: [...summary.reasons],
    repeats: report.repeats,
    case_count: summary.caseCount,
    cases_passed: summary.casesPassed,
    trial_count: summary.trialCount,
    passed_count: summary.trialsPassed,
    outcomes: { ...summary.outcomes },
    call_count: report.callCount,
    pass_rate: summary.passRate,
    lower_bound: summary.lowerBound,
    confidence: summary.confidence,
    threshold: demands.threshold,
    proven: demands.proven,
    score: summary.score,
    stopped: report.stopped,
    cost: report.cost,
    spent: report.costKnown,
    currency: report.currency,
    started_at: report.startedAt.toISOString(),
    duration_ms: report.durationMs,
    latency: summary.latency && { p50_ms: summary.latency.p50, p95_ms: summary.latency.p95 },
    assertions: summary.assertions.map(({ meanScore, ...rest }) => ({ ...rest, mean_score: meanScore })),
    comparison: comparison && {
      label: comparison.label,
      version: comparison.version,
      difference: comparison.difference,
      difference_lower: comparison.lower,
      p_value: comparison.pValue,
      newly_broken: [...comparison.newlyBroken],
      newly_fixed: [...comparison.newlyFixed],
    },
    cases: report.cases.map(toCaseView),
  };
}

export function toEvaluationView(evaluation: Evaluation): z.infer<typeof evaluationSchema> {
  const { baseline } = evaluation;
  return {
    id: evaluation.id,
    run_id: evaluation.runId,
    prompt: evaluation.promptName,
    version: evaluation.version,
    version_checksum: evaluation.versionChecksum,
    suite: evaluation.suite,
    suite_checksum: evaluation.suiteChecksum,
    judges: evaluation.judges.map((judge) => ({ ...judge })),
    model: evaluation.model,
    simulated: evaluation.simulated,
    renderer_version: evaluation.rendererVersion,
    verdict: evaluation.verdict,
    repeats: evaluation.repeats,
    case_count: evaluation.caseCount,
    trial_count: evaluation.trialCount,
    passed_count: evaluation.passedCount,
    call_count: evaluation.callCount,
    pass_rate: evaluation.passRate,
    lower_bound: evaluation.lowerBound,
    confidence: evaluation.confidence,
    threshold: evaluation.threshold,
    score: evaluation.score,
    baseline: baseline && {
      version: baseline.version,
      difference: baseline.difference,
      difference_lower: baseline.differenceLower,
    },
    cost: evaluation.cost,
    currency: evaluation.currency,
    actor: evaluation.actor,
    started_at: evaluation.startedAt.toISOString(),
    created_at: evaluation.createdAt.toISOString(),
  };
}

export function toEvaluationDetail(evaluation: Evaluation): z.infer<typeof evaluationDetailSchema> {
  // Written by `record` from case results, and never changed.
  const cases = Array.isArray(evaluation.cases) ? (evaluation.cases as CaseResult[]) : [];
  return { ...toEvaluationView(evaluation), cases: cases.map(toCaseView) };
}

function toCaseView({ id, description, critical, passed, trials }: CaseResult): z.infer<typeof caseSchema> {
  return { id, description, critical, passed, trials: trials.map(toTrialView) };
}

function toTrialView({ repeat, outcome, score, reason, executionId, latencyMs, cost, grades }: Trial) {
  return {
    repeat,
    outcome,
    score,
    reason,
    execution_id: executionId,
    latency_ms: latencyMs,
    cost,
    assertions: grades.map(toGradeView),
  };
}

function toGradeView({
  type,
  metric,
  weight,
  pass,
  score,
  reason,
  parts = [],
}: AssertionGrade): z.infer<typeof gradeSchema> {
  return { type, metric, weight, pass, score, reason, parts: parts.map(toGradeView) };
}
