import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import { PromptgateError } from '../domain/errors.ts';
import type { CliContext } from './context.ts';
import { type ServerEvent, toFailure, withGateway } from './gateway-client.ts';
import { paint } from './render.ts';
import { readVersion } from './version-argument.ts';

interface RunOptions {
  readonly var: Record<string, unknown>;
  readonly vars?: string;
  readonly label?: string;
  readonly version?: number;
  readonly json?: boolean;
  readonly stream?: boolean;
}

interface ExecutionView {
  readonly id: string;
  readonly prompt: string;
  readonly version: number;
  readonly label: string | null;
  readonly output: string | null;
  readonly model: string;
  readonly simulated: boolean;
  readonly usage: { readonly prompt_tokens: number | null; readonly completion_tokens: number | null };
  readonly cost: string | null;
  readonly latency_ms: number;
}

export function addRunCommand(program: Command, context: CliContext): void {
  program
    .command('run')
    .description('Execute a prompt by name')
    .argument('<name>', 'prompt name')
    .option(
      '--var <assignment>',
      'k=v is text, k:=v is JSON, k=@file is the text of a file; repeat it',
      collect,
      {},
    )
    .option('--vars <file>', 'a JSON file with all variables')
    .option('--label <label>', 'label to resolve (default: production)')
    .option('--version <number>', 'version to run instead of a label', readVersion)
    .option('--stream', 'print the answer while it is made; with --json each event, one a line')
    .option('--json', 'print the whole execution as JSON')
    .action(async (name: string, options: RunOptions) => {
      const variables = { ...(options.vars ? readVariables(options.vars) : {}), ...options.var };
      await withGateway(context, async (client) => {
        const path = `/v1/prompts/${encodeURIComponent(name)}/executions`;
        const body = { variables, label: options.label, version: options.version };
        if (options.stream) {
          return printStream(context, client.events('POST', path, { ...body, stream: true }), options);
        }
        const execution = await client.request<ExecutionView>('POST', path, body);
        if (options.json) return context.out(JSON.stringify(execution, null, 2));
        context.out(execution.output ?? '');
        context.err(paint('dim', summarise(execution)));
      });
    });
}

/** What is piped on is the answer alone, without its reasoning. @throws PromptgateError what an event tells of */
async function printStream(
  context: CliContext,
  events: AsyncIterable<ServerEvent>,
  { json }: RunOptions,
): Promise<void> {
  for await (const { event, data } of events) {
    if (event === 'error') throw toFailure(data, 200);
    if (json) context.out(JSON.stringify({ event, data }));
    else if (event === 'delta') context.out(toPiece(data as Delta), '');
    else if (event === 'done') {
      context.out('');
      context.err(paint('dim', summarise(data as ExecutionView)));
    }
  }
}

interface Delta {
  readonly type: string;
  readonly text?: string;
}

function toPiece({ type, text = '' }: Delta): string {
  return type === 'text' || type === 'refusal' ? text : '';
}

function collect(assignment: string, previous: Record<string, unknown>): Record<string, unknown> {
  const match = /^([^=:]+)(:=|=@|=)([\s\S]*)$/.exec(assignment);
  if (!match) throw new InvalidArgumentError('Write it as name=text, name:=JSON or name=@file.');
  const [, name, operator, value] = match as unknown as [string, string, string, string];
  if (operator === '=') return { ...previous, [name]: value };
  if (operator === '=@') return { ...previous, [name]: readText(value) };
  try {
    return { ...previous, [name]: JSON.parse(value) };
  } catch {
    throw new InvalidArgumentError(`The value of ${name} is not JSON.`);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new InvalidArgumentError(`The file ${path} cannot be read.`);
  }
}

function readVariables(path: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new PromptgateError('invalid_request', `${path} is not a readable JSON file.`, { cause });
  }
}

function summarise(execution: ExecutionView): string {
  const parts = [
    `${execution.prompt} v${execution.version}${execution.label ? ` (${execution.label})` : ''}`,
    execution.simulated ? `${execution.model}, SIMULATED` : execution.model,
    `${execution.usage.prompt_tokens ?? '?'} + ${execution.usage.completion_tokens ?? '?'} tokens`,
    execution.cost === null ? 'cost unknown' : `cost ${execution.cost}`,
    `${execution.latency_ms.toFixed(0)} ms`,
    execution.id,
  ];
  return parts.join(' · ');
}
