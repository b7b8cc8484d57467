/**
 * What one answer cost. A number only when every token of it has a known unit price; otherwise NULL with the reason.
 * The prices are the table inside genai-prices, which this file never updates: no network, one version, one answer.
 */
import { calcPrice, extractUsage, findProvider } from '@pydantic/genai-prices';
import type { Price } from './execution.ts';
import type { Json, JsonObject } from './json.ts';
import type { Usage } from './usage.ts';

/** The installed version; a test compares it with the package. */
export const priceSource = 'genai-prices@0.1.8';

export interface PriceQuestion {
  /** Name of the configured provider. */
  readonly provider: string;
  /** Where that provider listens. When given, it alone decides whose price list applies. */
  readonly baseUrl?: string | undefined;
  readonly model: string;
  readonly responseModel: string | null;
  readonly usage: Usage;
  /** The usage object as the provider sent it; null when it sent none. */
  readonly rawUsage: JsonObject | null;
  readonly serviceTier: string | null;
  readonly simulated: boolean;
  /** When the call was made: prices change by date. */
  readonly at: Date;
}

type PriceList = NonNullable<ReturnType<typeof findProvider>>;
type TokenCounts = Readonly<Record<string, number | undefined>>;

/** A part of the answer's usage that one model produced. */
interface Share {
  readonly model: string;
  readonly usage: TokenCounts;
}

/** A reason why the cost is unknown; never leaves this file. No Error: behind an own base URL every answer ends here. */
class UnknownPrice {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

/**
 * @returns the cost in USD as an exact decimal string, e.g. `0.000081`, with the unit prices by model; or null with the
 * reason: simulated, no usage, an unknown model, a tier, region or kind of token that the price list does not state
 */
export function computePrice(question: PriceQuestion): Price {
  if (question.simulated) return noPrice('simulated: nothing was bought');
  if (!question.rawUsage) return noPrice('the provider reported no usage');
  try {
    return priceShares(question, question.rawUsage);
  } catch (error) {
    if (error instanceof UnknownPrice) return noPrice(error.message);
    // The library refuses contradictory counts (more cached than prompt tokens) by throwing.
    return noPrice('the reported usage contradicts itself');
  }
}

export function noPrice(reason: string): Price {
  return { cost: null, currency: 'USD', source: null, unknownReason: reason, unitPrices: null };
}

function priceShares(question: PriceQuestion, rawUsage: JsonObject): Price {
  refuseSurcharges(question, rawUsage);
  const list = findPriceList(question);
  let total = 0;
  const unitPrices: JsonObject = {};
  for (const share of sharesOf(question, rawUsage, list)) {
    const priced = calcPrice(share.usage, share.model, { provider: list, timestamp: question.at });
    if (!priced) throw new UnknownPrice(`no price is known for the model ${share.model}`);
    refuseUnpriced(share, priced.model_price);
    total += priced.total_price;
    unitPrices[share.model] = plain(priced.model_price);
  }
  return { cost: toDecimal(total), currency: 'USD', source: priceSource, unknownReason: null, unitPrices };
}

/** The list is for the standard tier, speed and region; the others cost more or less, by factors it does not state. */
function refuseSurcharges(question: PriceQuestion, rawUsage: JsonObject): void {
  const tier = question.serviceTier;
  if (tier !== null && tier !== 'default' && tier !== 'standard') {
    throw new UnknownPrice(`no price is known for the service tier ${tier}`);
  }
  if (typeof rawUsage.speed === 'string' && rawUsage.speed !== 'standard') {
    throw new UnknownPrice(`no price is known for the speed ${rawUsage.speed}`);
  }
  const region = rawUsage.inference_geo;
  if (typeof region === 'string' && region !== 'global' && region !== 'not_available') {
    throw new UnknownPrice(`no price is known for inference in the region ${region}`);
  }
}

/** By address when it is known; else by exact name. A name that merely contains `openai` proves nothing. */
function findPriceList({ provider, baseUrl }: PriceQuestion): PriceList {
  const found = baseUrl
    ? findProvider({ providerApiUrl: baseUrl })
    : findProvider({ providerId: provider.toLowerCase() });
  if (!found || (!baseUrl && found.id !== provider.toLowerCase())) {
    throw new UnknownPrice(`no price list is known for the provider ${provider}`);
  }
  return found;
}

function sharesOf(question: PriceQuestion, rawUsage: JsonObject, list: PriceList): Share[] {
  const model = question.responseModel ?? question.model;
  const { iterations } = rawUsage;
  if (!Array.isArray(iterations) || iterations.length === 0) {
    return [{ model, usage: countTokens(list, model, rawUsage, question.usage) }];
  }
  // Anthropic bills each iteration, some by another model's price; the top level does not show all of them.
  const shares = iterations.map((iteration) => {
    if (!isObject(iteration)) throw new UnknownPrice('the usage has an iteration of an unknown shape');
    const by = typeof iteration.model === 'string' ? iteration.model : model;
    return { model: by, usage: countTokens(list, by, iteration, null) };
  });
  const searches = countTokens(list, model, rawUsage, null).web_searches;
  return searches ? [...shares, { model, usage: { web_searches: searches } }] : shares;
}

function countTokens(list: PriceList, model: string, rawUsage: JsonObject, usage: Usage | null): TokenCounts {
  const flavour = extractorFlavour(list, rawUsage);
  if (flavour) return extractUsage(list, { model, usage: rawUsage }, flavour).usage;
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

/** A price list may read several wires (Anthropic's own endpoint speaks OpenAI's too): the members decide. */
function extractorFlavour(list: PriceList, rawUsage: JsonObject): string | undefined {
  const flavours = list.extractors?.map((extractor) => extractor.api_flavor) ?? [];
  return preferredFlavours(rawUsage).find((flavour) => flavours.includes(flavour));
}

/** OpenAI's Responses and Anthropic's Messages both count `input_tokens`, the latter without the cached ones. */
function preferredFlavours(rawUsage: JsonObject): string[] {
  if ('prompt_tokens' in rawUsage) return ['chat', 'default'];
  return 'input_tokens_details' in rawUsage ? ['responses'] : ['anthropic', 'default'];
}

/** Counts that are priced with their parent by design. Any other count needs a price of its own. */
const pricedWithParent = new Set([
  'input_tokens',
  'output_tokens',
  'output_reasoning_tokens',
  'cache_write_5m_tokens',
  'input_text_tokens',
  'output_text_tokens',
]);

/** The library prices a count without a price of its own as if it were plain text: a guess. */
function refuseUnpriced(share: Share, prices: object): void {
  for (const [count, value] of Object.entries(share.usage)) {
    if (!value || pricedWithParent.has(count)) continue;
    const key = count.endsWith('_tokens') ? count.replace(/_tokens$/, '_mtok') : `${count}_kcount`;
    if (!(key in prices))
      throw new UnknownPrice(`no price is known for ${count} of the model ${share.model}`);
  }
}

/** A count that some server made up must not become a sum that spoils every other. */
const absurdDollars = 1_000_000;

/** 12 decimals hold any unit price with six decimals per million tokens; double precision is exact to that up to $1,000. */
function toDecimal(dollars: number): string {
  if (dollars >= absurdDollars) throw new UnknownPrice('the reported usage is beyond any bill');
  const fixed = dollars.toFixed(12).replace(/0+$/, '');
  return fixed.endsWith('.') ? fixed.slice(0, -1) : fixed;
}

function plain(prices: object): JsonObject {
  return JSON.parse(JSON.stringify(prices)) as JsonObject;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
