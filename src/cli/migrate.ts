import { resolve } from 'node:path';
import type { Command } from 'commander';
import { loadConfig } from '../config.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { CliContext } from './context.ts';

export function addMigrateCommand(program: Command, context: CliContext): void {
  program
    .command('migrate')
    .description('Bring the schema of the database up to date')
    .option('--embedded', 'the embedded database of PROMPTGATE_DATA_DIR')
    .option('--json', 'print JSON')
    .action(async (options: { embedded?: boolean; json?: boolean }) => {
      const config = loadConfig(context.environment, context.directory);
      if (!options.embedded && !config.values.DATABASE_URL) {
        throw new PromptgateError('invalid_request', 'Set DATABASE_URL, or say --embedded.');
      }
      const app = await context.openApp({
        config,
        directory: resolve(context.directory),
        embedded: options.embedded ?? false,
        simulate: false,
        logLevel: 'silent',
      });
      try {
        const { applied, current } = app.schema;
        if (options.json) return context.out(JSON.stringify({ applied, current }));
        for (const name of applied) context.out(`applied ${name}`);
        context.out(applied.length === 0 ? `The schema is up to date (${current}).` : `Now at ${current}.`);
      } finally {
        await app.close();
      }
    });
}
