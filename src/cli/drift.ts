import type { Command } from 'commander';
import type { CliContext } from './context.ts';
import { withGateway } from './gateway-client.ts';
import { oneLine, paint } from './render.ts';
import { readTime, renderTime } from './time.ts';

interface SubjectView {
  readonly prompt: string;
  readonly version: number;
  readonly purpose: string;
  readonly simulated: boolean;
  readonly provider: string;
  readonly model: string;
}

interface FindingView extends SubjectView {
  readonly measure: string;
  readonly before: string;
  readonly after: string;
  readonly corrected_p: number | null;
  readonly look_closer: string | null;
  readonly known_since: string | null;
  readonly created_at: string;
}

interface RunView {
  readonly baseline_since: string;
  readonly since: string;
  readonly until: string;
  readonly tests: number;
  readonly compared: readonly (SubjectView & {
    readonly baseline_count: number;
    readonly now_count: number;
    readonly note: string | null;
  })[];
  readonly findings: readonly FindingView[];
}

interface DriftOptions {
  readonly prompt?: string;
  readonly since: string;
  readonly until?: string;
  readonly baseline?: string;
  readonly json?: boolean;
}

export function addDriftCommand(
  program: Command,
  context: CliContext,
  setExitCode: (code: number) => void,
): void {
  const drift = program
    .command('drift')
    .description('What a model does that it did not do before, of the same prompt version');
  drift
    .command('run', { isDefault: true })
    .description(
      'Compare what prompts did lately with what they did before; exits with 1 when something moved',
    )
    .option('--prompt <name>', 'of one prompt; default: all')
    .option('--since <time>', 'compare executions from this time on: 24h, 2026-11-20 …', '24h')
    .option('--until <time>', 'before this time; default: now')
    .option('--baseline <time>', 'with those from this time on until --since; default: 7 days before --since')
    .option('--json', 'print JSON')
    .action((options: DriftOptions) =>
      withGateway(context, async (client) => {
        const now = Date.now();
        const run = await client.request<RunView>('POST', '/v1/drift/runs', {
          prompt: options.prompt,
          since: readTime(options.since, now),
          ...(options.until ? { until: readTime(options.until, now) } : {}),
          ...(options.baseline ? { baseline_since: readTime(options.baseline, now) } : {}),
        });
        context.out(options.json ? JSON.stringify(run, null, 2) : renderRun(run));
        if (run.findings.length > 0) setExitCode(1);
      }),
    );
  drift
    .command('findings')
    .description('List what runs found, newest first')
    .option('--prompt <name>', 'of one prompt')
    .option('--since <time>', 'found from this time on', '7d')
    .option('--limit <number>', 'so many at most', '50')
    .option('--json', 'print JSON')
    .action(
      ({ since, limit, prompt, json }: { since: string; limit: string; prompt?: string; json?: boolean }) =>
        withGateway(context, async (client) => {
          const query = new URLSearchParams({
            since: readTime(since, Date.now()),
            limit,
          });
          if (prompt) query.set('prompt', prompt);
          const found = await client.request<{ data: FindingView[] }>('GET', `/v1/drift/findings?${query}`);
          context.out(
            json
              ? JSON.stringify(found, null, 2)
              : found.data.map(renderFinding).join('\n') || 'Nothing was found.',
          );
        }),
    );
}

function renderRun({ baseline_since, since, until, tests, compared, findings }: RunView): string {
  const notes = compared.filter(({ note }) => note !== null);
  return [
    paint(
      'dim',
      `${renderTime(baseline_since)} to ${renderTime(since)} against ${renderTime(since)} to ${renderTime(until)} UTC`,
    ),
    compared.length === 0
      ? 'There were no calls to compare.'
      : findings.map(renderFinding).join('\n') || `Nothing moved: ${tests} tests.`,
    ...notes.map((one) =>
      paint('dim', `${nameOf(one)}: ${one.baseline_count} against ${one.now_count} executions; ${one.note}`),
    ),
  ].join('\n');
}

function renderFinding(finding: FindingView): string {
  const { measure, before, after, corrected_p, look_closer, known_since } = finding;
  const sure =
    corrected_p === null ? 'a fact' : `p ${corrected_p < 0.0001 ? '< 0.0001' : corrected_p.toFixed(4)}`;
  const since = known_since === null ? 'new' : `known since ${renderTime(known_since)}`;
  return [
    `${paint('yellow', 'drift')}  ${nameOf(finding)}  ${paint('bold', oneLine(measure))}  ${sure}, ${since}`,
    `  before  ${oneLine(before)}`,
    `  now     ${oneLine(after)}`,
    ...(look_closer ? [`  closer  ${look_closer}`] : []),
  ].join('\n');
}

function nameOf({ prompt, version, purpose, simulated, model }: SubjectView): string {
  const extra = [...(purpose === 'call' ? [] : [`${purpose}s`]), ...(simulated ? ['simulated'] : [])];
  return `${prompt} v${version} on ${oneLine(model)}${extra.length > 0 ? ` (${extra.join(', ')})` : ''}`;
}
