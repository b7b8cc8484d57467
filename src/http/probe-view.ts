/** The wire form of probes: what is in force, what a run came to, and what a webhook is told. */
import { z } from '@hono/zod-openapi';
import type { ProbeOutcome, ProbeRun, ProbeState } from '../application/probe-store.ts';
import type { ProbeReport } from '../application/run-probe.ts';
import { probeSchema, toProbeView } from './suite-view.ts';

const outcomeSchema = z.object({
  outcome: z
    .enum(['passed', 'failed', 'insufficient'])
    .openapi({ description: '`insufficient`: no answers, a spent budget, too few cases; nothing follows.' }),
  reasons: z.array(z.string()),
  failures: z.array(z.object({ case: z.string(), execution: z.string().nullable() })),
  case_count: z.number().int(),
  trial_count: z.number().int(),
  passed_count: z.number().int(),
  call_count: z.number().int(),
  simulated: z.boolean(),
  cost: z.string().nullable(),
  currency: z.string().nullable(),
  rollback: z
    .object({ deployment_id: z.number().int().nullable(), refusal: z.string().nullable() })
    .nullable()
    .openapi({ description: 'Null: the label was not to be rolled back. A refusal says why it stays.' }),
});

export const probeRunSchema = z
  .object({
    run_id: z.string(),
    prompt: z.string(),
    suite: z.string(),
    label: z.string(),
    version: z.number().int(),
    due_at: z.iso.datetime().nullable().openapi({ description: 'Null: somebody asked for it.' }),
    actor: z.string(),
    created_at: z.iso.datetime(),
    outcome: outcomeSchema.nullable().openapi({ description: 'Null: it has not ended.' }),
  })
  .openapi('ProbeRun');

export const probeStateSchema = z
  .object({
    prompt: z.string(),
    suite: z.string(),
    ...probeSchema.shape,
    last_run: probeRunSchema.nullable(),
  })
  .openapi('ProbeState');

export type ProbeRunView = z.infer<typeof probeRunSchema>;
export type ProbeStateView = z.infer<typeof probeStateSchema>;

export function toProbeStateView({ probe, last }: ProbeState): ProbeStateView {
  return {
    prompt: probe.promptName,
    suite: probe.suite,
    ...toProbeView(probe),
    last_run: last && toProbeRunView(last),
  };
}

export function toProbeRunView(report: { run: ProbeRun; outcome: ProbeOutcome | null }): ProbeRunView {
  const { run, outcome } = report;
  return {
    run_id: run.runId,
    prompt: run.promptName,
    suite: run.suite,
    label: run.label,
    version: run.version,
    due_at: run.dueAt?.toISOString() ?? null,
    actor: run.actor,
    created_at: run.createdAt.toISOString(),
    outcome: outcome && toOutcomeView(outcome),
  };
}

function toOutcomeView({ rollback, ...outcome }: ProbeOutcome): z.infer<typeof outcomeSchema> {
  return {
    outcome: outcome.outcome,
    reasons: [...outcome.reasons],
    failures: outcome.failures.map((one) => ({ ...one })),
    case_count: outcome.caseCount,
    trial_count: outcome.trialCount,
    passed_count: outcome.passedCount,
    call_count: outcome.callCount,
    simulated: outcome.simulated,
    cost: outcome.cost,
    currency: outcome.currency,
    rollback: rollback && {
      deployment_id: 'deploymentId' in rollback ? rollback.deploymentId : null,
      refusal: 'refusal' in rollback ? rollback.refusal : null,
    },
  };
}

/** What a webhook is told; null where nothing failed. */
export function toProbeEvent(report: ProbeReport) {
  if (report.outcome.outcome !== 'failed') return null;
  const data = toProbeRunView(report);
  return { id: `probe_${data.run_id}`, type: 'probe.failed', timestamp: new Date(), data };
}
