import type { Command } from 'commander';
import { PromptgateError } from '../domain/errors.ts';
import type { CliContext } from './context.ts';
import { type PolicyView, renderGate } from './gate-report.ts';
import { withGateway } from './gateway-client.ts';
import { readDuration } from './time.ts';

interface SetOptions {
  readonly prompt?: string;
  readonly suite?: string;
  readonly threshold?: string;
  readonly lowerBound?: string;
  readonly repeats?: string;
  readonly maxAge?: string;
  readonly margin?: string;
  readonly simulated?: boolean;
  readonly only?: string[];
  readonly anyone?: boolean;
  readonly reason?: string;
  readonly json?: boolean;
}

export function addGateCommand(program: Command, context: CliContext): void {
  const gate = program
    .command('gate')
    .description('Labels that take a version only with evidence, or only from certain keys');
  addSet(gate, context);
  gate
    .command('show')
    .description('What a label asks for, how what it holds stands to that, who may move it, every change')
    .argument('<label>', 'e.g. production')
    .option('--json', 'print JSON')
    .action((label: string, options: { json?: boolean }) =>
      withGateway(context, async (client) => {
        const answer = await client.request<Parameters<typeof renderGate>[1]>('GET', pathOf(label));
        context.out(options.json ? JSON.stringify(answer, null, 2) : renderGate(label, answer));
      }),
    );
}

const states: Readonly<Record<string, boolean | null>> = { on: true, off: false, inherit: null };

function addSet(gate: Command, context: CliContext): void {
  gate
    .command('set')
    .description('Gate a label or open it; say what it asks of a version and which keys may move it')
    .argument('<label>', 'e.g. production')
    .argument('<state>', 'on or off; with --prompt also `inherit`: as for every prompt')
    .option('--prompt <name>', 'for this prompt alone')
    .option('--suite <name>', "the suite that speaks (default: the prompt's own)")
    .option('--threshold <rate>', 'pass rate that a version has to reach, e.g. 0.95 or 95%')
    .option('--lower-bound <rate>', 'pass rate that the run has to prove, at its confidence')
    .option('--repeats <number>', 'how often each case has to be tried')
    .option('--max-age <time>', 'how old evidence may be, e.g. 30d')
    .option('--margin <rate>', 'how much worse than what the label holds it may be, e.g. 0.02')
    .option('--simulated', 'answers of the simulated provider count: for trying gates out')
    .option('--no-simulated', 'they do not count (default)')
    .option('--only <keys...>', 'names of the keys that alone may move it')
    .option('--anyone', 'every key with the scope `deploy` may move it again')
    .option('--reason <text>', 'why; it is kept')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nWhat is left out stays as it is; `none` takes a condition back.')
    .action((label: string, state: string, options: SetOptions) =>
      withGateway(context, async (client) => {
        const gated = states[state];
        if (gated === undefined || (gated === null && options.prompt === undefined)) {
          throw new PromptgateError(
            'invalid_request',
            'A gate is set `on` or `off`; with --prompt also `inherit`.',
          );
        }
        const requirements = readRequirements(options);
        const answer = await client.request<{ changed: boolean; policy: PolicyView | null }>(
          'PUT',
          pathOf(label),
          {
            gated,
            ...(options.prompt ? { prompt: options.prompt } : {}),
            ...(Object.keys(requirements).length > 0 ? { requirements } : {}),
            ...(options.anyone ? { keys: null } : options.only ? { keys: options.only } : {}),
            ...(options.reason ? { reason: options.reason } : {}),
          },
        );
        if (options.json) return context.out(JSON.stringify(answer, null, 2));
        const what = options.prompt ? `${label} for ${options.prompt}` : label;
        context.out(
          answer.changed
            ? `The policy of ${what} is set.`
            : `The policy of ${what} was that already; nothing was recorded.`,
        );
      }),
    );
}

function pathOf(label: string): string {
  return `/v1/labels/${encodeURIComponent(label)}/gate`;
}

function readRequirements(options: SetOptions): Record<string, unknown> {
  const read = <T>(text: string | undefined, parse: (text: string) => T) =>
    text === undefined ? undefined : text === 'none' ? null : parse(text);
  const all = {
    suite: read(options.suite, String),
    pass_rate_min: read(options.threshold, (text) => readRate('--threshold', text)),
    lower_bound_min: read(options.lowerBound, (text) => readRate('--lower-bound', text)),
    repeats_min: read(options.repeats, Number),
    age_max_s: read(options.maxAge, (text) => readDuration(text) / 1_000),
    margin_max: read(options.margin, (text) => readRate('--margin', text)),
    simulated: options.simulated,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** `0.95` or `95%`. @throws PromptgateError invalid_request */
function readRate(option: string, text: string): number {
  const [, number, percent] = /^(\d{1,3}(?:\.\d+)?)(%?)$/.exec(text) ?? [];
  const rate = percent ? Number(number) / 100 : Number(number);
  if (rate >= 0 && rate <= 1) return rate;
  throw new PromptgateError('invalid_request', `${option} is a rate from 0 to 1, e.g. 0.95 or 95%.`);
}
