import type { Command } from 'commander';
import { PromptgateError } from '../domain/errors.ts';
import type { CliContext } from './context.ts';
import { type ComparisonView, renderComparison, rounded } from './cost-comparison.ts';
import { addCostSummaryCommand } from './cost-summary.ts';
import { type GatewayClient, withGateway } from './gateway-client.ts';
import { paint, renderTable } from './render.ts';
import { readTime } from './time.ts';

interface CostsView {
  readonly since: string;
  readonly until: string;
  readonly by: readonly string[];
  readonly more: boolean;
  readonly pending: number;
  readonly data: readonly {
    readonly group: Readonly<Record<string, string | number | null>>;
    readonly key_name?: string | null;
    readonly executions: number;
    readonly succeeded: number;
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly unknown_costs: number;
    readonly later_costs: number;
    readonly latency_ms: { readonly p50: number; readonly p95: number; readonly p99: number } | null;
    readonly costs: readonly {
      readonly currency: string;
      readonly cost: string;
      readonly per_execution: number | null;
      readonly per_1k_prompt_tokens: number | null;
    }[];
  }[];
}

interface CostsOptions {
  readonly by: string;
  readonly compare?: string;
  readonly latency?: boolean;
  readonly csv?: boolean;
  readonly json?: boolean;
  readonly [filter: string]: string | boolean | undefined;
}

const filters = ['prompt', 'version', 'label', 'model', 'key', 'purpose', 'status'] as const;

export function addCostsCommand(
  program: Command,
  context: CliContext,
  setExitCode: (code: number) => void,
): void {
  const costs = program
    .command('costs')
    .description('What executions cost: by version, label, model, key, day');
  costs
    .command('show', { isDefault: true })
    .description('Sums over a period; with --compare, two versions of a prompt')
    .option(
      '--by <dimensions>',
      'day, prompt, version, label, model, key, purpose, status, with commas',
      'prompt,version',
    )
    .option(
      '--compare <from..to>',
      'versions of --prompt, e.g. 2..3: what a run costs, and 1,000 prompt tokens, with bounds',
    )
    .option('--prompt <name>', 'of one prompt')
    .option('--version <number>', 'of one version')
    .option('--label <label>', 'of one label')
    .option('--model <model>', 'of one model')
    .option('--key <id>', 'of one API key')
    .option('--purpose <purpose>', 'call, raw, evaluation, replay or probe')
    .option('--status <status>', 'succeeded, failed, refused, cancelled or unknown')
    .option(
      '--since <time>',
      '2026-11-01, "2026-11-17 10:00" (UTC), or how long ago: 12h, 7d; default: 30 days',
    )
    .option('--until <time>', 'the same; default: now')
    .option('--latency', 'p50, p95 and p99 too')
    .option('--limit <lines>', 'at most so many lines, up to 100000; default: 1000')
    .option('--csv', 'print CSV')
    .option('--json', 'print JSON')
    .action((options: CostsOptions) => withGateway(context, (client) => show(client, context, options)));
  addCostSummaryCommand(costs, context, setExitCode);
  costs
    .command('backfill')
    .description('Work out the cost of calls whose price was not known; recorded beside their rows')
    .requiredOption('--since <time>', 'calls from this time on')
    .option('--until <time>', 'calls before this time; default: now')
    .requiredOption('--reason <text>', 'why; it is kept')
    .option('--dry-run', 'only say what would be recorded')
    .option('--json', 'print JSON')
    .action((options: CostsOptions) => withGateway(context, (client) => backfill(client, context, options)));
  costs
    .command('rebuild')
    .description('Sum the hours of a period anew')
    .requiredOption('--since <time>', 'from the hour of this time on')
    .option('--until <time>', 'to the hour of this time; default: now')
    .action((options: CostsOptions) =>
      withGateway(context, async (client) => {
        const { summed } = await client.request<{ summed: number }>(
          'POST',
          '/v1/costs/rebuild',
          periodOf(options),
        );
        context.out(`${summed} summed anew.`);
      }),
    );
}

function periodOf(options: CostsOptions): { since: string; until: string } {
  const now = Date.now();
  const timeOf = (text: unknown) =>
    typeof text === 'string' ? readTime(text, now) : new Date(now).toISOString();
  return { since: timeOf(options.since), until: timeOf(options.until) };
}

async function show(client: GatewayClient, context: CliContext, options: CostsOptions): Promise<void> {
  const query = new URLSearchParams();
  for (const name of filters) if (typeof options[name] === 'string') query.set(name, options[name]);
  const now = Date.now();
  for (const name of ['since', 'until']) {
    const text = options[name];
    if (typeof text === 'string') query.set(name, readTime(text, now));
  }
  if (options.compare !== undefined) return compare(client, context, query, options);
  query.set('by', options.by);
  if (options.latency) query.set('latency', 'true');
  if (typeof options.limit === 'string') query.set('limit', options.limit);
  if (options.csv) {
    query.set('format', 'csv');
    return context.out((await client.text('GET', `/v1/costs?${query}`)).trimEnd());
  }
  const view = await client.request<CostsView>('GET', `/v1/costs?${query}`);
  context.out(options.json ? JSON.stringify(view, null, 2) : renderCosts(view));
}

function renderCosts({ since, until, by, data, more, pending }: CostsView): string {
  if (data.length === 0) return `Nothing ran from ${since} to ${until}.`;
  const withLatency = data.some(({ latency_ms }) => latency_ms);
  const rows = data.flatMap((line) => {
    const group = by.map((one) => nameOf(one, line));
    const counts = [line.executions, line.succeeded, line.prompt_tokens, line.completion_tokens].map(String);
    const latency = withLatency
      ? [line.latency_ms?.p50, line.latency_ms?.p95, line.latency_ms?.p99].map((ms) => ms?.toFixed(0) ?? '—')
      : [];
    const costs = line.costs.length > 0 ? line.costs : [undefined];
    return costs.map((amount) => [
      ...group,
      ...counts,
      ...latency,
      amount ? rounded(Number(amount.cost)) : '—',
      amount?.currency ?? '—',
      rounded(amount?.per_execution),
      rounded(amount?.per_1k_prompt_tokens),
      String(line.unknown_costs),
    ]);
  });
  const header = [
    ...by,
    'runs',
    'ok',
    'in',
    'out',
    ...(withLatency ? ['p50 ms', 'p95', 'p99'] : []),
    'cost',
    '',
    'a run',
    '1k in',
    'unknown',
  ];
  const later = data.reduce((sum, { later_costs }) => sum + later_costs, 0);
  const isFree = data.some(
    (line) => line.succeeded > 0 && line.costs.length === 0 && line.unknown_costs === 0,
  );
  const notes = [
    more
      ? `Only the first ${data.length} lines: a higher --limit, fewer dimensions or a shorter time shows all.`
      : '',
    isFree ? 'Without a cost, and none unknown: simulated answers, of which nothing was bought.' : '',
    later > 0 ? `${later} of these costs became known after the calls had settled.` : '',
    pending > 0 ? `${pending} that settled just now are not in it yet.` : '',
  ].filter((note) => note !== '');
  return [renderTable(header, rows), ...notes.map((note) => paint('dim', note))].join('\n');
}

function nameOf(dimension: string, { group, key_name }: CostsView['data'][number]): string {
  const value = group[dimension] ?? (dimension === 'prompt' ? '(none)' : '—');
  if (dimension === 'key') return key_name ?? String(value);
  return dimension === 'version' && value !== '—' ? `v${value}` : String(value);
}

async function compare(
  client: GatewayClient,
  context: CliContext,
  query: URLSearchParams,
  options: CostsOptions,
): Promise<void> {
  const [, from, to] = /^v?(\d+)\.\.v?(\d+)$/.exec(options.compare ?? '') ?? [];
  if (!from || !to || !query.has('prompt') || query.has('version')) {
    throw new PromptgateError(
      'invalid_request',
      'Compare two versions of a prompt: --prompt NAME --compare 2..3',
    );
  }
  query.set('from', from);
  query.set('to', to);
  const view = await client.request<ComparisonView>('GET', `/v1/costs/comparison?${query}`);
  if (options.json) return context.out(JSON.stringify(view, null, 2));
  if (view.data.length === 0)
    return context.out('Neither version has executions of known cost in this period.');
  context.out(view.data.map((one) => renderComparison(view, one)).join('\n\n'));
}

interface BackfillView {
  readonly looked: number;
  readonly priced: number;
  readonly unknown: readonly { readonly reason: string; readonly executions: number }[];
}

async function backfill(client: GatewayClient, context: CliContext, options: CostsOptions): Promise<void> {
  const body = { ...periodOf(options), reason: options.reason, dry_run: options.dryRun === true };
  const view = await client.request<BackfillView>('POST', '/v1/costs/backfills', body);
  if (options.json) return context.out(JSON.stringify(view, null, 2));
  const done = options.dryRun ? 'would get a cost' : 'got a cost';
  context.out(`${view.priced} of ${view.looked} calls without a known price ${done}.`);
  for (const { reason, executions } of view.unknown) context.out(`  ${executions}: ${reason}`);
}
