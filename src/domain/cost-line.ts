/** What one group of executions cost. */
export const costDimensions = [
  'day',
  'prompt',
  'version',
  'label',
  'model',
  'key',
  'purpose',
  'status',
] as const;
export type CostDimension = (typeof costDimensions)[number];

/** Money of one currency. Amounts are exact decimals. */
export interface CostAmount {
  readonly currency: string;
  readonly cost: string;
  /** The part of it that became known after the calls had settled: late outcomes and back-fills. */
  readonly laterCost: string;
  /** Executions with known cost and prompt tokens; what follows is over those. */
  readonly priced: number;
  readonly promptTokens: number;
  /** Σ cost², Σ cost × prompt tokens, Σ prompt tokens². */
  readonly costSquares: string;
  readonly costPromptTokens: string;
  readonly promptTokensSquares: string;
}

export interface CostLine {
  /** Null where it was not asked to group by. `''`, and 0 for a version: none. */
  readonly group: Readonly<Record<CostDimension, string | number | null>>;
  readonly executions: number;
  readonly succeeded: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
  readonly cacheWriteTokens: number;
  readonly reasoningTokens: number;
  readonly attempts: number;
  /** Calls that reached a provider and whose cost nobody knows. */
  readonly unknownCosts: number;
  /** Calls whose cost became known after they had settled. */
  readonly laterCosts: number;
  /** Of the calls that reached a provider. Null unless they were asked for. */
  readonly meanLatencyMs: number | null;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  /** One per currency: amounts are never converted. */
  readonly costs: readonly CostAmount[];
}
