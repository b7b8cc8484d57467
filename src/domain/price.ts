/**
 * What one execution cost. A number only when every token of it has a known unit price; otherwise NULL with the reason.
 * Contract prices come first, then the published list; sums are exact decimals.
 */
import { type ContractPrice, findContractPrice } from './contract-price.ts';
import type { Price } from './execution.ts';
import { isObject, type Json, type JsonObject } from './json.ts';
import { formatMoney, parseMoney } from './money.ts';
import { findListPrices, findPriceList, type PriceList, priceSource, readCounts } from './price-list.ts';
import { priceCounts, type TokenCounts, type UnitPrices, UnknownPrice } from './unit-prices.ts';
import { noUsage, tokensMax, type Usage } from './usage.ts';

/** What a provider reported of one request, be it an answer or a failure that it billed. */
export interface Bill {
  /** The model that answered; null when it did not say. */
  readonly responseModel: string | null;
  readonly usage: Usage;
  /** The usage object as the provider sent it; null when it sent none. */
  readonly rawUsage: JsonObject | null;
  readonly serviceTier: string | null;
}

export interface PriceQuestion {
  /** Name of the configured provider. */
  readonly provider: string;
  /** Where that provider listens. When given, it alone decides whose price list applies. */
  readonly baseUrl?: string | undefined;
  /** Contract prices of that provider. */
  readonly prices?: readonly ContractPrice[] | undefined;
  /** The model that was asked for. */
  readonly model: string;
  /** One for each request that the provider reported a usage of; the answer's last. */
  readonly bills: readonly Bill[];
  readonly simulated: boolean;
  /** When the call was made: prices change by date. */
  readonly at: Date;
}

/** A part of a bill that one model produced. */
interface Share {
  readonly model: string;
  readonly counts: TokenCounts;
}

interface Priced {
  readonly model: string;
  readonly cost: bigint;
  readonly currency: string;
  readonly source: string;
  readonly unitPrices: JsonObject;
}

/**
 * @returns the cost as an exact decimal string, e.g. `0.000081`, with the unit prices by model; or null with the reason:
 * simulated, no usage, an unknown model, a tier, region or kind of token that no price is stated for
 */
export function computePrice(question: PriceQuestion): Price {
  if (question.simulated) return noPrice('simulated: nothing was bought');
  const bills = question.bills.filter(({ rawUsage }) => rawUsage !== null);
  if (bills.length === 0) return noPrice('the provider reported no usage');
  const list = findPriceList(question.provider, question.baseUrl);
  // Behind an own base URL every answer ends here: nothing is counted that nothing can price.
  if (!list && !question.prices?.length) return unpriced(question, bills, noListOf(question));
  try {
    return sum(bills.flatMap((bill) => priceBill(question, list, bill, bill.rawUsage!)));
  } catch (error) {
    // The reader of usage refuses counts that are no numbers by throwing.
    const reason = error instanceof UnknownPrice ? error.message : 'the reported usage contradicts itself';
    return unpriced(question, bills, reason);
  }
}

function noListOf({ provider }: PriceQuestion): string {
  return `no price list is known for the provider ${provider}`;
}

function unpriced({ model }: PriceQuestion, bills: readonly Bill[], reason: string): Price {
  const billed = bills.map(({ responseModel, serviceTier, rawUsage }) => ({
    model: responseModel ?? model,
    tier: serviceTier,
    usage: rawUsage,
  }));
  return { ...noPrice(reason), billed: bounded(billed) };
}

/** What `Price.billed` keeps, as bills again. */
export function readBilled(billed: Json): Bill[] {
  const parts = Array.isArray(billed) ? billed.filter(isObject) : [];
  return parts.map(({ model, tier, usage }) => ({
    responseModel: typeof model === 'string' ? model : null,
    usage: noUsage,
    rawUsage: isObject(usage) ? usage : null,
    serviceTier: typeof tier === 'string' ? tier : null,
  }));
}

export function noPrice(reason: string): Price {
  return { cost: null, currency: 'USD', source: null, unknownReason: reason, unitPrices: null, billed: null };
}

/** Kept for a later calculation; what some server made up is not kept at any length. */
function bounded(billed: Json): Json {
  return JSON.stringify(billed).length > 8_192 ? null : billed;
}

/** A count that some server made up must not become a sum that spoils every other. */
const absurd = parseMoney('1000000')!;

function sum(parts: readonly Priced[]): Price {
  const [first] = parts;
  if (!first) throw new UnknownPrice('the usage has no parts');
  if (parts.some(({ currency }) => currency !== first.currency)) {
    throw new UnknownPrice('its parts are priced in different currencies');
  }
  const total = parts.reduce((total, { cost }) => total + cost, 0n);
  if (total >= absurd) throw new UnknownPrice('the reported usage is beyond any bill');
  return {
    cost: formatMoney(total),
    currency: first.currency,
    source: [...new Set(parts.map(({ source }) => source))].join(', '),
    unknownReason: null,
    unitPrices: merge(parts),
    billed: null,
  };
}

/** By model. Where one model has two sets of prices, as for a long prompt and a short one, both stay. */
function merge(parts: readonly Priced[]): JsonObject {
  const merged: Record<string, Json> = {};
  for (const { model, unitPrices } of parts) {
    let name = model;
    for (let n = 2; name in merged && JSON.stringify(merged[name]) !== JSON.stringify(unitPrices); n++)
      name = `${model} (${n})`;
    merged[name] = unitPrices;
  }
  return merged;
}

function priceBill(
  question: PriceQuestion,
  list: PriceList | null,
  bill: Bill,
  rawUsage: JsonObject,
): Priced[] {
  refuseSurcharges(rawUsage);
  const answering = bill.responseModel ?? question.model;
  return sharesOf(answering, bill, rawUsage, list).map(({ model, counts }) => {
    // A dated answer (gpt-4o-2024-08-06) to a contract about the name that was asked for is under that contract.
    const names = model === answering ? [model, question.model] : [model];
    const { prices, source, currency, note } = pricesOf(question, names, bill.serviceTier, list);
    const { cost, unitPrices } = priceCounts(model, counts, prices);
    return { model, cost, currency, source, unitPrices: { ...unitPrices, ...note } };
  });
}

/** Prices are for the standard speed and region; the others cost more, by factors that nobody states here. */
function refuseSurcharges(rawUsage: JsonObject): void {
  if (typeof rawUsage.speed === 'string' && rawUsage.speed !== 'standard') {
    throw new UnknownPrice(`no price is known for the speed ${rawUsage.speed}`);
  }
  const region = rawUsage.inference_geo;
  if (typeof region === 'string' && region !== 'global' && region !== 'not_available') {
    throw new UnknownPrice(`no price is known for inference in the region ${region}`);
  }
}

interface Found {
  readonly prices: UnitPrices;
  readonly source: string;
  readonly currency: string;
  /** What was done to the prices of the source. */
  readonly note: JsonObject;
}

function pricesOf(
  question: PriceQuestion,
  names: readonly string[],
  serviceTier: string | null,
  list: PriceList | null,
): Found {
  const tier = serviceTier === null || serviceTier === 'default' ? 'standard' : serviceTier;
  const { prices = [], at } = question;
  const contract = names.map((name) => findContractPrice(prices, name, at)).find((price) => price);
  if (contract) {
    const stated = contract.tiers.get(tier);
    if (!stated) throw new UnknownPrice(`the contract prices state none for the service tier ${tier}`);
    return { prices: stated, source: contract.source, currency: contract.currency, note: {} };
  }
  if (!list) throw new UnknownPrice(noListOf(question));
  const published = findListPrices(list, names[0]!, at);
  if (!published) throw new UnknownPrice(`no price is known for the model ${names[0]}`);
  const found = { source: priceSource, currency: 'USD' };
  if (tier === 'standard') return { ...found, prices: published, note: {} };
  if (!halfPriced[list.id]?.includes(tier)) {
    throw new UnknownPrice(`no price is known for the service tier ${tier}`);
  }
  return { ...found, prices: halve(published), note: { service_tier: `${tier}: half of the list` } };
}

/**
 * Tiers that cost half by the provider's own rule, of all tokens of every model that takes them. The list states none. A
 * premium tier has a price of its own for each model, so it is unknown until the configuration states it.
 */
const halfPriced: Readonly<Record<string, readonly string[]>> = {
  openai: ['flex', 'batch'],
  anthropic: ['batch'],
};

/** The rule is about tokens: a web search costs the same. */
function halve(prices: UnitPrices): UnitPrices {
  return new Map(
    [...prices].map(([kind, { base, steps }]) => [
      kind,
      kind.endsWith('_tokens')
        ? { base: base / 2n, steps: steps.map(({ above, price }) => ({ above, price: price / 2n })) }
        : { base, steps },
    ]),
  );
}

function sharesOf(model: string, bill: Bill, rawUsage: JsonObject, list: PriceList | null): Share[] {
  const { iterations } = rawUsage;
  if (!Array.isArray(iterations) || iterations.length === 0) {
    return [{ model, counts: countTokens(list, model, rawUsage, bill.usage) }];
  }
  // Anthropic bills each iteration, some by another model's price; the top level does not show all of them.
  const shares = iterations.map((iteration) => {
    if (!isObject(iteration)) throw new UnknownPrice('the usage has an iteration of an unknown shape');
    const by = typeof iteration.model === 'string' ? iteration.model : model;
    return { model: by, counts: countTokens(list, by, iteration, null) };
  });
  const searches = countTokens(list, model, rawUsage, null).web_searches;
  return searches ? [...shares, { model, counts: { web_searches: searches } }] : shares;
}

function countTokens(
  list: PriceList | null,
  model: string,
  rawUsage: JsonObject,
  usage: Usage | null,
): TokenCounts {
  const read = readCounts(list, model, rawUsage);
  if (read) {
    const isCount = Object.values(read).every((count) => count === undefined || count <= tokensMax);
    if (!isCount) throw new UnknownPrice('the reported usage is beyond any bill');
    return read;
  }
  if (usage?.promptTokens == null || usage.completionTokens == null) {
    throw new UnknownPrice('the reported usage has no token counts');
  }
  return {
    input_tokens: usage.promptTokens,
    output_tokens: usage.completionTokens,
    ...(usage.cachedTokens === null ? {} : { cache_read_tokens: usage.cachedTokens }),
    ...(usage.cacheWriteTokens === null ? {} : { cache_write_tokens: usage.cacheWriteTokens }),
  };
}
