/**
 * What kinds of tokens there are, which of them are part of which, and what a count of each costs. Names of counts are
 * those of genai-prices.
 */
import type { JsonObject } from './json.ts';
import { formatMoney } from './money.ts';

/** How many of each kind one model was asked for or gave. A kind contains the kinds that are part of it. */
export type TokenCounts = Readonly<Record<string, number | undefined>>;

/** The price of one kind: of a million tokens, or of a thousand of what is no token. */
export interface UnitPrice {
  readonly base: bigint;
  /** From the lowest: `price` holds for the whole prompt when it has more than `above` tokens. */
  readonly steps: readonly { readonly above: number; readonly price: bigint }[];
}

/** By kind. */
export type UnitPrices = ReadonlyMap<string, UnitPrice>;

/** A reason why the cost is unknown. No Error: nobody wants its stack. */
export class UnknownPrice {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

/** Each kind with everything that it is part of. */
const partOf: Readonly<Record<string, readonly string[]>> = {
  input_tokens: [],
  cache_read_tokens: ['input_tokens'],
  cache_write_tokens: ['input_tokens'],
  cache_write_5m_tokens: ['cache_write_tokens', 'input_tokens'],
  cache_write_1h_tokens: ['cache_write_tokens', 'input_tokens'],
  input_text_tokens: ['input_tokens'],
  input_audio_tokens: ['input_tokens'],
  cache_audio_read_tokens: ['input_audio_tokens', 'cache_read_tokens', 'input_tokens'],
  input_image_tokens: ['input_tokens'],
  cache_image_read_tokens: ['input_image_tokens', 'cache_read_tokens', 'input_tokens'],
  output_tokens: [],
  output_text_tokens: ['output_tokens'],
  output_image_tokens: ['output_tokens'],
  output_reasoning_tokens: ['output_tokens'],
  output_audio_tokens: ['output_tokens'],
  web_searches: [],
};

/** Kinds that cost what their parent costs unless a price of their own is stated. Any other needs its own. */
const pricedWithParent = new Set([
  'cache_write_5m_tokens',
  'input_text_tokens',
  'output_text_tokens',
  'output_reasoning_tokens',
]);

const contradiction = 'the reported usage contradicts itself';

/** `input_mtok` for a kind of token, `web_searches_kcount` for what is none: genai-prices' names. */
export function priceKeyOf(kind: string): string {
  return kind.endsWith('_tokens') ? kind.replace(/_tokens$/, '_mtok') : `${kind}_kcount`;
}

/**
 * @returns the exact sum, and the unit prices by key that hold for a prompt of this length
 * @throws UnknownPrice — a kind without a price, or counts that cannot be
 */
export function priceCounts(
  model: string,
  counts: TokenCounts,
  prices: UnitPrices,
): { cost: bigint; unitPrices: JsonObject } {
  refuseImpossible(counts);
  refuseUnpriced(model, counts, prices);
  const kinds = [...prices.keys()]
    .filter((kind) => kind in partOf)
    .sort((a, b) => partOf[b]!.length - partOf[a]!.length);
  const own = new Map<string, number>();
  const unitPrices: Record<string, string> = {};
  let cost = 0n;
  for (const kind of kinds) {
    const parts = kinds.filter((other) => partOf[other]?.includes(kind));
    const count = (counts[kind] ?? 0) - parts.reduce((sum, part) => sum + (own.get(part) ?? 0), 0);
    if (count < 0) throw new UnknownPrice(contradiction);
    own.set(kind, count);
    const price = priceAt(prices.get(kind)!, counts.input_tokens ?? 0);
    unitPrices[priceKeyOf(kind)] = formatMoney(price);
    cost += (BigInt(count) * price) / (kind.endsWith('_tokens') ? 1_000_000n : 1_000n);
  }
  return { cost, unitPrices };
}

function priceAt({ base, steps }: UnitPrice, promptTokens: number): bigint {
  return steps.findLast(({ above }) => promptTokens > above)?.price ?? base;
}

function refuseImpossible(counts: TokenCounts): void {
  for (const [kind, count] of Object.entries(counts)) {
    if (!count) continue;
    if (!Number.isSafeInteger(count) || count < 0) throw new UnknownPrice(contradiction);
    for (const whole of partOf[kind] ?? []) {
      if ((counts[whole] ?? 0) < count) throw new UnknownPrice(contradiction);
    }
  }
}

/** A kind without a price of its own priced as plain text would be a guess. */
function refuseUnpriced(model: string, counts: TokenCounts, prices: UnitPrices): void {
  for (const [kind, count] of Object.entries(counts)) {
    if (!count || (prices.has(kind) && kind in partOf)) continue;
    const parent = partOf[kind]?.[0];
    if (pricedWithParent.has(kind) && parent !== undefined && prices.has(parent)) continue;
    throw new UnknownPrice(`no price is known for ${kind} of the model ${model}`);
  }
  const mixed = counts.cache_read_tokens && counts.input_audio_tokens;
  if (mixed && counts.cache_audio_read_tokens === undefined) {
    throw new UnknownPrice('the reported usage does not say how much of the cached prompt is audio');
  }
}
