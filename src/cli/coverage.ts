import type { Command } from 'commander';
import type { CliContext } from './context.ts';
import { withGateway } from './gateway-client.ts';
import { paint, renderTable } from './render.ts';
import { readTime, renderTime } from './time.ts';

interface TrafficView {
  readonly calls: number;
  readonly costs: Readonly<Record<string, string>>;
  readonly unknown_costs: number;
}

interface CoverageView {
  readonly governed: TrafficView;
  readonly raw: TrafficView;
  readonly raw_refused: number;
  readonly simulated: number;
  readonly call_share: number | null;
  readonly cost_shares: Readonly<Record<string, number>>;
}

interface ReportView {
  readonly since: string;
  readonly until: string;
  readonly total: CoverageView;
  readonly data: readonly (CoverageView & { readonly actor: string })[];
}

export function addCoverageCommand(program: Command, context: CliContext): void {
  program
    .command('coverage')
    .description('Which share of calls and cost names a prompt, by key; the rest are raw calls')
    .option('--since <time>', 'from this time on: 2026-11-17, "2026-11-17 10:00" (UTC), 24h, 30d …', '7d')
    .option('--until <time>', 'before this time; default: now')
    .option('--json', 'print JSON')
    .action((options: { since: string; until?: string; json?: boolean }) =>
      withGateway(context, async (client) => {
        const now = Date.now();
        const query = new URLSearchParams({ since: readTime(options.since, now) });
        if (options.until) query.set('until', readTime(options.until, now));
        const report = await client.request<ReportView>('GET', `/v1/coverage?${query}`);
        context.out(options.json ? JSON.stringify(report, null, 2) : renderReport(report));
      }),
    );
}

function renderReport({ since, until, total, data }: ReportView): string {
  const rows = [
    ...data.map((coverage) => toRow(coverage.actor, coverage)),
    ...(data.length > 1 ? [toRow(paint('bold', 'all'), total)] : []),
  ];
  const notes = [
    total.governed.unknown_costs + total.raw.unknown_costs > 0
      ? '+ n?: the cost of n calls is not known; they are in no sum and no share of cost.'
      : '',
    total.simulated > 0 ? 'Simulated calls are no traffic: they are in no other column.' : '',
  ];
  const head = [
    ...['who', 'governed', 'raw', 'of calls', 'governed cost', 'raw cost', 'of cost'],
    ...['raw refused', 'simulated'],
  ];
  return [
    paint('dim', `${renderTime(since)} to ${renderTime(until)} UTC`),
    rows.length > 0 ? renderTable(head, rows) : 'There were no calls.',
    ...notes.filter(Boolean).map((note) => paint('dim', note)),
  ].join('\n');
}

function toRow(who: string, coverage: CoverageView): string[] {
  const { governed, raw, call_share, cost_shares } = coverage;
  const shares = Object.entries(cost_shares);
  const named = shares.map(([currency, share]) =>
    shares.length > 1 ? `${toPercent(share)} ${currency}` : toPercent(share),
  );
  return [
    who,
    String(governed.calls),
    String(raw.calls),
    call_share === null ? '—' : toPercent(call_share),
    toCost(governed),
    toCost(raw),
    named.join(' ') || '—',
    String(coverage.raw_refused),
    String(coverage.simulated),
  ];
}

/** Down, so that 100 % says that nothing is left to do. */
function toPercent(share: number): string {
  return `${(Math.floor(share * 1_000) / 10).toFixed(1)} %`;
}

function toCost({ costs, unknown_costs }: TrafficView): string {
  const known = Object.entries(costs).map(([currency, cost]) => `${cost} ${currency}`);
  return [...known, ...(unknown_costs > 0 ? [`${unknown_costs}?`] : [])].join(' + ') || '—';
}
