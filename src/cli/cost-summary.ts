import type { Command } from 'commander';
import type { CliContext } from './context.ts';
import { type GatewayClient, withGateway } from './gateway-client.ts';
import { oneLine, paint, renderTable } from './render.ts';

interface FiguresView {
  readonly executions: number;
  readonly succeeded: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly unknown_costs: number;
  readonly costs: readonly {
    readonly currency: string;
    readonly cost: string;
    readonly change: number | null;
    readonly week_change: number | null;
  }[];
}

interface SummaryView {
  readonly day: string;
  readonly total: FiguresView;
  readonly versions: readonly (FiguresView & {
    readonly prompt: string | null;
    readonly version: number | null;
  })[];
  readonly versions_left_out: number;
  readonly budgets: readonly {
    readonly scope: string;
    readonly subject: string;
    readonly period: string;
    readonly currency: string | null;
    readonly taken: string;
    readonly refuse_at: string | null;
    readonly warn_at: string | null;
  }[];
  readonly late: readonly {
    readonly day: string;
    readonly executions: number;
    readonly costs: Readonly<Record<string, string>>;
  }[];
  readonly pending: number;
}

interface PostedView {
  readonly day: string;
  readonly event_id: string;
  readonly outcome: 'taken' | 'before' | 'posting' | 'refused';
  readonly reason: string | null;
}

interface SummaryOptions {
  readonly day?: string;
  readonly post?: boolean;
  readonly json?: boolean;
}

export function addCostSummaryCommand(
  costs: Command,
  context: CliContext,
  setExitCode: (code: number) => void,
): void {
  costs
    .command('summary')
    .description('What a day cost, against the day before and the week; with --post, to the webhook')
    .option('--day <date>', '2026-11-20, UTC, and over; default: yesterday')
    .option('--post', 'post it, unless it was taken before; exits with 1 when it is not taken')
    .option('--json', 'print JSON')
    .action((options: SummaryOptions) =>
      withGateway(context, async (client) => {
        if (options.post) return post(client, context, options, setExitCode);
        const query = options.day ? `?${new URLSearchParams({ day: options.day })}` : '';
        const view = await client.request<SummaryView>('GET', `/v1/costs/summary${query}`);
        context.out(options.json ? JSON.stringify(view, null, 2) : renderSummary(view));
      }),
    );
}

async function post(
  client: GatewayClient,
  context: CliContext,
  { day, json }: SummaryOptions,
  setExitCode: (code: number) => void,
): Promise<void> {
  const posted = await client.request<PostedView>('POST', '/v1/costs/summary', day ? { day } : {});
  const said = {
    taken: 'was posted and taken',
    before: 'had been taken before',
    posting: 'was claimed seconds ago and may be on its way. Ask again in 15 s',
    refused: `was not taken: ${posted.reason}. Post it again`,
  };
  if (posted.outcome === 'refused') setExitCode(1);
  context.out(
    json
      ? JSON.stringify(posted, null, 2)
      : `The summary of ${posted.day} (${posted.event_id}) ${said[posted.outcome]}.`,
  );
}

function renderSummary({ day, total, versions, ...rest }: SummaryView): string {
  const rows = versions.flatMap((line) => {
    const name =
      line.prompt === null ? 'no prompt' : `${line.prompt}${line.version ? ` v${line.version}` : ''}`;
    return toRows(oneLine(name), line);
  });
  const all = versions.length > 1 ? toRows('all', total) : [];
  const header = ['version', 'runs', 'ok', 'in', 'out', 'cost', '', 'day before', 'week', 'unknown'];
  const told =
    rows.length === 0
      ? [`Nothing ran on ${day} (UTC), nor on the day before.`]
      : [paint('dim', `${day} (UTC)`), renderTable(header, [...rows, ...all])];
  return [...told, ...toNotes(rest)].join('\n');
}

function toNotes({
  versions_left_out,
  budgets,
  late,
  pending,
}: Omit<SummaryView, 'day' | 'total' | 'versions'>) {
  return [
    ...(versions_left_out > 0 ? [paint('dim', `${versions_left_out} cheaper ones are left out.`)] : []),
    ...budgets.map(({ scope, subject, period, currency, taken, refuse_at, warn_at }) => {
      const limit = refuse_at === null ? `warned from ${warn_at}` : `of ${refuse_at}`;
      return `budget  ${scope}:${oneLine(subject)}  ${taken} ${limit} ${currency} that ${period}`;
    }),
    ...late.map(({ day, executions, costs }) => {
      const money = Object.entries(costs).map(([currency, cost]) => `${cost} ${currency}`);
      const more = [`${executions} executions`, ...money].join(', ');
      return paint('yellow', `late  ${day} has more than was posted: ${more}`);
    }),
    ...(pending > 0 ? [paint('dim', `${pending} that settled just now are not in it yet.`)] : []),
  ];
}

function toRows(name: string, line: FiguresView): string[][] {
  const counts = [line.executions, line.succeeded, line.prompt_tokens, line.completion_tokens].map(String);
  const costs = line.costs.length > 0 ? line.costs : [undefined];
  return costs.map((amount) => [
    name,
    ...counts,
    amount ? Number(amount.cost).toLocaleString('en', { maximumSignificantDigits: 4 }) : '—',
    amount?.currency ?? '—',
    percent(amount?.change),
    percent(amount?.week_change),
    String(line.unknown_costs),
  ]);
}

function percent(change: number | null | undefined): string {
  if (change == null) return '—';
  return `${change < 0 ? '−' : '+'}${Math.abs(change * 100).toFixed(1)} %`;
}
