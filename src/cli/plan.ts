import type { Command } from 'commander';
import type { SyncPlanView } from '../http/sync-routes.ts';
import type { CliContext } from './context.ts';
import { promptsDirectory, readDefinitionFiles } from './definition-files.ts';
import { withGateway } from './gateway-client.ts';
import { readSuiteFiles } from './suite-files.ts';
import { planExitCode, renderPlan } from './sync-report.ts';

interface PlanOptions {
  readonly dir?: string;
  readonly allowBackfill?: boolean;
  readonly deploy?: string;
  readonly json?: boolean;
}

export function addPlanCommand(
  program: Command,
  context: CliContext,
  setExitCode: (code: number) => void,
): void {
  program
    .command('plan')
    .description('Say what sync would do; changes nothing')
    .option('--dir <directory>', 'where the definitions are (default: PROMPTGATE_PROMPTS_DIR)')
    .option('--allow-backfill', 'as if sync were told so')
    .option('--deploy <label>', 'as if sync were told so')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExit code: the one that sync would have.')
    .action(async (options: PlanOptions) => {
      const directory = promptsDirectory(context, options.dir);
      const files = await readDefinitionFiles(directory);
      const suites = await readSuiteFiles(directory);
      const plan = await withGateway(context, (client) =>
        client.request<SyncPlanView>('POST', '/v1/plan', {
          files,
          suites,
          allow_backfill: options.allowBackfill ?? false,
          ...(options.deploy ? { deploy: { label: options.deploy } } : {}),
        }),
      );
      context.out(options.json ? JSON.stringify(plan, null, 2) : renderPlan(plan));
      setExitCode(planExitCode(plan));
    });
}
