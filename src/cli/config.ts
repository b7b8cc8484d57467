import type { Command } from 'commander';
import { loadConfig } from '../config.ts';
import type { CliContext } from './context.ts';
import { paint, renderTable } from './render.ts';

export function addConfigCommand(program: Command, context: CliContext): void {
  program
    .command('config')
    .description('Print the effective configuration, secrets masked, and where each value came from')
    .option('--json', 'print JSON')
    .action((options: { json?: boolean }) => {
      const { entries } = loadConfig(context.environment, context.directory);
      if (options.json) return context.out(JSON.stringify(entries, null, 2));
      const rows = entries.map((entry) => [
        entry.name,
        entry.value ?? paint('dim', '(not set)'),
        entry.from,
        entry.about,
      ]);
      context.out(renderTable(['setting', 'value', 'from', 'what it is'], rows));
    });
}
