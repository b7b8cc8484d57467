import type { Actor } from '../domain/api-key.ts';
import { type CostComparison, compareCostAmounts } from '../domain/cost-comparison.ts';
import type { CostLine } from '../domain/cost-line.ts';
import type { CostFilter, CostQuestion, CostStore } from './cost-store.ts';

export interface CostReport {
  readonly since: Date;
  readonly until: Date;
  readonly lines: readonly CostLine[];
  /** There are more lines than were asked for. */
  readonly more: boolean;
  /** Executions that settled in the last seconds and are in no sum yet. */
  readonly pending: number;
}

/** What a gateway that serves adds every few seconds, asked for at once: so much as makes nobody wait. The rest is told. */
const catchUpMax = 250;

/**
 * What executions cost, from the rollups. A key without `admin` sees its own calls only.
 * @returns one line for each group, in the order of its dimensions, at most `limit`
 */
export async function readCosts(costs: CostStore, actor: Actor, question: CostQuestion): Promise<CostReport> {
  await costs.rollUp(catchUpMax);
  const { since, until, limit } = question;
  // One more tells whether there are more.
  const asked = limit === undefined ? question : { ...question, limit: limit + 1 };
  const [lines, pending] = await Promise.all([
    costs.sum({ ...asked, ...ownOf(actor, question) }),
    costs.pending(),
  ]);
  const more = limit !== undefined && lines.length > limit;
  return { since, until, lines: lines.slice(0, limit), more, pending };
}

export interface CompareCostsRequest extends CostFilter {
  readonly promptName: string;
  readonly from: number;
  readonly to: number;
  readonly since: Date;
  readonly until: Date;
}

/** With what certainty the bounds of a change hold. */
export const comparisonConfidence = 0.95;

export interface ComparedCosts extends CostComparison {
  readonly currency: string;
}

/** Two versions of a prompt over the same period, per currency; empty when neither has a known cost. */
export async function compareCosts(
  costs: CostStore,
  actor: Actor,
  { from, to, ...question }: CompareCostsRequest,
): Promise<ComparedCosts[]> {
  await costs.rollUp(catchUpMax);
  const lines = await costs.sum({
    ...question,
    ...ownOf(actor, question),
    by: ['version'],
    latency: false,
    products: true,
  });
  const amounts = (version: number) => lines.find(({ group }) => group.version === version)?.costs ?? [];
  const currencies = [...new Set([...amounts(from), ...amounts(to)].map(({ currency }) => currency))].sort();
  return currencies.map((currency) => {
    const [before, after] = [from, to].map((version) =>
      amounts(version).find((amount) => amount.currency === currency),
    );
    return { currency, ...compareCostAmounts(before, after, comparisonConfidence) };
  });
}

function ownOf(actor: Actor, { keyId }: CostFilter): { keyId?: string } {
  if (!actor.scopes.includes('admin')) return { keyId: actor.keyId ?? '' };
  return keyId === undefined ? {} : { keyId };
}
