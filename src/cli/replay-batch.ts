/** `replay --prompt`: a sample of executions once more, its progress, and the reports of what moved. */
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { PromptgateError } from '../domain/errors.ts';
import { sampleStrata } from '../domain/replay-sample.ts';
import type { PairProgressView } from '../http/replay-batch-routes.ts';
import type { ReplayBatchView } from '../http/replay-batch-view.ts';
import type { CliContext } from './context.ts';
import { type GatewayClient, withGateway } from './gateway-client.ts';
import { paint } from './render.ts';
import { renderHtml } from './replay-html.ts';
import { renderBatch, renderMarkdown } from './replay-report.ts';
import { createProgress, followRun } from './run-progress.ts';
import { readDuration, readTime } from './time.ts';
import { readCount } from './version-argument.ts';

export interface ReplayBatchOptions {
  readonly prompt?: string;
  readonly from?: string;
  readonly to?: string;
  readonly since?: string;
  readonly until?: string;
  readonly sample?: number;
  readonly seed?: string;
  readonly stratify?: readonly string[];
  readonly concurrency?: number;
  readonly budget?: string;
  readonly rate?: number;
  readonly timeout?: string;
  readonly suite?: string;
  readonly resume?: string;
  readonly retryUnanswered?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly markdown?: string;
  readonly html?: string;
}

export function addBatchOptions(command: Command): Command {
  return command
    .option('--prompt <name>', 'replay a sample of the calls of this prompt')
    .option('--from <label|version>', 'of calls of this label or version (default: any)')
    .option('--to <label|version>', 'on what this label holds now, or on this version')
    .option('--since <time>', 'of calls since then: 2026-11-17, 24h, 7d (default: 7d)')
    .option('--until <time>', 'of calls before then (default: now)')
    .option('--sample <number>', 'how many, at most 2000 (default: 200)', readCount)
    .option('--seed <text>', 'draw the same sample again')
    .option('--stratify <groups>', `of each group its share: ${sampleStrata.join(',')}`, readStrata)
    .option('--concurrency <number>', 'calls at one time, at most 32 (default: 4)', readCount)
    .option('--budget <amount>', 'the most that the sample may cost, in the currency of the provider')
    .option('--rate <calls>', 'calls that start in a time at most: 10/s, 300/m', readRate)
    .option('--timeout <time>', 'start no call after this: 90s, 15m, 2h')
    .option('--suite <name>', 'a registered suite that judges both sides (default: default, if there is one)')
    .option('--resume <run>', 'go on with a sample: what was answered is not asked again')
    .option(
      '--retry-unanswered',
      'with --resume: ask again what got no answer, though it may have been paid for',
    )
    .option('--markdown <file>', 'write the report as Markdown, for the pull request')
    .option('--html <file>', 'write the report as one HTML page with plots');
}

/** What runs instead of what was, as a single replay has it. */
interface BatchTarget {
  readonly version?: number | undefined;
  readonly label?: string | undefined;
  readonly definition?: object | undefined;
  readonly model?: string | undefined;
  readonly parameters?: object | undefined;
}

export async function replayBatch(
  context: CliContext,
  target: BatchTarget,
  options: ReplayBatchOptions,
): Promise<ReplayBatchView> {
  const body = toBody(target, options);
  const report = await withGateway(context, (client) => run(context, client, body, options));
  const write = (file: string, text: string) => writeFile(resolve(context.directory, file), text);
  if (options.markdown) await write(options.markdown, renderMarkdown(report));
  if (options.html) await write(options.html, renderHtml(report));
  context.out(options.json ? JSON.stringify(report, null, 2) : renderBatch(report));
  return report;
}

function run(
  context: CliContext,
  client: GatewayClient,
  body: object,
  options: ReplayBatchOptions,
): Promise<ReplayBatchView> {
  const counts = ({ same, changed, failed }: PairProgressView) =>
    options.dryRun
      ? []
      : [`${same} the same`, `${changed} changed`, ...(failed > 0 ? [`${failed} without an answer`] : [])];
  return followRun(client, '/v1/replays', body, {
    begin: (started: StartedRun) => begin(context, started, options),
    progress: createProgress(context, process.stderr, counts, options.json ?? false),
  });
}

interface StartedRun {
  readonly run_id: string;
  readonly sample: number;
  readonly population: number;
  readonly seed: string;
}

function begin(
  context: CliContext,
  { run_id, sample, population, seed }: StartedRun,
  options: ReplayBatchOptions,
): void {
  const again = options.dryRun ? '' : `; if it is cut short: ${resumption(run_id, options)}`;
  context.err(paint('dim', `run ${run_id}: ${sample} of ${population} calls, seed ${seed}${again}`));
}

/** The run knows what it is of; what it may take has to be said again. */
function resumption(run: string, options: ReplayBatchOptions): string {
  const { budget, concurrency, rate, suite, markdown, html } = options;
  const perMinute = rate === undefined ? undefined : `${rate}/m`;
  const said = Object.entries({ budget, concurrency, rate: perMinute, suite, markdown, html });
  const again = said.flatMap(([name, value]) => (value === undefined ? [] : [` --${name} ${value}`]));
  return `promptgate replay --resume ${run}${again.join('')}`;
}

function toBody(target: BatchTarget, options: ReplayBatchOptions): object {
  const { suite, concurrency, budget, rate, timeout } = options;
  const limits = {
    ...{ suite, concurrency, budget, calls_per_minute: rate },
    ...(timeout === undefined ? {} : { timeout_ms: readDuration(timeout) }),
  };
  if (options.resume !== undefined) {
    refuseDraw(target, options);
    return { ...limits, resume: options.resume, retry_unanswered: options.retryUnanswered ?? false };
  }
  if (options.prompt === undefined) {
    throw new PromptgateError(
      'invalid_request',
      'Name an execution, or the prompt of a sample with --prompt.',
    );
  }
  const { from, to, since, until, sample, seed, stratify } = options;
  const now = Date.now();
  const source = readSide(from);
  return {
    ...{ ...limits, prompt: options.prompt, sample, seed, stratify },
    ...{ from_label: source.label, from_version: source.version },
    to: readTarget(target, to),
    ...(since === undefined ? {} : { since: readTime(since, now) }),
    ...(until === undefined ? {} : { until: readTime(until, now) }),
    dry_run: options.dryRun ?? false,
  };
}

/** With what `--to` names. @throws PromptgateError invalid_request — it is named twice */
export function readTarget(target: BatchTarget, to: string | undefined): BatchTarget {
  if (to === undefined) return target;
  if (target.version === undefined && target.label === undefined) return { ...target, ...readSide(to) };
  throw new PromptgateError(
    'invalid_request',
    '--to names a version or a label: leave out --version and --label.',
  );
}

/** A run says itself what it is of: another sample or target would be another run. */
function refuseDraw(target: BatchTarget, options: ReplayBatchOptions): void {
  const { prompt, from, to, since, until, sample, seed, stratify, dryRun } = options;
  const { version, label, definition: file, model, parameters: param } = target;
  const said = { prompt, from, to, since, until, sample, seed, stratify, 'dry-run': dryRun };
  const other = { version, label, file, model, param };
  const [named] = Object.entries({ ...said, ...other }).find(([, value]) => value !== undefined) ?? [];
  if (named === undefined) return;
  throw new PromptgateError('invalid_request', `--resume goes on with what was drawn: leave out --${named}.`);
}

function readSide(text: string | undefined): { version?: number; label?: string } {
  if (text === undefined) return {};
  const [, number] = /^v?(\d+)$/.exec(text) ?? [];
  return number === undefined ? { label: text } : { version: Number(number) };
}

function readStrata(text: string): string[] {
  const groups = text.split(',').map((group) => group.trim());
  if (groups.every((group) => sampleStrata.some((known) => known === group))) return groups;
  throw new InvalidArgumentError(`It is ${sampleStrata.join(', ')}, or both with a comma.`);
}

const minutes = { s: 60, m: 1, h: 1 / 60 } as const;

function readRate(text: string): number {
  const [, calls, unit] = /^(\d+(?:\.\d+)?)\/(s|m|h)$/.exec(text) ?? [];
  if (calls === undefined || Number(calls) === 0) {
    throw new InvalidArgumentError('It is written 10/s, 300/m or 1000/h.');
  }
  return Number(calls) * minutes[unit as keyof typeof minutes];
}
