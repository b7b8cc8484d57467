/** The wire form of gates: what a label asks for, and how labels and versions stand to it. */
import { z } from '@hono/zod-openapi';
import type { GateRequirements, LabelGate, TestedVersion } from '../domain/gate.ts';
import type { LabelPolicy } from '../domain/prompt-version.ts';
import { maxRepeats } from '../domain/suite-keys.ts';

const text = z.string().nullable();
const rate = z.number().min(0).max(1).nullable();

export const requirementsSchema = z
  .strictObject({
    suite: z
      .string()
      .min(1)
      .max(100)
      .nullable()
      .openapi({ description: "Null: the prompt's `default` suite, else its only one." }),
    pass_rate_min: rate,
    lower_bound_min: rate.openapi({ description: 'Of the pass rate, at the confidence of the run.' }),
    repeats_min: z.number().int().min(1).max(maxRepeats).nullable(),
    age_max_s: z
      .number()
      .int()
      .min(1)
      .max(10 * 366 * 86_400)
      .nullable(),
    margin_max: rate.openapi({
      description: 'By how much it may be worse than the version that the label holds, in pass rate.',
    }),
    simulated: z.boolean().openapi({ description: 'Answers of the simulated provider count.' }),
  })
  .openapi('GateRequirements');

export function toRequirementsView(requirements: GateRequirements): z.infer<typeof requirementsSchema> {
  return {
    suite: requirements.suite,
    pass_rate_min: requirements.passRateMin,
    lower_bound_min: requirements.lowerBoundMin,
    repeats_min: requirements.repeatsMin,
    age_max_s: requirements.ageMaxS,
    margin_max: requirements.marginMax,
    simulated: requirements.simulated,
  };
}

type Partly<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** What was left out stays left out: null means not to ask for it any more. */
export function fromRequirementsView(
  view: Partly<z.infer<typeof requirementsSchema>>,
): Partial<GateRequirements> {
  return {
    ...(view.suite === undefined ? {} : { suite: view.suite }),
    ...(view.pass_rate_min === undefined ? {} : { passRateMin: view.pass_rate_min }),
    ...(view.lower_bound_min === undefined ? {} : { lowerBoundMin: view.lower_bound_min }),
    ...(view.repeats_min === undefined ? {} : { repeatsMin: view.repeats_min }),
    ...(view.age_max_s === undefined ? {} : { ageMaxS: view.age_max_s }),
    ...(view.margin_max === undefined ? {} : { marginMax: view.margin_max }),
    ...(view.simulated === undefined ? {} : { simulated: view.simulated }),
  };
}

export const policySchema = z
  .object({
    label: z.string(),
    prompt: text.openapi({ description: 'Null: every prompt that has no policy of its own.' }),
    gated: z.boolean().nullable().openapi({ description: 'Null: as the label of every prompt.' }),
    requirements: requirementsSchema,
    movers: z.array(z.string()).nullable(),
    actor: z.string(),
    reason: text,
    created_at: z.iso.datetime(),
  })
  .openapi('LabelPolicy');

export function toPolicyView(policy: LabelPolicy): z.infer<typeof policySchema> {
  return {
    label: policy.label,
    prompt: policy.promptName,
    gated: policy.gated,
    requirements: toRequirementsView(policy.requirements),
    movers: policy.movers && [...policy.movers],
    actor: policy.actor,
    reason: policy.reason,
    created_at: policy.createdAt.toISOString(),
  };
}

export const labelGateSchema = z
  .object({
    prompt: z.string(),
    label: z.string(),
    version: z.number().int(),
    gated: z.boolean(),
    unproven: text.openapi({
      description: 'Why what it holds would not be let in again, e.g. `stale_suite`; null: it would.',
    }),
    message: text,
    command: text.openapi({ description: 'What supplies it.' }),
    evaluation_id: z.number().int().nullable(),
    glass_broken: z
      .boolean()
      .openapi({ description: 'It came past the gate, and that version has not passed since.' }),
  })
  .openapi('LabelGate');

export type LabelGateView = z.infer<typeof labelGateSchema>;

export function toLabelGateView(gate: LabelGate): LabelGateView {
  const { promptName, evaluationId, glassBroken, ...rest } = gate;
  return { prompt: promptName, ...rest, evaluation_id: evaluationId, glass_broken: glassBroken };
}

export const testedSchema = z
  .object({
    tested: z.boolean(),
    untested: text.openapi({ description: 'Why not, e.g. `not_evaluated`.' }),
    message: text,
    score: z.number().nullable(),
    pass_rate: z.number().nullable(),
    lower_bound: z.number().nullable(),
    suite: text,
    evaluation_id: z.number().int().nullable(),
    evaluated_at: z.iso.datetime().nullable(),
  })
  .openapi('TestedVersion');

export function toTestedView(version: TestedVersion): z.infer<typeof testedSchema> {
  return {
    tested: version.tested,
    untested: version.untested,
    message: version.message,
    score: version.score,
    pass_rate: version.passRate,
    lower_bound: version.lowerBound,
    suite: version.suite,
    evaluation_id: version.evaluationId,
    evaluated_at: version.evaluatedAt?.toISOString() ?? null,
  };
}
