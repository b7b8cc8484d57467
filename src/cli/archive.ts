import type { Command } from 'commander';
import type { CliContext } from './context.ts';
import type { LabelView } from './deployment-view.ts';
import { withGateway } from './gateway-client.ts';
import { readVersion } from './version-argument.ts';

interface ArchiveOptions {
  readonly reason?: string;
  readonly undo?: boolean;
  readonly json?: boolean;
}

export function addArchiveCommand(program: Command, context: CliContext): void {
  program
    .command('archive')
    .description('Keep a version, or a whole prompt, from being newly deployed; what runs goes on running')
    .argument('<name>', 'prompt')
    .argument('[version]', 'its number; left out: the whole prompt')
    .option('--reason <text>', 'why; it is kept')
    .option('--undo', 'take it out of the archive again')
    .option('--json', 'print JSON')
    .action((name: string, version: string | undefined, options: ArchiveOptions) =>
      withGateway(context, async (client) => {
        const number = version === undefined ? null : readVersion(version);
        const answer = await client.request<{ changed: boolean }>(
          'POST',
          `/v1/prompts/${encodeURIComponent(name)}/archive`,
          {
            version: number,
            archived: !options.undo,
            ...(options.reason ? { reason: options.reason } : {}),
          },
        );
        if (options.json) return context.out(JSON.stringify(answer, null, 2));
        const what = number === null ? name : `${name} v${number}`;
        const state = options.undo ? 'not archived' : 'archived';
        context.out(`${what} is ${state}${answer.changed ? '.' : ', as it was; nothing was recorded.'}`);
        if (options.undo) return;
        const { data } = await client.request<{ data: LabelView[] }>(
          'GET',
          `/v1/labels?prompt=${encodeURIComponent(name)}`,
        );
        const held = data.filter((label) => number === null || label.version === number);
        if (held.length > 0) {
          context.out(
            `  still held by: ${held.map(({ label, version: at }) => `${label} (v${at})`).join(', ')}`,
          );
        }
      }),
    );
}
