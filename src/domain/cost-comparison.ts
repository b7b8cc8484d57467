/**
 * Whether one version costs more than another, and how sure that is: by the execution, as it is paid, and for a thousand
 * prompt tokens, because versions meet different inputs: money over tokens, of all executions together. The tokens are those
 * that the provider counts, so a version's own template is among them.
 *
 * The error of that ratio comes from sums of products that the rollups hold (the delta method), so no execution is read.
 * The relative change is judged on the scale of logarithms by Welch's t-test; jstat has Student's distribution.
 */
import jstat from 'jstat';
import type { CostAmount } from './cost-line.ts';

/** Executions of one version whose cost and prompt tokens are known. */
export interface CostRate {
  readonly executions: number;
  readonly cost: string;
  readonly promptTokens: number;
  /** Null of nothing. */
  readonly perExecution: number | null;
  readonly perThousandPromptTokens: number | null;
  readonly promptTokensPerExecution: number | null;
}

export interface CostChange {
  /** `0.4`: 40 % more. */
  readonly change: number;
  /** With the confidence asked for, the change is between these. Null where there are too few executions to say. */
  readonly lower: number | null;
  readonly upper: number | null;
  /** How likely so great a difference is when there is none. */
  readonly pValue: number | null;
}

export interface CostComparison {
  readonly from: CostRate;
  readonly to: CostRate;
  /** Null where one side has nothing to compare. */
  readonly perExecution: CostChange | null;
  readonly perThousandPromptTokens: CostChange | null;
}

/** A mean or a ratio, and the variance of its estimate relative to its square. */
interface Estimate {
  readonly value: number;
  readonly relativeVariance: number;
  readonly count: number;
}

/** @param confidence of the bounds, e.g. 0.95. Both amounts are of one currency. */
export function compareCostAmounts(
  from: CostAmount | undefined,
  to: CostAmount | undefined,
  confidence: number,
): CostComparison {
  const change = (estimate: (amount: CostAmount) => Estimate | null) => {
    const before = from && estimate(from);
    const after = to && estimate(to);
    return before && after ? changeOf(before, after, confidence) : null;
  };
  return {
    from: toRate(from),
    to: toRate(to),
    perExecution: change(meanOf),
    perThousandPromptTokens: change(ratioOf),
  };
}

function toRate(amount: CostAmount | undefined): CostRate {
  const { priced = 0, promptTokens = 0, cost = '0' } = amount ?? {};
  const over = (divisor: number, factor = 1) => (divisor === 0 ? null : (Number(cost) * factor) / divisor);
  return {
    executions: priced,
    cost,
    promptTokens,
    perExecution: over(priced),
    perThousandPromptTokens: over(promptTokens, 1_000),
    promptTokensPerExecution: priced === 0 ? null : promptTokens / priced,
  };
}

function meanOf({ priced, cost, costSquares }: CostAmount): Estimate | null {
  const total = Number(cost);
  if (priced === 0 || total === 0) return null;
  const mean = total / priced;
  const squares = Number(costSquares) - priced * mean * mean;
  return { value: mean, count: priced, relativeVariance: spread(squares, priced) / mean ** 2 };
}

/** Residuals are what an execution cost beyond the ratio times its prompt tokens. */
function ratioOf(amount: CostAmount): Estimate | null {
  const { priced, promptTokens } = amount;
  const total = Number(amount.cost);
  if (priced === 0 || total === 0 || promptTokens === 0) return null;
  const ratio = total / promptTokens;
  const squares =
    Number(amount.costSquares) -
    2 * ratio * Number(amount.costPromptTokens) +
    ratio * ratio * Number(amount.promptTokensSquares);
  const meanCost = total / priced;
  return { value: ratio, count: priced, relativeVariance: spread(squares, priced) / meanCost ** 2 };
}

/** Variance of a mean, from a sum of squared deviations; differences of large sums may come out below nothing. */
function spread(squares: number, count: number): number {
  return count < 2 ? Number.NaN : Math.max(0, squares) / (count - 1) / count;
}

function changeOf(before: Estimate, after: Estimate, confidence: number): CostChange {
  const ratio = after.value / before.value;
  const [a, b] = [before.relativeVariance, after.relativeVariance];
  if (Number.isNaN(a) || Number.isNaN(b))
    return { change: ratio - 1, lower: null, upper: null, pValue: null };
  const error = Math.sqrt(a + b);
  if (error === 0)
    return { change: ratio - 1, lower: ratio - 1, upper: ratio - 1, pValue: ratio === 1 ? 1 : 0 };
  const freedom = (a + b) ** 2 / (a ** 2 / (before.count - 1) + b ** 2 / (after.count - 1));
  const reach = jstat.jStat.studentt.inv((1 + confidence) / 2, freedom) * error;
  return {
    change: ratio - 1,
    lower: ratio * Math.exp(-reach) - 1,
    upper: ratio * Math.exp(reach) - 1,
    pValue: 2 * jstat.jStat.studentt.cdf(-Math.abs(Math.log(ratio)) / error, freedom),
  };
}
