import type { Command } from 'commander';
import type { CliContext } from './context.ts';
import { withGateway } from './gateway-client.ts';
import { paint, renderTable } from './render.ts';

/** What this command reads of the wire form. */
interface ExecutionView {
  readonly id: string;
  readonly prompt: string;
  readonly version: number | null;
  readonly label: string | null;
  readonly purpose: string;
  readonly status: string;
  readonly model: string | null;
  readonly simulated: boolean;
  readonly usage: { readonly prompt_tokens: number | null; readonly completion_tokens: number | null };
  readonly cost: string | null;
  readonly latency_ms: number;
  readonly attempts: number;
  readonly response_hash: string | null;
  readonly started_at: string;
  readonly error: { readonly code: string; readonly message: string } | null;
}

interface ListOptions {
  readonly json?: boolean;
  readonly limit: string;
  readonly [filter: string]: string | boolean | undefined;
}

const filters = [
  'prompt',
  'version',
  'label',
  'status',
  'key',
  'purpose',
  'run',
  'trace-id',
  'provider-request-id',
  'request-id',
  'since',
  'until',
  'cursor',
] as const;

export function addExecutionsCommand(program: Command, context: CliContext): void {
  program
    .command('executions')
    .description('List executions, newest first; with an id, show that one whole')
    .argument('[id]', 'execution id')
    .option('--prompt <name>', 'of one prompt')
    .option('--version <number>', 'of one version')
    .option('--label <label>', 'of one label')
    .option('--status <status>', 'succeeded, failed, refused, cancelled or unknown')
    .option('--key <id>', 'of one API key')
    .option('--purpose <purpose>', 'call, raw, evaluation, replay or probe')
    .option('--run <id>', 'of one evaluation, batch or probe')
    .option('--trace-id <id>', 'of one trace: which version ran for that request')
    .option('--provider-request-id <id>', "of one request, by the provider's id")
    .option('--request-id <id>', 'of one request, by ours; of the last day unless --since says more')
    .option('--since <time>', 'from this time on (ISO 8601)')
    .option('--until <time>', 'before this time (ISO 8601)')
    .option('--limit <number>', 'how many, at most 200', '20')
    .option('--cursor <id>', 'older than this execution')
    .option('--json', 'print JSON')
    .action(async (id: string | undefined, options: ListOptions) => {
      await withGateway(context, async (client) => {
        if (id) {
          const execution = await client.request('GET', `/v1/executions/${encodeURIComponent(id)}`);
          return context.out(JSON.stringify(execution, null, 2));
        }
        const query = new URLSearchParams({ limit: options.limit });
        for (const name of filters) {
          const value = options[name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase())];
          if (typeof value === 'string') query.set(name.replaceAll('-', '_'), value);
        }
        const page = await client.request<{ data: ExecutionView[]; next_cursor: string | null }>(
          'GET',
          `/v1/executions?${query}`,
        );
        if (options.json) return context.out(JSON.stringify(page, null, 2));
        context.out(renderExecutions(page.data));
        if (page.next_cursor) context.out(paint('dim', `older: --cursor ${page.next_cursor}`));
      });
    });
}

function renderExecutions(executions: readonly ExecutionView[]): string {
  if (executions.length === 0) return 'No executions yet.';
  const rows = executions.map((execution) => [
    execution.started_at.slice(0, 19).replace('T', ' '),
    execution.id,
    execution.purpose === 'raw'
      ? paint('yellow', '(raw)')
      : `${execution.prompt}${execution.version === null ? '' : ` v${execution.version}`}`,
    execution.label ?? '—',
    paint(execution.status === 'succeeded' ? 'green' : 'yellow', execution.error?.code ?? execution.status),
    execution.model ? `${execution.model}${execution.simulated ? ' (simulated)' : ''}` : '—',
    count(execution.usage.prompt_tokens),
    count(execution.usage.completion_tokens),
    execution.latency_ms.toFixed(1),
    execution.cost ?? '—',
    String(execution.attempts),
    execution.response_hash?.slice(0, 8) ?? '—',
  ]);
  return renderTable(
    [
      'started (UTC)',
      'id',
      'prompt',
      'label',
      'outcome',
      'model',
      'in',
      'out',
      'ms',
      'cost',
      'attempts',
      'hash',
    ],
    rows,
  );
}

function count(tokens: number | null): string {
  return tokens === null ? '—' : String(tokens);
}
