import type { Command } from 'commander';
import type { CliContext } from './context.ts';
import { type DeploymentView, type LabelView, renderMove } from './deployment-view.ts';
import { type GatewayClient, withGateway } from './gateway-client.ts';
import { readVersion } from './version-argument.ts';

interface DeployOptions {
  readonly reason: string;
  readonly expect?: string;
  readonly breaking?: boolean;
  readonly breakGlass?: boolean;
  readonly gitCommit?: string;
  readonly json?: boolean;
}

export function addDeployCommand(program: Command, context: CliContext): void {
  program
    .command('deploy')
    .description('Point a label at a version: in one step, everywhere within a second, on record')
    .argument('<name>', 'prompt')
    .argument('<label>', 'e.g. production')
    .argument('<version>', 'its number')
    .requiredOption('--reason <text>', 'why; the ledger keeps it')
    .option(
      '--expect <version>',
      'refuse unless the label holds this version, or `none` (default: what it holds now)',
    )
    .option('--breaking', 'move although the contract breaks')
    .option(
      '--break-glass',
      'past a gate that has no evidence; wants the scope `break_glass`, and shows in `status`',
    )
    .option('--git-commit <sha>', 'the commit that asks for it')
    .option('--json', 'print JSON')
    .action((name: string, label: string, version: string, options: DeployOptions) =>
      withGateway(context, async (client) => {
        const path = `/v1/prompts/${encodeURIComponent(name)}/labels/${encodeURIComponent(label)}`;
        const answer = await client.request<{ moved: boolean; deployment: DeploymentView | null }>(
          'PUT',
          path,
          {
            version: readVersion(version),
            expected_version: options.expect
              ? options.expect === 'none'
                ? null
                : readVersion(options.expect)
              : await heldVersion(client, name, label),
            reason: options.reason,
            breaking: options.breaking ?? false,
            break_glass: options.breakGlass ?? false,
            ...(options.gitCommit ? { git_commit: options.gitCommit } : {}),
          },
        );
        if (options.json) return context.out(JSON.stringify(answer, null, 2));
        if (!answer.deployment)
          return context.out(`${name} ${label} is at v${version} already; nothing was recorded.`);
        context.out(renderMove(answer.deployment));
        if (answer.deployment.from_version !== null) {
          context.out(`  back: promptgate rollback ${name} ${label} --reason …`);
        }
      }),
    );
}

/** What the person sees now is what the move starts from: whoever is faster makes it a conflict, not a surprise. */
export async function heldVersion(
  client: GatewayClient,
  name: string,
  label: string,
): Promise<number | null> {
  const { data } = await client.request<{ data: LabelView[] }>(
    'GET',
    `/v1/labels?prompt=${encodeURIComponent(name)}`,
  );
  return data.find((held) => held.label === label)?.version ?? null;
}
