import type { Command } from 'commander';
import type { CliContext } from './context.ts';
import { type DeploymentView, type LabelView, renderMove } from './deployment-view.ts';
import { evaluationExitCodes, runEvaluation } from './eval.ts';
import { renderReport } from './eval-report.ts';
import { type GatewayClient, withGateway } from './gateway-client.ts';
import { readVersion } from './version-argument.ts';

interface DeployOptions {
  readonly reason: string;
  readonly expect?: string;
  readonly breaking?: boolean;
  readonly breakGlass?: boolean;
  readonly eval?: boolean;
  readonly budget?: string;
  readonly gitCommit?: string;
  readonly json?: boolean;
}

export function addDeployCommand(
  program: Command,
  context: CliContext,
  setExitCode: (code: number) => void,
): void {
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
    .option(
      '--eval',
      'first run what the gate of the label asks for, against what it holds; move only when it passes',
    )
    .option('--budget <amount>', 'with --eval: the most that the run may cost')
    .option('--git-commit <sha>', 'the commit that asks for it')
    .option('--json', 'print JSON')
    .action((name: string, label: string, version: string, options: DeployOptions) =>
      withGateway(context, async (client) => {
        const number = readVersion(version);
        const expected = options.expect
          ? options.expect === 'none'
            ? null
            : readVersion(options.expect)
          : await heldVersion(client, name, label);
        if (options.eval && !(await passes(context, client, name, label, number, options, setExitCode)))
          return;
        const path = `/v1/prompts/${encodeURIComponent(name)}/labels/${encodeURIComponent(label)}`;
        const answer = await client.request<{ moved: boolean; deployment: DeploymentView | null }>(
          'PUT',
          path,
          {
            version: number,
            expected_version: expected,
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

/** The evidence, made now. What the label holds stays where it does not pass. */
async function passes(
  context: CliContext,
  client: GatewayClient,
  name: string,
  label: string,
  version: number,
  { budget, json }: DeployOptions,
  setExitCode: (code: number) => void,
): Promise<boolean> {
  const bound = budget === undefined ? {} : { budget };
  const report = await runEvaluation(context, client, name, { version, gate: label, ...bound });
  if (report.verdict !== 'passed' || !json) {
    context.out(
      json
        ? JSON.stringify({ moved: false, deployment: null, evaluation: report }, null, 2)
        : renderReport(report),
    );
  }
  setExitCode(evaluationExitCodes[report.verdict]);
  if (report.verdict !== 'passed') context.err(`${name} ${label} stays where it is.`);
  return report.verdict === 'passed';
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
