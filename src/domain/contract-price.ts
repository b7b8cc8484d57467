/** Prices that the configuration states for a provider's models; they come before any published list. */
import { parseMoney } from './money.ts';
import type { UnitPrice, UnitPrices } from './unit-prices.ts';

export interface ContractPrice {
  readonly provider: string;
  /** A model as the provider names it; a `*` at the end stands for any rest. */
  readonly model: string;
  /** ISO 4217. */
  readonly currency: string;
  /** Holds from this time on; null: always. */
  readonly since: Date | null;
  /** By service tier; `standard` is always there. */
  readonly tiers: ReadonlyMap<string, UnitPrices>;
  /** Names the entry by its content, e.g. `config@3f2a9c81d04e`: a price that changed is another source. */
  readonly source: string;
}

/** The entry that says most: an exact name before a pattern, a longer pattern before a shorter, a later one before an earlier. */
export function findContractPrice(
  prices: readonly ContractPrice[],
  model: string,
  at: Date,
): ContractPrice | undefined {
  const rank = ({ model: pattern }: ContractPrice) =>
    pattern.endsWith('*') ? pattern.length : Number.POSITIVE_INFINITY;
  const startOf = ({ since }: ContractPrice) => since?.getTime() ?? Number.NEGATIVE_INFINITY;
  let best: ContractPrice | undefined;
  for (const price of prices) {
    if (!matches(price.model, model) || startOf(price) > at.getTime()) continue;
    if (!best || rank(price) > rank(best) || (rank(price) === rank(best) && startOf(price) >= startOf(best)))
      best = price;
  }
  return best;
}

function matches(pattern: string, model: string): boolean {
  return pattern.endsWith('*') ? model.startsWith(pattern.slice(0, -1)) : model === pattern;
}

/** What the configuration calls a kind of token; prices are of a million, of `web_search` of a thousand. */
export const contractKinds = {
  input: 'input_tokens',
  cached_input: 'cache_read_tokens',
  cache_write: 'cache_write_tokens',
  cache_write_1h: 'cache_write_1h_tokens',
  audio_input: 'input_audio_tokens',
  cached_audio_input: 'cache_audio_read_tokens',
  output: 'output_tokens',
  reasoning: 'output_reasoning_tokens',
  audio_output: 'output_audio_tokens',
  web_search: 'web_searches',
} as const;

/** An amount, or one with the amounts that hold for the whole prompt when it has more than so many tokens. */
export type StatedPrice =
  | string
  | { readonly base: string; readonly above: Readonly<Record<string, string>> };

/** @param stated amounts that `isAmount` takes, by the names of the configuration */
export function toContractPrices(stated: Readonly<Record<string, StatedPrice>>): UnitPrices {
  const kinds: Readonly<Record<string, string>> = contractKinds;
  return new Map(Object.entries(stated).map(([name, price]) => [kinds[name] ?? name, toUnitPrice(price)]));
}

/** Up to twelve decimals, so that the cost of one token can be held exactly. */
export function isAmount(text: string): boolean {
  return /^\d{1,9}(\.\d{1,12})?$/.test(text);
}

function toUnitPrice(stated: StatedPrice): UnitPrice {
  const { base, above } = typeof stated === 'string' ? { base: stated, above: {} } : stated;
  const steps = Object.entries(above).map(([tokens, price]) => ({
    above: Number(tokens),
    price: toMoney(price),
  }));
  return { base: toMoney(base), steps: steps.sort((a, b) => a.above - b.above) };
}

function toMoney(amount: string): bigint {
  const money = parseMoney(amount);
  if (money === undefined) throw new Error(`no amount: ${amount}`);
  return money;
}
