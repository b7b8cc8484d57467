/**
 * Tokens of one provider answer, normalised across providers.
 * `promptTokens` includes cached reads and cache writes (OpenAI's sense; Anthropic's three counts are summed).
 * `completionTokens` includes reasoning. A count the provider did not report is null, never 0.
 */
export interface Usage {
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
  readonly cachedTokens: number | null;
  readonly cacheWriteTokens: number | null;
  readonly reasoningTokens: number | null;
}

/**
 * More than any answer takes: a count beyond it is none, and unknown. Sums of such counts would leave the range of the
 * columns that hold them, and one row stop the sums of all.
 */
export const tokensMax = 1_000_000_000;

export const noUsage: Usage = {
  promptTokens: null,
  completionTokens: null,
  cachedTokens: null,
  cacheWriteTokens: null,
  reasoningTokens: null,
};

/** Counts of several requests together; null where none of them reported one. */
export function sumUsage(usages: readonly Usage[]): Usage {
  const sum = (name: keyof Usage) => {
    const counts = usages.map((usage) => usage[name]).filter((count) => count !== null);
    return counts.length === 0 ? null : counts.reduce((total, count) => total + count, 0);
  };
  return {
    promptTokens: sum('promptTokens'),
    completionTokens: sum('completionTokens'),
    cachedTokens: sum('cachedTokens'),
    cacheWriteTokens: sum('cacheWriteTokens'),
    reasoningTokens: sum('reasoningTokens'),
  };
}
