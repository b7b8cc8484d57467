import type { Command } from 'commander';
import type { ProbeRunView, ProbeStateView } from '../http/probe-view.ts';
import type { CliContext } from './context.ts';
import { countTrials } from './eval.ts';
import { withGateway } from './gateway-client.ts';
import { oneLine, paint, renderTable } from './render.ts';
import { createProgress, followRun } from './run-progress.ts';
import { renderTime } from './time.ts';

/** As those of `eval`. */
const exitCodes = { passed: 0, failed: 20, insufficient: 21 } as const;
const colours = { passed: 'green', failed: 'red', insufficient: 'yellow' } as const;

export function addProbeCommand(
  program: Command,
  context: CliContext,
  setExitCode: (code: number) => void,
): void {
  const probe = program
    .command('probe')
    .description('Cases that are asked again by the clock of what a label points at');
  probe
    .command('list')
    .description('Probes in force, each with its last run')
    .option('--json', 'print JSON')
    .action((options: { json?: boolean }) =>
      withGateway(context, async (client) => {
        const answer = await client.request<{ data: ProbeStateView[] }>('GET', '/v1/probes');
        context.out(options.json ? JSON.stringify(answer, null, 2) : renderProbes(answer.data));
      }),
    );
  probe
    .command('run')
    .description('Run a probe now; exits with 20 when it failed, with 21 when there was too little to say')
    .argument('<prompt>', 'whose probe')
    .option('--suite <name>', 'the suite that has it', 'default')
    .option('--json', 'print JSON')
    .action((prompt: string, { suite, json }: { suite: string; json?: boolean }) =>
      withGateway(context, async (client) => {
        const run: ProbeRunView = await followRun(
          client,
          '/v1/probes/runs',
          { prompt, suite },
          { begin() {}, progress: createProgress(context, process.stderr, countTrials, json ?? false) },
        );
        context.out(json ? JSON.stringify(run, null, 2) : renderRun(run));
        setExitCode(exitCodes[run.outcome?.outcome ?? 'insufficient']);
      }),
    );
}

function renderProbes(probes: readonly ProbeStateView[]): string {
  if (probes.length === 0)
    return 'There is no probe. A suite gets one with a member `probe`: docs/probes.md.';
  const header = [
    'probe',
    'label',
    'schedule (UTC)',
    'budget',
    'when it fails',
    'last run (UTC)',
    'version',
    'outcome',
  ];
  const rows = probes.map(({ last_run: last, ...probe }) => [
    `${probe.prompt}/${probe.suite}`,
    probe.label,
    probe.schedule,
    probe.daily_budget === null ? probe.budget : `${probe.budget}, ${probe.daily_budget} a day`,
    probe.on_failure,
    last ? renderTime(last.created_at) : '—',
    last ? `v${last.version}` : '—',
    last ? (last.outcome?.outcome ?? 'has not ended') : '—',
  ]);
  return renderTable(header, rows);
}

function renderRun({ prompt, suite, label, version, run_id, outcome }: ProbeRunView): string {
  const what = `${prompt}/${suite}, ${label} v${version}`;
  if (!outcome) return `probe  ${what}  has not ended`;
  const { passed_count, trial_count, failures, rollback } = outcome;
  const bought = outcome.simulated
    ? 'nothing was bought'
    : outcome.cost === null
      ? 'its cost is not known'
      : `${outcome.cost} ${outcome.currency ?? ''}`;
  return [
    `${paint(['bold', colours[outcome.outcome]], outcome.outcome.toUpperCase())}  ${what}: ${passed_count} of ${trial_count} answers passed; ${bought}`,
    ...outcome.reasons.map((reason) => `  ${oneLine(reason)}`),
    ...failures.map(
      (one) => `  ${oneLine(one.case)}${one.execution ? `: promptgate executions ${one.execution}` : ''}`,
    ),
    ...(rollback ? [renderRollback(rollback, prompt, label)] : []),
    paint('dim', `  run ${run_id}`),
  ].join('\n');
}

function renderRollback({ refusal }: { refusal: string | null }, prompt: string, label: string): string {
  return refusal === null
    ? `  ${paint('cyan', 'rolled back')}: promptgate history ${prompt} --label ${label}`
    : `  ${paint('yellow', 'not rolled back')}: ${oneLine(refusal)}`;
}
