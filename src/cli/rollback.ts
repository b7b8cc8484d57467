import type { Command } from 'commander';
import type { CliContext } from './context.ts';
import { heldVersion } from './deploy.ts';
import { type DeploymentView, renderMove } from './deployment-view.ts';
import { withGateway } from './gateway-client.ts';
import { readVersion } from './version-argument.ts';

interface RollbackOptions {
  readonly to?: string;
  readonly reason?: string;
  readonly expect?: string;
  readonly json?: boolean;
}

export function addRollbackCommand(program: Command, context: CliContext): void {
  program
    .command('rollback')
    .description('Put a label back to what ran before; twice goes back twice')
    .argument('<name>', 'prompt')
    .argument('<label>', 'e.g. production')
    .option('--to <version>', 'a version that the label held (default: what ran before)')
    .option('--reason <text>', 'why; the ledger keeps it')
    .option('--expect <version>', 'refuse unless the label holds this version (default: what it holds now)')
    .option('--json', 'print JSON')
    .action((name: string, label: string, options: RollbackOptions) =>
      withGateway(context, async (client) => {
        const expected = options.expect
          ? readVersion(options.expect)
          : await heldVersion(client, name, label);
        const answer = await client.request<{ deployment: DeploymentView }>(
          'POST',
          `/v1/prompts/${encodeURIComponent(name)}/labels/${encodeURIComponent(label)}/rollback`,
          {
            ...(options.to ? { version: readVersion(options.to) } : {}),
            ...(expected === null ? {} : { expected_version: expected }),
            ...(options.reason ? { reason: options.reason } : {}),
          },
        );
        context.out(options.json ? JSON.stringify(answer, null, 2) : renderMove(answer.deployment));
      }),
    );
}
