/** Which share of traffic and cost names a prompt, by key: the rest are raw calls, which nothing governs. */
import { formatMoney, parseMoney } from './money.ts';

/** Calls of applications with one purpose by one key and in one currency; costs are exact decimals. */
export interface TrafficCount {
  /** Null: a caller without a key, which its actor names. */
  readonly keyId: string | null;
  readonly actor: string;
  readonly purpose: 'call' | 'raw';
  readonly currency: string;
  /** Admitted, bought or not. */
  readonly calls: number;
  /** Of those, how many have no known cost. */
  readonly unknownCosts: number;
  readonly cost: string;
  readonly refused: number;
  /** Answered by the simulated provider: no traffic, and in no other number. */
  readonly simulated: number;
}

/** Costs by currency; those that are not known are counted and nowhere taken for nothing. */
export interface Traffic {
  readonly calls: number;
  readonly costs: Readonly<Record<string, string>>;
  readonly unknownCosts: number;
}

export interface Coverage {
  readonly governed: Traffic;
  readonly raw: Traffic;
  /** Raw calls that were refused: what would be let through. */
  readonly rawRefused: number;
  readonly simulated: number;
  /** Of the calls that name a prompt, 0 to 1; null where there are none. */
  readonly callShare: number | null;
  /** The same of what is known to be spent, by currency. */
  readonly costShares: Readonly<Record<string, number>>;
}

export interface KeyCoverage extends Coverage {
  readonly keyId: string | null;
  readonly actor: string;
}

/** Keys with most raw calls first: that is where the road goes on. */
export function toCoverage(counts: readonly TrafficCount[]): { total: Coverage; keys: KeyCoverage[] } {
  const byKey = Map.groupBy(counts, ({ keyId, actor }) => keyId ?? `actor ${actor}`);
  const keys = [...byKey.values()].map((own): KeyCoverage => {
    const { keyId, actor } = own[0]!;
    return { keyId, actor, ...coverageOf(own) };
  });
  keys.sort((a, b) => b.raw.calls - a.raw.calls || b.governed.calls - a.governed.calls);
  return { total: coverageOf(counts), keys };
}

function coverageOf(counts: readonly TrafficCount[]): Coverage {
  const rawCounts = counts.filter(({ purpose }) => purpose === 'raw');
  const governed = trafficOf(counts.filter(({ purpose }) => purpose === 'call'));
  const raw = trafficOf(rawCounts);
  const currencies = [...new Set([...Object.keys(governed.costs), ...Object.keys(raw.costs)])].sort();
  const costShares = currencies.flatMap((currency): [string, number][] => {
    const [named = 0, other = 0] = [governed, raw].map(({ costs }) => Number(costs[currency] ?? 0));
    return named + other > 0 ? [[currency, named / (named + other)]] : [];
  });
  const calls = governed.calls + raw.calls;
  return {
    governed,
    raw,
    rawRefused: sum(rawCounts.map(({ refused }) => refused)),
    simulated: sum(counts.map(({ simulated }) => simulated)),
    callShare: calls === 0 ? null : governed.calls / calls,
    costShares: Object.fromEntries(costShares),
  };
}

function trafficOf(counts: readonly TrafficCount[]): Traffic {
  const known = counts.filter(({ calls, unknownCosts }) => calls > unknownCosts);
  const costs = [...Map.groupBy(known, ({ currency }) => currency)].map(([currency, same]) => {
    const total = same.reduce((money, { cost }) => money + (parseMoney(cost) ?? 0n), 0n);
    return [currency, formatMoney(total)];
  });
  return {
    calls: sum(counts.map(({ calls }) => calls)),
    costs: Object.fromEntries(costs),
    unknownCosts: sum(counts.map(({ unknownCosts }) => unknownCosts)),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
