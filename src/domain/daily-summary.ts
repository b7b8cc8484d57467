/** What one day (UTC) cost, by prompt version, against the day before and the week before. */
import type { BudgetMeasure, BudgetPeriod, BudgetScope } from './budget.ts';
import type { CostLine } from './cost-line.ts';
import { formatMoney, parseMoney } from './money.ts';

/** Money of one currency on the day, and what it is compared with. */
export interface DayCost {
  readonly currency: string;
  /** Exact decimals. */
  readonly cost: string;
  readonly dayBefore: string;
  /** Over those of the seven days before on which anything ran; null: on none. */
  readonly weekMean: number | null;
  /** `0.4`: 40 % more than the day before, than the mean of the week. Null where there was nothing to compare with. */
  readonly change: number | null;
  readonly weekChange: number | null;
}

export interface DayFigures {
  readonly executions: number;
  readonly succeeded: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Executions whose cost nobody knows: they are in no sum. */
  readonly unknownCosts: number;
  readonly costs: readonly DayCost[];
}

export interface DayLine extends DayFigures {
  /** `''` and 0: a call without a prompt. */
  readonly prompt: string;
  readonly version: number;
}

/** What a budget came to in the period that the day lies in. */
export interface DayBudget {
  readonly scope: BudgetScope;
  readonly subject: string;
  readonly measure: BudgetMeasure;
  readonly period: BudgetPeriod;
  readonly currency: string;
  readonly taken: string;
  readonly refuseAt: string | null;
  readonly warnAt: string | null;
}

/** What a summary said of a whole day, to be compared with what is known later. */
export interface DayTotals {
  readonly executions: number;
  /** By currency; exact decimals. */
  readonly costs: Readonly<Record<string, string>>;
}

/** An earlier day that has more now than when it was posted: rows came late, or a cost became known. */
export interface LateDay {
  readonly day: string;
  readonly executions: number;
  readonly costs: Readonly<Record<string, string>>;
}

export interface DailySummary {
  /** `2026-11-20` */
  readonly day: string;
  readonly total: DayFigures;
  /** What ran on the day or on the day before: that it stopped is told too. Dearest first, at most `linesMax`. */
  readonly lines: readonly DayLine[];
  readonly linesLeftOut: number;
  readonly budgets: readonly DayBudget[];
  readonly late: readonly LateDay[];
  /** Executions that settled just now and are in no sum yet. */
  readonly pending: number;
}

/** A webhook is told what a person reads; everything is behind `promptgate costs`. */
export const linesMax = 100;
const dayMs = 86_400_000;
/** Days before the one that is summed up which are read. */
export const weekDays = 7;

export function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

/**
 * @param lines by day, prompt and version, of the day and the seven before it
 * @param posted what summaries said of earlier days among them
 */
export function toDailySummary(
  day: string,
  lines: readonly CostLine[],
  posted: readonly { readonly day: string; readonly totals: DayTotals }[],
  rest: Pick<DailySummary, 'budgets' | 'pending'>,
): DailySummary {
  const byVersion = Map.groupBy(lines, ({ group }) => JSON.stringify([group.prompt, group.version]));
  const all = [...byVersion.values()].flatMap((own): DayLine[] => {
    if (!own.some(({ group }) => group.day === day || group.day === dayBeforeOf(day))) return [];
    const { prompt, version } = own[0]!.group;
    return [{ prompt: String(prompt ?? ''), version: Number(version ?? 0), ...figuresOf(day, own) }];
  });
  const weight = ({ costs }: DayLine) =>
    Math.max(0, ...costs.flatMap(({ cost, dayBefore }) => [Number(cost), Number(dayBefore)]));
  all.sort((a, b) => weight(b) - weight(a) || b.executions - a.executions);
  return {
    day,
    total: figuresOf(day, lines),
    lines: all.slice(0, linesMax),
    linesLeftOut: Math.max(0, all.length - linesMax),
    late: posted.flatMap(({ day, totals }) => lateOf(day, totals, totalsOf(day, lines)) ?? []),
    ...rest,
  };
}

export function totalsOf(day: string, lines: readonly CostLine[]): DayTotals {
  const own = lines.filter(({ group }) => group.day === day);
  const costs = currenciesOf(own).map((currency) => [currency, formatMoney(moneyOf(own, currency))]);
  return { executions: sum(own, 'executions'), costs: Object.fromEntries(costs) };
}

/** The day that is over last, at a time. */
export function yesterdayOf(now: number): string {
  return dayOf(now - dayMs);
}

function dayBeforeOf(day: string): string {
  return dayOf(Date.parse(day) - dayMs);
}

function figuresOf(day: string, lines: readonly CostLine[]): DayFigures {
  const today = lines.filter(({ group }) => group.day === day);
  const before = lines.filter(({ group }) => String(group.day) < day);
  const compared = lines.filter(({ group }) => group.day === day || group.day === dayBeforeOf(day));
  return {
    executions: sum(today, 'executions'),
    succeeded: sum(today, 'succeeded'),
    promptTokens: sum(today, 'promptTokens'),
    completionTokens: sum(today, 'completionTokens'),
    unknownCosts: sum(today, 'unknownCosts'),
    costs: currenciesOf(compared).map((currency) => costOf(day, currency, today, before)),
  };
}

function costOf(
  day: string,
  currency: string,
  today: readonly CostLine[],
  before: readonly CostLine[],
): DayCost {
  const money = moneyOf(today, currency);
  const dayBefore = moneyOf(
    before.filter(({ group }) => group.day === dayBeforeOf(day)),
    currency,
  );
  const ran = new Set(before.map(({ group }) => group.day)).size;
  const cost = formatMoney(money);
  const weekMean = ran === 0 ? null : Number(formatMoney(moneyOf(before, currency))) / ran;
  const changeFrom = (base: number | null) => (base ? Number(cost) / base - 1 : null);
  return {
    currency,
    cost,
    dayBefore: formatMoney(dayBefore),
    weekMean,
    change: changeFrom(Number(formatMoney(dayBefore))),
    weekChange: changeFrom(weekMean),
  };
}

function lateOf(day: string, then: DayTotals, now: DayTotals): LateDay | null {
  const costs = Object.entries(now.costs).flatMap(([currency, cost]): [string, string][] => {
    const more = (parseMoney(cost) ?? 0n) - (parseMoney(then.costs[currency] ?? '0') ?? 0n);
    return more > 0n ? [[currency, formatMoney(more)]] : [];
  });
  const executions = now.executions - then.executions;
  return executions <= 0 && costs.length === 0 ? null : { day, executions, costs: Object.fromEntries(costs) };
}

function currenciesOf(lines: readonly CostLine[]): string[] {
  return [...new Set(lines.flatMap(({ costs }) => costs.map(({ currency }) => currency)))].sort();
}

function moneyOf(lines: readonly CostLine[], currency: string): bigint {
  return lines
    .flatMap(({ costs }) => costs)
    .filter((amount) => amount.currency === currency)
    .reduce((money, { cost }) => money + (parseMoney(cost) ?? 0n), 0n);
}

function sum(
  lines: readonly CostLine[],
  name: 'executions' | 'succeeded' | 'promptTokens' | 'completionTokens' | 'unknownCosts',
): number {
  return lines.reduce((total, line) => total + line[name], 0);
}
