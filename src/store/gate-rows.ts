/** Policies of labels, and how labels and versions stand to them, between their domain shape and their rows. */
import { z } from 'zod';
import type { GateDemands } from '../application/evaluation-store.ts';
import type { LabelPolicyChange } from '../application/registry-store.ts';
import { type LabelGate, noRequirements, type TestedVersion } from '../domain/gate.ts';
import type { LabelPolicy } from '../domain/prompt-version.ts';
import type { Argument, Row } from './query-catalog.ts';

const text = z.string().nullable();
const number = z.number().nullable();

const policySchema = z.object({
  label: z.string(),
  prompt_name: text,
  gated: z.boolean().nullable(),
  movers: z.array(z.string()).nullable(),
  suite: text,
  pass_rate_min: number,
  lower_bound_min: number,
  repeats_min: number,
  age_max_s: number,
  margin_max: number,
  simulated: z.boolean(),
  actor: z.string(),
  reason: text,
  created_at: z.date(),
});

export function toLabelPolicy(row: Row): LabelPolicy {
  const parsed = policySchema.parse(row);
  return {
    label: parsed.label,
    promptName: parsed.prompt_name,
    gated: parsed.gated,
    requirements: {
      suite: parsed.suite,
      passRateMin: parsed.pass_rate_min,
      lowerBoundMin: parsed.lower_bound_min,
      repeatsMin: parsed.repeats_min,
      ageMaxS: parsed.age_max_s,
      marginMax: parsed.margin_max,
      simulated: parsed.simulated,
    },
    movers: parsed.movers,
    actor: parsed.actor,
    reason: parsed.reason,
    createdAt: parsed.created_at,
  };
}

type PolicyState = Pick<LabelPolicy, 'gated' | 'movers' | 'requirements'>;

/** What a change leaves in force after `before`; undefined where nothing was said yet. */
export function applyPolicyChange(before: PolicyState | undefined, change: LabelPolicyChange): PolicyState {
  const none = {
    gated: change.promptName ? null : false,
    movers: null,
    requirements: noRequirements,
  };
  const { gated, movers, requirements } = before ?? none;
  return {
    gated: change.gated === undefined ? gated : change.gated,
    movers: change.movers === undefined ? movers : change.movers,
    requirements: { ...requirements, ...change.requirements },
  };
}

/** The arguments of `insertLabelPolicy`. */
export function fromLabelPolicy(policy: Omit<LabelPolicy, 'createdAt'>): Argument[] {
  const { requirements } = policy;
  return [
    policy.label,
    policy.promptName,
    policy.gated,
    policy.movers && JSON.stringify(policy.movers),
    requirements.suite,
    requirements.passRateMin,
    requirements.lowerBoundMin,
    requirements.repeatsMin,
    requirements.ageMaxS,
    requirements.marginMax,
    requirements.simulated,
    policy.actor,
    policy.reason,
  ];
}

const demandsSchema = z.object({ suite: z.string().nullable(), repeats_min: z.number().nullable() });

export function toGateDemands(row: Row): GateDemands {
  const { suite, repeats_min } = demandsSchema.parse(row);
  return { ...(suite === null ? {} : { suite }), repeatsMin: repeats_min };
}

const gateSchema = z.object({
  prompt_name: z.string(),
  label: z.string(),
  version: z.number(),
  gated: z.boolean(),
  unproven: text,
  message: text,
  command: text,
  evaluation_id: number,
  glass_broken: z.boolean(),
});

export function toLabelGate(row: Row): LabelGate {
  const { prompt_name, evaluation_id, glass_broken, ...parsed } = gateSchema.parse(row);
  return { ...parsed, promptName: prompt_name, evaluationId: evaluation_id, glassBroken: glass_broken };
}

const testedSchema = z.object({
  version: z.number(),
  tested: z.boolean(),
  untested: text,
  message: text,
  score: z.coerce.number().nullable(),
  pass_rate: number,
  lower_bound: number,
  suite: text,
  evaluation_id: number,
  evaluated_at: z.date().nullable(),
});

export function toTestedVersion(row: Row): TestedVersion {
  const { pass_rate, lower_bound, evaluation_id, evaluated_at, ...parsed } = testedSchema.parse(row);
  return {
    ...parsed,
    passRate: pass_rate,
    lowerBound: lower_bound,
    evaluationId: evaluation_id,
    evaluatedAt: evaluated_at,
  };
}

/** What `decide_deployment` answered. */
export const decisionSchema = z.object({ refusal: text, message: text, command: text });
