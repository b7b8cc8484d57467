/**
 * The published prices: the table inside genai-prices, which this file never updates: no network, one version, one answer.
 * Looking a model up is a walk through patterns, so what was found is kept.
 */
import { calcPrice, extractUsage, findProvider } from '@pydantic/genai-prices';
import type { JsonObject } from './json.ts';
import { parseMoney } from './money.ts';
import type { TokenCounts, UnitPrice, UnitPrices } from './unit-prices.ts';
import { priceKeyOf } from './unit-prices.ts';

/** The installed version; a test compares it with the package. */
export const priceSource = 'genai-prices@0.1.8';

export type PriceList = NonNullable<ReturnType<typeof findProvider>>;

/** Names of models come from providers, so there may be any number of them. */
const keptMax = 1_000;
const lists = new Map<string, PriceList | null>();
const found = new Map<string, { readonly minute: number | null; readonly prices: UnitPrices | null }>();

function keep<T>(kept: Map<string, T>, key: string, value: T): T {
  if (kept.size >= keptMax) kept.clear();
  kept.set(key, value);
  return value;
}

/** By address when it is known; else by exact name. A name that merely contains `openai` proves nothing. */
export function findPriceList(provider: string, baseUrl: string | undefined): PriceList | null {
  const key = baseUrl === undefined ? `name ${provider.toLowerCase()}` : `at ${baseUrl}`;
  const known = lists.get(key);
  if (known !== undefined) return known;
  const list = baseUrl
    ? findProvider({ providerApiUrl: baseUrl })
    : findProvider({ providerId: provider.toLowerCase() });
  const certain = list && (baseUrl || list.id === provider.toLowerCase());
  return keep(lists, key, certain ? list : null);
}

/** @returns null when the list has no such model. Prices that depend on the time change at whole minutes. */
export function findListPrices(list: PriceList, model: string, at: Date): UnitPrices | null {
  const key = `${list.id} ${model}`;
  const minute = Math.floor(at.getTime() / 60_000);
  const known = found.get(key);
  if (known && (known.minute === null || known.minute === minute)) return known.prices;
  const priced = calcPrice({}, model, { provider: list, timestamp: at });
  const conditions = priced && Array.isArray(priced.model.prices) ? priced.model.prices : [];
  // The list falls back to the makers of a model. The maker's cheap hours are not those of whoever else sells it.
  const foreignHours =
    conditions.some(({ constraint }) => constraint?.type === 'time_of_date') &&
    !list.models.some(({ id }) => id === priced?.model.id);
  const prices = priced && !foreignHours ? toUnitPrices(priced.model_price) : null;
  const timeless = conditions.length === 0;
  return keep(found, key, { minute: timeless ? null : minute, prices }).prices;
}

function toUnitPrices(modelPrice: NonNullable<ReturnType<typeof calcPrice>>['model_price']): UnitPrices {
  const prices = new Map<string, UnitPrice>();
  for (const [key, price] of Object.entries(modelPrice)) {
    const kind = key.replace(/_mtok$/, '_tokens').replace(/_kcount$/, '');
    // Pages and hours are no counts of ours.
    if (price === undefined || priceKeyOf(kind) !== key) continue;
    const stepped = typeof price === 'number' ? { base: price, tiers: [] } : price;
    prices.set(kind, {
      base: toMoney(stepped.base),
      steps: [...stepped.tiers]
        .sort((a, b) => a.start - b.start)
        .map((tier) => ({ above: tier.start, price: toMoney(tier.price) })),
    });
  }
  return prices;
}

/** The shortest text of a number is the decimal that the list states. */
function toMoney(price: number): bigint {
  const money = parseMoney(String(price));
  if (money === undefined) throw new Error(`the price list states ${price}`);
  return money;
}

/**
 * The counts of a usage object, read as the list says; without one by the wire that the members are of.
 * @returns undefined when nothing here knows that shape
 */
export function readCounts(
  list: PriceList | null,
  model: string,
  rawUsage: JsonObject,
): TokenCounts | undefined {
  const [maker, preferred] = shapeOf(rawUsage);
  const reader = list ?? findPriceList(maker, undefined);
  const flavours = reader?.extractors?.map((extractor) => extractor.api_flavor) ?? [];
  const flavour = preferred.find((one) => flavours.includes(one));
  return reader && flavour ? extractUsage(reader, { model, usage: rawUsage }, flavour).usage : undefined;
}

/**
 * A price list may read several wires (Anthropic's own endpoint speaks OpenAI's too): the members decide. OpenAI's
 * Responses and Anthropic's Messages both count `input_tokens`, the latter without the cached ones.
 */
function shapeOf(rawUsage: JsonObject): [maker: string, flavours: string[]] {
  if ('prompt_tokens' in rawUsage) return ['openai', ['chat', 'default']];
  if ('input_tokens_details' in rawUsage) return ['openai', ['responses']];
  return ['anthropic', ['anthropic', 'default']];
}
