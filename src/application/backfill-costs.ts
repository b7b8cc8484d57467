/**
 * Works out what calls cost whose price was not known when they settled, from what their rows keep of the bill. What is
 * found is recorded beside them with who asked, when and why; no execution changes, and no known cost is touched.
 */
import type { Actor } from '../domain/api-key.ts';
import { PromptgateError } from '../domain/errors.ts';
import { computePrice, readBilled } from '../domain/price.ts';
import type { CostStore, UnpricedExecution } from './cost-store.ts';
import type { Providers } from './provider.ts';

export interface BackfillRequest {
  readonly actor: Actor;
  readonly since: Date;
  readonly until: Date;
  readonly reason: string;
  /** Only say what would be recorded. */
  readonly dryRun: boolean;
}

export interface BackfillReport {
  readonly looked: number;
  /** Costs that were found, and recorded unless it is a dry run. */
  readonly priced: number;
  /** Why the others stay unknown, with how many. */
  readonly unknown: readonly { readonly reason: string; readonly executions: number }[];
}

const page = 500;
const firstId = '00000000-0000-0000-0000-000000000000';

/** @throws PromptgateError invalid_request — without a reason, or over no time */
export async function backfillCosts(
  deps: { readonly costs: CostStore; readonly providers: Pick<Providers, 'provider'> },
  { actor, reason, dryRun, ...period }: BackfillRequest,
): Promise<BackfillReport> {
  if (reason.trim() === '') throw new PromptgateError('invalid_request', 'Say why: the reason is kept.');
  if (period.since >= period.until) {
    throw new PromptgateError('invalid_request', 'The period ends before it begins.');
  }
  const run = dryRun ? undefined : await deps.costs.beginBackfill(period, actor.name, reason);
  const unknown = new Map<string, number>();
  let looked = 0;
  let priced = 0;
  for (let after = firstId; ; ) {
    const rows = await deps.costs.listUnpriced(period, after, page);
    const prices = rows.map((row) => ({ id: row.id, price: priceOf(deps.providers, row) }));
    const found = prices.filter(({ price }) => price.cost !== null);
    for (const { price } of prices) {
      if (price.unknownReason !== null)
        unknown.set(price.unknownReason, (unknown.get(price.unknownReason) ?? 0) + 1);
    }
    looked += rows.length;
    priced += run === undefined ? found.length : await deps.costs.recordBackfilled(run, found);
    const last = rows.at(-1);
    if (rows.length < page || !last) break;
    after = last.id;
  }
  const reasons = [...unknown].map(([reason, executions]) => ({ reason, executions }));
  return { looked, priced, unknown: reasons.sort((a, b) => b.executions - a.executions) };
}

function priceOf(providers: Pick<Providers, 'provider'>, row: UnpricedExecution) {
  const route = row.provider === null ? undefined : providers.provider(row.provider);
  return computePrice({
    provider: row.provider ?? '',
    baseUrl: route?.baseUrl,
    prices: route?.prices,
    model: row.model ?? '',
    bills: readBilled(row.billed),
    simulated: false,
    at: row.startedAt,
  });
}
