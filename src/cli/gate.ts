import type { Command } from 'commander';
import { PromptgateError } from '../domain/errors.ts';
import type { CliContext } from './context.ts';
import { withGateway } from './gateway-client.ts';
import { oneLine, renderTable } from './render.ts';
import { renderTime } from './time.ts';

interface PolicyView {
  readonly gated: boolean;
  readonly movers: string[] | null;
  readonly actor: string;
  readonly reason: string | null;
  readonly created_at: string;
}

interface SetOptions {
  readonly only?: string[];
  readonly anyone?: boolean;
  readonly reason?: string;
  readonly json?: boolean;
}

export function addGateCommand(program: Command, context: CliContext): void {
  const gate = program
    .command('gate')
    .description('Labels that take a version only with evidence, or only from certain keys');
  gate
    .command('set')
    .description('Gate a label of every prompt or open it; say which keys may move it')
    .argument('<label>', 'e.g. production')
    .argument('<state>', 'on or off')
    .option('--only <keys...>', 'names of the keys that alone may move it')
    .option('--anyone', 'every key with the scope `deploy` may move it again')
    .option('--reason <text>', 'why; it is kept')
    .option('--json', 'print JSON')
    .action((label: string, state: string, options: SetOptions) =>
      withGateway(context, async (client) => {
        if (state !== 'on' && state !== 'off') {
          throw new PromptgateError('invalid_request', 'A gate is set `on` or `off`.');
        }
        const answer = await client.request<{ changed: boolean }>('PUT', pathOf(label), {
          gated: state === 'on',
          ...(options.anyone ? { keys: null } : options.only ? { keys: options.only } : {}),
          ...(options.reason ? { reason: options.reason } : {}),
        });
        if (options.json) return context.out(JSON.stringify(answer, null, 2));
        context.out(
          answer.changed
            ? `The policy of ${label} is set.`
            : `The policy of ${label} was that already; nothing was recorded.`,
        );
      }),
    );
  gate
    .command('show')
    .description('Whether a label is gated, who may move it, and every change of that')
    .argument('<label>', 'e.g. production')
    .option('--json', 'print JSON')
    .action((label: string, options: { json?: boolean }) =>
      withGateway(context, async (client) => {
        const answer = await client.request<{ gated: boolean; data: PolicyView[] }>('GET', pathOf(label));
        if (options.json) return context.out(JSON.stringify(answer, null, 2));
        if (answer.data.length === 0)
          return context.out(
            `${label} has no policy: it is not gated, and every key with the scope deploy may move it.`,
          );
        const rows = answer.data.map(({ created_at, gated, movers, actor, reason }) => [
          renderTime(created_at),
          gated ? 'on' : 'off',
          movers?.join(' ') ?? 'anyone',
          actor,
          oneLine(reason),
        ]);
        context.out(renderTable(['when (UTC)', 'gate', 'moved by', 'who', 'why'], rows));
      }),
    );
}

function pathOf(label: string): string {
  return `/v1/labels/${encodeURIComponent(label)}/gate`;
}
