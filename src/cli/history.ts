import type { Command } from 'commander';
import type { CliContext } from './context.ts';
import { type DeploymentView, paintKind, renderStep } from './deployment-view.ts';
import { withGateway } from './gateway-client.ts';
import { oneLine, paint, renderTable } from './render.ts';
import { renderTime } from './time.ts';

interface HistoryOptions {
  readonly label?: string;
  readonly limit: string;
  readonly cursor?: string;
  readonly json?: boolean;
}

export function addHistoryCommand(program: Command, context: CliContext): void {
  program
    .command('history')
    .description('Every move of the labels of a prompt, newest first: what, who, why')
    .argument('<name>', 'prompt')
    .option('--label <label>', 'of one label')
    .option('--limit <number>', 'how many, at most 200', '20')
    .option('--cursor <id>', 'older than this move')
    .option('--json', 'print JSON')
    .action((name: string, options: HistoryOptions) =>
      withGateway(context, async (client) => {
        const query = new URLSearchParams({ limit: options.limit });
        if (options.label) query.set('label', options.label);
        if (options.cursor) query.set('cursor', options.cursor);
        const page = await client.request<{ data: DeploymentView[]; next_cursor: number | null }>(
          'GET',
          `/v1/prompts/${encodeURIComponent(name)}/history?${query}`,
        );
        if (options.json) return context.out(JSON.stringify(page, null, 2));
        context.out(page.data.length > 0 ? renderHistory(page.data) : 'No label of it was ever moved.');
        if (page.next_cursor) context.out(paint('dim', `older: --cursor ${page.next_cursor}`));
      }),
    );
}

function renderHistory(moves: readonly DeploymentView[]): string {
  const rows = moves.map((move) => [
    renderTime(move.created_at),
    move.label,
    renderStep(move),
    paintKind(move.kind),
    move.actor,
    oneLine(move.reason),
    move.git_commit?.slice(0, 12) ?? '—',
    move.evaluation_id === null ? '—' : String(move.evaluation_id),
  ]);
  const header = ['when (UTC)', 'label', 'move', 'how', 'who', 'why', 'commit', 'evaluation'];
  // Where no gate was passed the last column would say nothing.
  const columns = moves.some((move) => move.evaluation_id !== null) ? header.length : header.length - 1;
  return renderTable(
    header.slice(0, columns),
    rows.map((row) => row.slice(0, columns)),
  );
}
