/**
 * The cost cap of a run. A call starts only when the most that it can cost still fits beside what is spent and what is
 * on its way, so the cap holds whatever the answers cost.
 */
import type { Definition } from '../domain/definition.ts';
import type { Execution } from '../domain/execution.ts';
import type { RenderedMessage } from '../domain/message.ts';
import { formatMoney, parseMoney } from '../domain/money.ts';
import { computePrice } from '../domain/price.ts';
import { noUsage } from '../domain/usage.ts';
import type { ModelRoute } from './provider.ts';

/** Why nothing more may be called. */
export type BudgetStop = 'budget' | 'cost_unknown';

type Spending = Pick<Execution, 'price' | 'simulated' | 'attempts' | 'status'>;

/** Room for one call. `settle` gives back what it did not take; whoever cannot say what it cost keeps all of it. */
export interface Reservation {
  settle(spent: Spending | undefined): void;
}

export interface RunBudget {
  /** Waits while others may still give back what is missing. */
  reserve(most: bigint | null): Promise<Reservation | BudgetStop>;
  /** What an earlier part of the run has spent; `most` where a call does not say what it cost. */
  add(execution: Spending, most: bigint | null): void;
  /** Sum of all that is known, as a decimal; null when some call's cost is not known. */
  total(): { readonly cost: string | null; readonly known: string; readonly currency: string };
}

/** @param limit decimal text, in the currency of the calls; null: no cap */
export function createRunBudget(limit: string | null): RunBudget {
  const cap = limit === null ? null : (parseMoney(limit) ?? 0n);
  let spent = 0n;
  let reserved = 0n;
  let onTheirWay = 0;
  let currency: string | undefined;
  let allKnown = true;
  /** The dearest call so far: what the next one is taken to cost where no bound can be worked out. */
  let dearest: bigint | undefined;
  let waiting: (() => void)[] = [];

  /** @returns the cost; 0 where nothing was bought, undefined where it is not known */
  function costOf({ price, simulated, attempts, status }: Spending): bigint | undefined {
    if (simulated) return 0n;
    // What became of it is not known: neither is whether it was bought.
    if (status === 'unknown') return undefined;
    if (attempts.length === 0) return 0n;
    const cost = price.cost === null ? undefined : parseMoney(price.cost);
    if (cost !== undefined) currency ??= price.currency;
    return price.currency === (currency ?? price.currency) ? cost : undefined;
  }

  function count(cost: bigint | undefined, most: bigint): void {
    if (cost === undefined) allKnown = false;
    else if (dearest === undefined || cost > dearest) dearest = cost;
    spent += cost ?? most;
  }

  function wake(): void {
    const woken = waiting;
    waiting = [];
    for (const go of woken) go();
  }

  return {
    async reserve(most) {
      for (;;) {
        const room = most ?? (dearest === undefined ? undefined : 2n * dearest);
        if (cap !== null && most === null && !allKnown) return 'cost_unknown';
        // The first call without a bound goes alone: what it costs is what the others are taken to cost.
        const fits = cap === null || (room === undefined ? onTheirWay === 0 : spent + reserved + room <= cap);
        if (fits) {
          const held = room ?? 0n;
          reserved += held;
          onTheirWay++;
          return {
            settle(execution) {
              reserved -= held;
              onTheirWay--;
              count(execution && costOf(execution), held);
              wake();
            },
          };
        }
        if (onTheirWay === 0) return 'budget';
        await new Promise<void>((go) => waiting.push(go));
      }
    },
    add(execution, most) {
      count(costOf(execution), most ?? 0n);
    },
    total: () => ({
      cost: allKnown ? formatMoney(spent) : null,
      known: formatMoney(spent),
      currency: currency ?? 'USD',
    }),
  };
}

/** A token is at least a byte of text; names and roles cost a few more for each message. */
const tokensPerMessage = 16;

/**
 * The most that a call can cost; null where that is not known: no limit of output tokens, or no price. Bytes are taken
 * for tokens, so it is several times the usual cost.
 */
export function boundCost(
  route: ModelRoute,
  { parameters, tools, outputSchema }: Pick<Definition, 'parameters' | 'tools' | 'outputSchema'>,
  messages: readonly RenderedMessage[],
  at: Date,
): bigint | null {
  if (route.simulated) return 0n;
  if (parameters.maxOutputTokens === undefined) return null;
  const sent = JSON.stringify([messages, tools, outputSchema]);
  const input = Buffer.byteLength(sent) + tokensPerMessage * messages.length;
  const output = parameters.maxOutputTokens;
  // The wires count by different names; a price list reads its own.
  for (const rawUsage of [
    { prompt_tokens: input, completion_tokens: output },
    { input_tokens: input, output_tokens: output },
  ]) {
    const usage = { ...noUsage, promptTokens: input, completionTokens: output };
    const { cost } = computePrice({
      ...route,
      bills: [{ responseModel: null, usage, rawUsage, serviceTier: null }],
      at,
    });
    const most = cost === null ? undefined : parseMoney(cost);
    if (most !== undefined && most > 0n) return most;
  }
  return null;
}
