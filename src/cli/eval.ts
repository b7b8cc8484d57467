import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { isPartial } from '../application/definition-set.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { EvaluationReportView, TrialProgressView } from '../http/evaluation-view.ts';
import type { CliContext } from './context.ts';
import { promptsDirectory, readDefinitionFiles } from './definition-files.ts';
import { addEvalAddCommand } from './eval-add.ts';
import { renderJunit, renderMarkdown, renderReport } from './eval-report.ts';
import { type GatewayClient, withGateway } from './gateway-client.ts';
import { paint } from './render.ts';
import { createProgress, followRun } from './run-progress.ts';
import { findSuiteFile, readSuiteFile } from './suite-files.ts';
import { readDuration } from './time.ts';
import { readCount, readVersion } from './version-argument.ts';

export interface EvalOptions {
  readonly version?: number;
  readonly label?: string;
  readonly file?: string;
  readonly suite?: string;
  readonly judge?: string;
  readonly repeats?: number;
  readonly concurrency?: number;
  readonly budget?: string;
  readonly timeout?: string;
  readonly against?: string;
  readonly gate?: string;
  readonly resume?: string;
  readonly retryUnanswered?: boolean;
  readonly dir?: string;
  readonly json?: boolean;
  readonly junit?: string;
  readonly markdown?: string;
}

/** Distinct from the codes of the error table: the run itself went well. */
export const evaluationExitCodes = { passed: 0, failed: 20, insufficient: 21 } as const;

export function addEvalCommand(
  program: Command,
  context: CliContext,
  setExitCode: (code: number) => void,
): void {
  const evaluate = program
    .command('eval')
    .description('Run suites on versions: the evidence that gates ask for');
  evaluate
    .command('run', { isDefault: true })
    .description('Run a suite on a version, and record what it came to; `run` may be left out')
    .argument('<name>', 'prompt')
    .option('--version <number>', 'version to run (default: the newest)', readVersion)
    .option('--label <label>', 'the version that this label holds')
    .option('--file <file>', 'a .prompt file that is no version yet: no evidence is recorded')
    .option('--suite <suite>', 'a suite file, or the name of a registered one (default: NAME.eval.yaml)')
    .option('--judge <prompt@version>', 'who judges rubrics, where the suite does not say')
    .option('--repeats <number>', 'trials of each case, instead of what the suite says', readCount)
    .option('--concurrency <number>', 'calls at one time, at most 32 (default: 4)', readCount)
    .option('--budget <amount>', 'the most that the run may cost, in the currency of the provider')
    .option('--timeout <time>', 'start no call after this: 90s, 15m, 2h')
    .option('--against <label>', 'run what this label holds beside it, and compare case by case')
    .option('--gate <label>', 'as its gate asks: the suite as registered, its tries, against what it holds')
    .option('--resume <run>', 'go on with a run: what was answered is not asked again')
    .option(
      '--retry-unanswered',
      'with --resume: ask again what got no answer, though it may have been paid for',
    )
    .option('--dir <directory>', 'where the definitions are (default: PROMPTGATE_PROMPTS_DIR)')
    .option('--json', 'print JSON')
    .option('--junit <file>', 'write the report as JUnit XML')
    .option('--markdown <file>', 'write the report as Markdown, for the pull request')
    .addHelpText(
      'after',
      '\nExit code: 0 passed; 20 failed; 21 insufficient evidence; else that of an error.',
    )
    .action(async (name: string, options: EvalOptions) => {
      const report = await withGateway(context, (client) => runEvaluation(context, client, name, options));
      context.out(options.json ? JSON.stringify(report, null, 2) : renderReport(report));
      setExitCode(evaluationExitCodes[report.verdict]);
    });
  addEvalAddCommand(evaluate, context);
}

/** Runs and shows how far it is; writes the files that were asked for. */
export async function runEvaluation(
  context: CliContext,
  client: GatewayClient,
  name: string,
  options: EvalOptions,
): Promise<EvaluationReportView> {
  const body = await toBody(context, name, options);
  const path = `/v1/prompts/${encodeURIComponent(name)}/evaluations`;
  const report: EvaluationReportView = await followRun(client, path, body, {
    begin: (run: StartedRun) => begin(context, name, run, options),
    progress: createProgress(context, process.stderr, countTrials, options.json ?? false),
  });
  if (options.junit) await writeFile(resolve(context.directory, options.junit), renderJunit(report));
  if (options.markdown) await writeFile(resolve(context.directory, options.markdown), renderMarkdown(report));
  return report;
}

export function countTrials({ passed, failed, open }: TrialProgressView): string[] {
  return [`${passed} passed`, `${failed} failed`, ...(open > 0 ? [`${open} without a verdict`] : [])];
}

interface StartedRun {
  readonly run_id: string;
  readonly trials: number;
  readonly warnings: readonly { readonly path: string; readonly message: string }[];
}

function begin(context: CliContext, name: string, run: StartedRun, options: EvalOptions): void {
  for (const { path, message } of run.warnings) context.err(paint('yellow', `${path}: ${message}`));
  context.err(
    paint(
      'dim',
      `run ${run.run_id}: ${run.trials} trials; if it is cut short: promptgate eval ${name} --resume ${run.run_id}${again(options)}`,
    ),
  );
}

/** What has to be said again for the same run, and for the same cap. */
function again({ version, label, file, suite, judge, repeats, against, gate, budget }: EvalOptions): string {
  const said = { version, label, file, suite, judge, repeats, against, gate, budget };
  return Object.entries(said)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` --${key} ${value}`)
    .join('');
}

async function toBody(context: CliContext, name: string, options: EvalOptions): Promise<object> {
  const directory = promptsDirectory(context, options.dir);
  const { version, label, judge, repeats, concurrency, budget, against, gate, resume } = options;
  const given = { version, label, judge, repeats, concurrency, budget, against, gate, resume };
  return {
    ...given,
    ...(options.file ? { definition: await readDraft(context, directory, options.file) } : {}),
    ...(await readSuite(context, directory, name, options.suite)),
    ...(options.timeout ? { timeout_ms: readDuration(options.timeout) } : {}),
    retry_unanswered: options.retryUnanswered ?? false,
  };
}

/** The file beside the prompt, else what is registered under the name. */
async function readSuite(
  context: CliContext,
  directory: string,
  name: string,
  said: string | undefined,
): Promise<object> {
  const named = said === undefined ? undefined : resolve(context.directory, said);
  const isFile = named !== undefined && existsSync(named);
  if (said !== undefined && !isFile) {
    if (!/[./]/.test(said)) return { suite: said };
    throw new PromptgateError('not_found', `There is no suite at ${named}.`);
  }
  const location = named ?? (await findSuiteFile(directory, name));
  if (location === undefined) return {};
  const { path, source, files } = await readSuiteFile(location, directory);
  return { suite: { path, source, files } };
}

async function readDraft(context: CliContext, directory: string, file: string): Promise<object> {
  const location = resolve(context.directory, file);
  const source = await readFile(location, 'utf8').catch((cause) => {
    throw new PromptgateError('not_found', `The file ${location} cannot be read.`, { cause });
  });
  const known = existsSync(directory)
    ? await readDefinitionFiles(directory)
    : await readDefinitionFiles(dirname(location));
  const partials = known
    .filter(isPartial)
    .map(({ path, source: text }) => [basename(path, '.prompt').slice(1), text]);
  return { path: basename(location), source, partials: Object.fromEntries(partials) };
}
