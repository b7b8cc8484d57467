import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { addCasesToSuite, addCaseToSuite, type NewCase } from '../domain/add-case.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import type { ReplayBatchView } from '../http/replay-batch-view.ts';
import type { CliContext } from './context.ts';
import { promptsDirectory } from './definition-files.ts';
import { type GatewayClient, withGateway } from './gateway-client.ts';
import { findSuiteFile, readSuiteFile, suiteExtension } from './suite-files.ts';
import { readCount } from './version-argument.ts';

interface AddOptions {
  readonly fromExecution?: string;
  readonly fromRun?: string;
  readonly changed?: number;
  readonly failing?: boolean;
  readonly expect?: 'before' | 'after';
  readonly id?: string;
  readonly critical?: boolean;
  readonly assert: string;
  readonly value?: string;
  readonly suite?: string;
  readonly dir?: string;
}

interface ExecutionDetail {
  readonly id: string;
  readonly prompt: string;
  readonly version: number | null;
  readonly output: string | null;
  readonly input: { readonly variables: JsonObject; readonly messages: readonly object[] | null };
}

type Pair = ReplayBatchView['pairs'][number];

export function addEvalAddCommand(evaluate: Command, context: CliContext): void {
  evaluate
    .command('add')
    .description('Make a stored execution, or the sample of a batch of replays, cases of the suite')
    .argument('<name>', 'prompt')
    .option('--from-execution <id>', 'the execution whose variables the case has')
    .option('--from-run <run>', 'a batch of `replay --prompt`: a case for each input that the suite has not')
    .option('--changed <number>', 'with --from-run: only so many, whose answers changed most', readCount)
    .option('--failing', 'with --from-run: only those whose new answer fails the suite, or is none')
    .addOption(
      new Option('--expect <side>', 'with --from-run: whose answer is expected (default: before)').choices([
        'before',
        'after',
      ]),
    )
    .option('--id <id>', 'what the case is called (default: execution-, and the end of its id)')
    .option('--critical', 'when it does not pass, nothing else matters')
    .option('--assert <type>', 'what is demanded of the answer, e.g. similarity or llm-rubric', 'equals')
    .option('--value <text>', 'what it is compared with (default: the answer that was given)')
    .option('--suite <file>', 'the suite file (default: NAME.eval.yaml, which is made where there is none)')
    .option('--dir <directory>', 'where the definitions are (default: PROMPTGATE_PROMPTS_DIR)')
    .action(async (name: string, options: AddOptions) => {
      refuseMixed(options);
      const directory = promptsDirectory(context, options.dir);
      const path = options.suite
        ? resolve(context.directory, options.suite)
        : ((await findSuiteFile(directory, name)) ?? join(directory, `${name}${suiteExtension}`));
      const add = options.fromRun === undefined ? addOne : addSample;
      const { text, told } = await withGateway(context, (client) =>
        add(client, name, options, { path, directory, shown: relative(context.directory, path) }),
      );
      await writeFile(path, text);
      context.out(told);
    });
}

function refuseMixed({ fromExecution, fromRun, changed, failing, expect, id }: AddOptions): void {
  if ((fromExecution === undefined) === (fromRun === undefined)) {
    throw new PromptgateError('invalid_request', 'Say --from-execution ID, or --from-run RUN.');
  }
  if (fromRun === undefined && (changed !== undefined || failing || expect !== undefined)) {
    throw new PromptgateError(
      'invalid_request',
      '--changed, --failing and --expect are of the sample of --from-run.',
    );
  }
  if (fromRun !== undefined && id !== undefined) {
    throw new PromptgateError('invalid_request', '--id names one case: leave it out with --from-run.');
  }
}

interface Place {
  readonly path: string;
  readonly directory: string;
  /** What messages call it. */
  readonly shown: string;
}

interface Added {
  /** Of the whole suite. */
  readonly text: string;
  readonly told: string;
}

async function addOne(
  client: GatewayClient,
  name: string,
  options: AddOptions,
  { path, shown }: Place,
): Promise<Added> {
  const execution = await readExecution(client, options.fromExecution ?? '');
  if (execution.prompt !== name) {
    throw new PromptgateError(
      'invalid_request',
      `That execution is of the prompt "${execution.prompt}", not of "${name}".`,
    );
  }
  const fault = findFault(execution, options);
  if (fault !== undefined) throw new PromptgateError('invalid_request', `That execution ${fault}`);
  const added = toCase(name, execution, execution, options);
  return {
    text: addCaseToSuite(existsSync(path) ? await readFile(path, 'utf8') : '', path, added),
    told: `${shown} has the case ${added.id} now. Read it: the answer that was given need not be right.`,
  };
}

async function addSample(
  client: GatewayClient,
  name: string,
  options: AddOptions,
  { path, directory, shown }: Place,
): Promise<Added> {
  const run = encodeURIComponent(options.fromRun ?? '');
  const batch = await client.request<ReplayBatchView>('GET', `/v1/replays/${run}`);
  if (batch.prompt !== name) {
    throw new PromptgateError(
      'invalid_request',
      `That run is of the prompt "${batch.prompt}", not of "${name}".`,
    );
  }
  const pairs = pick(batch, options);
  const left: string[] = [];
  const cases: NewCase[] = [];
  for (const { execution_id, before, after } of pairs) {
    if (!before) {
      left.push(`${execution_id} is not kept any more`);
      continue;
    }
    const asked = await readExecution(client, execution_id);
    const said = options.expect === 'after' ? await readExecution(client, after?.execution_id ?? '') : asked;
    const fault = findFault({ ...asked, output: said.output }, options);
    if (fault === undefined) cases.push(toCase(name, asked, said, options));
    else left.push(`${execution_id} ${fault}`);
  }
  const { source, files } = existsSync(path)
    ? await readSuiteFile(path, directory)
    : { source: '', files: {} };
  const result = addCasesToSuite(source, path, files, cases);
  left.push(...result.refused.map(({ id, message }) => `${id} is no case: ${message}`));
  return { text: result.text, told: tell(shown, pairs.length, result, left) };
}

/** Those that were not replayed have no new answer to be picked by, or to be expected. */
function pick({ pairs, suite }: ReplayBatchView, { changed, failing, expect }: AddOptions): readonly Pair[] {
  if (failing && !suite) {
    throw new PromptgateError('invalid_request', 'That prompt has no suite yet, so nothing could fail it.');
  }
  const picked = pairs
    .filter(({ after }) => expect !== 'after' || after !== null)
    .filter(({ after }) => !failing || (after !== null && (after.passed === false || !after.ok)));
  if (changed === undefined) return picked;
  return picked
    .filter(({ change }) => (change ?? 0) > 0)
    .sort((a, b) => (b.change ?? 0) - (a.change ?? 0))
    .slice(0, changed);
}

function tell(
  shown: string,
  picked: number,
  { added, duplicates }: { readonly added: number; readonly duplicates: number },
  left: readonly string[],
): string {
  return [
    `${shown} has ${added} more ${added === 1 ? 'case' : 'cases'}, of ${picked} picked.`,
    ...(duplicates > 0 ? [`${duplicates} ask what a case asks already.`] : []),
    ...left,
    ...(added > 0
      ? [
          'They hold what callers sent, word for word: take out what must not be in your repository. Read them: the answers that were given need not be right.',
        ]
      : []),
  ].join('\n');
}

function readExecution(client: GatewayClient, id: string): Promise<ExecutionDetail> {
  return client.request<ExecutionDetail>('GET', `/v1/executions/${encodeURIComponent(id)}`);
}

/** Completes “That execution …”. */
function findFault({ input, output }: ExecutionDetail, { value }: AddOptions): string | undefined {
  if (input.messages?.length) return 'had messages of its caller: a case has variables only.';
  if (output !== null || value !== undefined) return undefined;
  return 'has no answer: say with --value what the answer has to be.';
}

function toCase(
  promptName: string,
  asked: ExecutionDetail,
  said: ExecutionDetail,
  { id, critical, assert, value }: AddOptions,
): NewCase {
  return {
    promptName,
    id: id ?? `execution-${asked.id.slice(-12)}`,
    critical: critical ?? false,
    description: `Execution ${said.id} of version ${said.version ?? '—'}`,
    variables: asked.input.variables,
    assertion: { type: assert, value: value ?? said.output },
  };
}
