import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { readDefinitionSet } from '../application/definition-set.ts';
import { parseDefinition } from '../domain/definition.ts';
import type { TextSegment } from '../domain/definition-diff.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { DefinitionText } from '../domain/execution.ts';
import type { Json } from '../domain/json.ts';
import type { CliContext } from './context.ts';
import { promptsDirectory, readDefinitionFiles } from './definition-files.ts';
import { renderSegments, showValue } from './difference.ts';
import { withGateway } from './gateway-client.ts';
import { paint } from './render.ts';
import { addBatchOptions, type ReplayBatchOptions, readTarget, replayBatch } from './replay-batch.ts';
import { readVersion } from './version-argument.ts';

export interface ReplayOptions extends ReplayBatchOptions {
  readonly version?: number;
  readonly label?: string;
  readonly file?: string;
  readonly model?: string;
  readonly param?: Record<string, Json>;
}

/** What this command reads of the wire form. */
interface ReplayView {
  readonly original: ExecutionView;
  readonly departures: readonly { readonly part: string; readonly reason: string }[];
  readonly rendered_hash: string;
  readonly reproduced: boolean;
  readonly execution: ExecutionView | null;
  readonly comparison: {
    readonly equal: boolean | null;
    readonly segments: readonly TextSegment[] | null;
    readonly json: readonly { path: string; before?: Json; after?: Json }[] | null;
    readonly changes: readonly { name: string; before: Json; after: Json }[];
  } | null;
}

interface ExecutionView {
  readonly id: string;
  readonly prompt: string;
  readonly version: number | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** A dry run is to prove something: that it does not is no success. */
const notReproduced = 1;

export function addReplayCommand(
  program: Command,
  context: CliContext,
  setExitCode: (code: number) => void,
): void {
  const replay = program
    .command('replay')
    .description('Run an execution, or a sample of them, once more and show the answers against the old ones')
    .argument('[id]', 'execution id; left out for a sample of --prompt')
    .option('--version <number>', 'on another version', readVersion)
    .option('--label <label>', 'on the version that a label holds now')
    .option('--file <path>', 'on a definition file that need not be registered')
    .option('--model <model>', 'on another model')
    .option('--param <assignment>', 'with another parameter, e.g. temperature:=0; repeat it', collect)
    .option('--dry-run', 'render only, and prove that the messages are those that were sent')
    .option('--json', 'print JSON');
  replay.addHelpText('after', examples);
  addBatchOptions(replay).action(async (id: string | undefined, options: ReplayOptions) => {
    const { version, label, model, param } = options;
    const definition = options.file ? await readDraft(context, options.file) : undefined;
    const asked = { version, label, definition, model, parameters: param };
    const isOther = [version, label, definition, options.to].some((named) => named !== undefined);
    const end = (isReproduced: boolean) => {
      if (options.dryRun && !isOther && !isReproduced) setExitCode(notReproduced);
    };
    if (id === undefined) {
      const { reproduced, sample } = await replayBatch(context, asked, options);
      return end(reproduced === sample);
    }
    refuseBatchOptions(options);
    const body = { ...readTarget(asked, options.to), dry_run: options.dryRun ?? false };
    const one = await withGateway(context, (client) =>
      client.request<ReplayView>('POST', `/v1/executions/${encodeURIComponent(id)}/replays`, body),
    );
    context.out(options.json ? JSON.stringify(one, null, 2) : renderReplay(one));
    end(one.reproduced);
  });
}

const ofOne: readonly string[] = ['version', 'label', 'file', 'to', 'model', 'param', 'dryRun', 'json'];

/** What says how many are replayed, and within what. @throws PromptgateError invalid_request */
function refuseBatchOptions(options: ReplayOptions): void {
  const named = Object.keys(options).find((name) => !ofOne.includes(name));
  if (named === undefined) return;
  const flag = named.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new PromptgateError(
    'invalid_request',
    `--${flag} is of a sample: leave it out, or leave out the execution and name a --prompt.`,
  );
}

const examples = `
One execution:  promptgate replay 01a1fe7a-… --label staging
A sample:       promptgate replay --prompt summarize --from production --to staging --sample 100 --budget 0.50 --html report.html
Gone on with:   promptgate replay --resume RUN --budget 0.50
As cases:       promptgate eval add summarize --from-run RUN --changed 10`;

function collect(assignment: string, previous: Record<string, Json> = {}): Record<string, Json> {
  const [, name, value] = /^(\w+):?=([\s\S]*)$/.exec(assignment) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError('Write it as name:=JSON.');
  try {
    return { ...previous, [name]: JSON.parse(value) };
  } catch {
    return { ...previous, [name]: value };
  }
}

/** With the partials of the prompts directory that it includes. @throws PromptgateError invalid_request, not_found */
async function readDraft(context: CliContext, path: string): Promise<DefinitionText> {
  const source = await readFile(resolve(context.directory, path), 'utf8').catch((cause) => {
    throw new PromptgateError('not_found', `${path} cannot be read.`, { cause });
  });
  const files = await readDefinitionFiles(promptsDirectory(context, undefined)).catch(() => []);
  const { partials } = await readDefinitionSet(files);
  const definition = parseDefinition(source, { path, partial: (name) => partials.get(name) });
  return { source: definition.source, partials: definition.partials };
}

function renderReplay({
  original,
  departures,
  reproduced,
  rendered_hash,
  execution,
  comparison,
}: ReplayView) {
  const lines = [
    `${paint('bold', original.prompt || '(raw call)')}${original.version === null ? '' : ` v${original.version}`} ${original.id}`,
    ...departures.map(({ part, reason }) => `${paint('yellow', part)}: ${reason}`),
  ];
  if (reproduced) lines.push(`The messages are those that were sent: ${rendered_hash}`);
  if (!execution || !comparison) return lines.join('\n');
  lines.push('', `replayed as ${execution.id}`);
  if (execution.error) lines.push(paint('red', `${execution.error.code}: ${execution.error.message}`));
  if (comparison.equal !== null) {
    lines.push(
      comparison.equal ? paint('green', 'The answer is the same.') : paint('yellow', 'The answer differs.'),
    );
  }
  if (comparison.segments) lines.push('', renderSegments(comparison.segments));
  if (comparison.json?.length) {
    lines.push(
      '',
      paint('bold', 'as JSON'),
      ...comparison.json.map((change) => renderChange(change.path, change)),
    );
  }
  if (comparison.changes.length > 0) {
    lines.push('', ...comparison.changes.map((change) => renderChange(change.name, change)));
  }
  return lines.join('\n');
}

function renderChange(name: string, { before, after }: { before?: Json; after?: Json }): string {
  return `  ${name}: ${showValue(before ?? null)} → ${showValue(after ?? null)}`;
}
