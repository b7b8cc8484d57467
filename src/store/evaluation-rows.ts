/** Suites and evaluations between their domain shape and their rows. */
import { z } from 'zod';
import type { Evaluation, EvaluationSuite, NewEvaluation, NewEvaluationSuite } from '../domain/evaluation.ts';
import type { Argument, Row } from './query-catalog.ts';

const text = z.string().nullable();
const version = z.number().int();

const suiteSchema = z.object({
  id: z.number(),
  prompt_name: z.string(),
  suite: z.string(),
  checksum: z.string(),
  source: z.string(),
  files: z.record(z.string(), z.string()),
  judges: z.array(z.object({ name: z.string(), version })),
  path: text,
  git_commit: text,
  actor: z.string(),
  created_at: z.date(),
});

export function toEvaluationSuite(row: Row): EvaluationSuite {
  const { prompt_name, git_commit, created_at, ...parsed } = suiteSchema.parse(row);
  return { ...parsed, promptName: prompt_name, gitCommit: git_commit, createdAt: created_at };
}

/** The arguments of `insertSuite`. */
export function fromEvaluationSuite(suite: NewEvaluationSuite): Argument[] {
  return [
    suite.promptName,
    suite.suite,
    suite.checksum,
    suite.source,
    JSON.stringify(suite.files),
    JSON.stringify(suite.judges),
    suite.path,
    suite.gitCommit,
    suite.actor,
  ];
}

/** The client gives `numeric` as text. */
const fraction = z.coerce.number();

const evaluationSchema = z.object({
  id: z.number(),
  run_id: z.string(),
  prompt_name: z.string(),
  version,
  version_checksum: z.string(),
  suite: z.string(),
  suite_checksum: z.string(),
  judges: z.array(z.object({ name: z.string(), version, checksum: z.string() })),
  model: z.string(),
  simulated: z.boolean(),
  renderer_version: z.number(),
  repeats: z.number(),
  case_count: z.number(),
  trial_count: z.number(),
  passed_count: z.number(),
  call_count: z.number(),
  pass_rate: z.number().nullable(),
  lower_bound: z.number().nullable(),
  confidence: z.number(),
  score: fraction,
  threshold: fraction,
  baseline_version: version.nullable(),
  baseline_checksum: text,
  difference: z.number().nullable(),
  difference_lower: z.number().nullable(),
  verdict: z.enum(['passed', 'failed', 'insufficient']),
  cases: z.unknown(),
  cost: text,
  currency: text,
  actor: z.string(),
  started_at: z.date(),
  created_at: z.date(),
});

export function toEvaluation(row: Row): Evaluation {
  const parsed = evaluationSchema.parse(row);
  const { baseline_version, baseline_checksum } = parsed;
  return {
    id: parsed.id,
    runId: parsed.run_id,
    promptName: parsed.prompt_name,
    version: parsed.version,
    versionChecksum: parsed.version_checksum,
    suite: parsed.suite,
    suiteChecksum: parsed.suite_checksum,
    judges: parsed.judges,
    model: parsed.model,
    simulated: parsed.simulated,
    rendererVersion: parsed.renderer_version,
    repeats: parsed.repeats,
    caseCount: parsed.case_count,
    trialCount: parsed.trial_count,
    passedCount: parsed.passed_count,
    callCount: parsed.call_count,
    passRate: parsed.pass_rate,
    lowerBound: parsed.lower_bound,
    confidence: parsed.confidence,
    score: parsed.score,
    threshold: parsed.threshold,
    baseline:
      baseline_version === null || baseline_checksum === null
        ? null
        : {
            version: baseline_version,
            checksum: baseline_checksum,
            difference: parsed.difference,
            differenceLower: parsed.difference_lower,
          },
    verdict: parsed.verdict,
    cases: parsed.cases,
    cost: parsed.cost,
    currency: parsed.currency,
    actor: parsed.actor,
    startedAt: parsed.started_at,
    createdAt: parsed.created_at,
  };
}

/** The arguments of `insertEvaluation`. */
export function fromEvaluation(evaluation: NewEvaluation): Argument[] {
  const { baseline } = evaluation;
  return [
    evaluation.runId,
    evaluation.promptName,
    evaluation.version,
    evaluation.versionChecksum,
    evaluation.suite,
    evaluation.suiteChecksum,
    JSON.stringify(evaluation.judges),
    evaluation.model,
    evaluation.simulated,
    evaluation.rendererVersion,
    evaluation.repeats,
    evaluation.caseCount,
    evaluation.trialCount,
    evaluation.passedCount,
    evaluation.callCount,
    evaluation.lowerBound,
    evaluation.confidence,
    evaluation.score,
    evaluation.threshold,
    baseline?.version ?? null,
    baseline?.checksum ?? null,
    baseline?.difference ?? null,
    baseline?.differenceLower ?? null,
    evaluation.verdict,
    JSON.stringify(evaluation.cases),
    evaluation.cost,
    evaluation.currency,
    evaluation.actor,
    evaluation.startedAt,
  ];
}
