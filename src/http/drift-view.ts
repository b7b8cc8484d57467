/** The wire form of drift: what was compared, what was found, and the command that looks closer. */
import { z } from '@hono/zod-openapi';
import type { DriftReport } from '../application/detect-drift.ts';
import type { StoredDriftFinding } from '../application/drift-store.ts';
import type { DriftCoverage } from '../domain/drift.ts';
import { driftDetectors } from '../domain/drift-signal.ts';

const subjectSchema = {
  prompt: z.string(),
  version: z.number().int(),
  purpose: z.enum(['call', 'probe']),
  simulated: z.boolean(),
  provider: z.string(),
  model: z.string().openapi({ description: 'The model that was asked for.' }),
};
const probability = z.number().min(0).max(1).nullable();

export const findingSchema = z
  .object({
    id: z.number().int(),
    run_id: z.string(),
    ...subjectSchema,
    detector: z.enum(driftDetectors),
    measure: z.string().openapi({ description: '`latency`, `response_model`, `finish_reason=length` …' }),
    before: z.string(),
    after: z.string(),
    effect: z.number(),
    p_value: probability.openapi({ description: 'Null: a fact, not a test.' }),
    corrected_p: probability.openapi({ description: 'Corrected for every test of the run.' }),
    baseline_count: z.number().int(),
    now_count: z.number().int(),
    evidence: z.object({ before: z.string().nullable(), after: z.string().nullable() }),
    look_closer: z.string().nullable().openapi({ description: 'A command.' }),
    known_since: z.iso.datetime().nullable().openapi({ description: 'Null: it is new.' }),
    created_at: z.iso.datetime(),
  })
  .openapi('DriftFinding');

const coverageSchema = z.object({
  ...subjectSchema,
  baseline_count: z.number().int(),
  now_count: z.number().int(),
  tests: z.number().int(),
  note: z.string().nullable().openapi({ description: 'Why it was not compared, or not in full.' }),
});

export const runSchema = z
  .object({
    run_id: z.string(),
    baseline_since: z.iso.datetime(),
    since: z.iso.datetime(),
    until: z.iso.datetime(),
    tests: z.number().int(),
    compared: z.array(coverageSchema),
    findings: z.array(findingSchema),
  })
  .openapi('DriftRun');

export function toRunView({ run, findings }: DriftReport): z.infer<typeof runSchema> {
  return {
    run_id: run.id,
    baseline_since: run.baselineSince.toISOString(),
    since: run.since.toISOString(),
    until: run.until.toISOString(),
    tests: run.tests,
    compared: run.compared.map((one) => ({
      ...toSubjectView(one),
      baseline_count: one.baselineCount,
      now_count: one.nowCount,
      tests: one.tests,
      note: one.note,
    })),
    findings: findings.map(toFindingView),
  };
}

export function toFindingView(finding: StoredDriftFinding): z.infer<typeof findingSchema> {
  return {
    id: finding.id,
    run_id: finding.runId,
    ...toSubjectView(finding),
    detector: finding.detector,
    measure: finding.measure,
    before: finding.before,
    after: finding.after,
    effect: finding.effect,
    p_value: finding.pValue,
    corrected_p: finding.correctedP,
    baseline_count: finding.baselineCount,
    now_count: finding.nowCount,
    evidence: { ...finding.evidence },
    look_closer: lookCloser(finding),
    known_since: finding.knownSince?.toISOString() ?? null,
    created_at: finding.createdAt.toISOString(),
  };
}

function toSubjectView(subject: Pick<DriftCoverage, keyof StoredDriftFinding & keyof DriftCoverage>) {
  const { promptName: prompt, promptVersion: version, purpose, simulated, provider, model } = subject;
  return { prompt, version, purpose, simulated, provider, model };
}

/** Measures that the row of a new execution explains; of the others an old call, asked again, shows both answers. */
const ofOneRow = /^(errors|latency|cost|cost_per_token|unit_price|prompt_tokens)$/;

function lookCloser({ measure, evidence: { before, after } }: StoredDriftFinding): string | null {
  if (before !== null && !ofOneRow.test(measure)) return `promptgate replay ${before}`;
  const shown = after ?? before;
  return shown === null ? null : `promptgate executions ${shown}`;
}

/** What a webhook is told of a run; null where it found nothing that was not known. */
export function toDriftEvent(report: DriftReport) {
  const fresh = report.findings.filter(({ knownSince }) => knownSince === null);
  if (fresh.length === 0) return null;
  const { run_id, since, until } = toRunView(report);
  const data = { run_id, since, until, findings: fresh.map(toFindingView) };
  return { id: `drift_${run_id}`, type: 'drift.found', timestamp: fresh[0]!.createdAt, data };
}
