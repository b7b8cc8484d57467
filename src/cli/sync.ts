import { resolve } from 'node:path';
import type { Command } from 'commander';
import { loadConfig } from '../config.ts';
import { errorTable } from '../domain/errors.ts';
import type { CliContext } from './context.ts';
import { readDefinitionFiles } from './definition-files.ts';
import { connectGateway } from './gateway-client.ts';
import { type DeploymentView, renderSync, type SyncView } from './sync-report.ts';

export function addSyncCommand(
  program: Command,
  context: CliContext,
  setExitCode: (code: number) => void,
): void {
  program
    .command('sync')
    .description('Turn the definition files into immutable versions')
    .option('--dir <directory>', 'where the definitions are (default: PROMPTGATE_PROMPTS_DIR)')
    .option('--json', 'print JSON')
    .action(async (options: { dir?: string; json?: boolean }) => {
      const config = loadConfig(context.environment, context.directory);
      const directory = resolve(context.directory, options.dir ?? config.values.PROMPTGATE_PROMPTS_DIR);
      const files = await readDefinitionFiles(directory);
      const client = await connectGateway(context);
      try {
        const report = await client.request<SyncView & { deployments: DeploymentView[] }>(
          'POST',
          '/v1/sync',
          {
            files,
          },
        );
        context.out(options.json ? JSON.stringify(report, null, 2) : renderSync(report));
        if (report.files.some((file) => file.outcome === 'failed')) {
          setExitCode(errorTable.invalid_request.exitCode);
        }
      } finally {
        await client.close();
      }
    });
}
