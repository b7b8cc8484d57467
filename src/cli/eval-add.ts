import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { addCaseToSuite } from '../domain/add-case.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import type { CliContext } from './context.ts';
import { promptsDirectory } from './definition-files.ts';
import { withGateway } from './gateway-client.ts';
import { findSuiteFile, suiteExtension } from './suite-files.ts';

interface AddOptions {
  readonly fromExecution: string;
  readonly id?: string;
  readonly critical?: boolean;
  readonly assert?: string;
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

export function addEvalAddCommand(evaluate: Command, context: CliContext): void {
  evaluate
    .command('add')
    .description('Make a stored execution a case of the suite')
    .argument('<name>', 'prompt')
    .requiredOption('--from-execution <id>', 'the execution whose variables the case has')
    .option('--id <id>', 'what the case is called (default: execution-, and the end of its id)')
    .option('--critical', 'when it does not pass, nothing else matters')
    .option('--assert <type>', 'what is demanded of the answer, e.g. icontains or llm-rubric', 'equals')
    .option('--value <text>', 'what it is compared with (default: the answer that was given)')
    .option('--suite <file>', 'the suite file (default: NAME.eval.yaml, which is made where there is none)')
    .option('--dir <directory>', 'where the definitions are (default: PROMPTGATE_PROMPTS_DIR)')
    .action(async (name: string, options: AddOptions) => {
      const execution = await withGateway(context, (client) =>
        client.request<ExecutionDetail>('GET', `/v1/executions/${encodeURIComponent(options.fromExecution)}`),
      );
      refuseForeign(name, execution, options);
      const directory = promptsDirectory(context, options.dir);
      const path = options.suite
        ? resolve(context.directory, options.suite)
        : ((await findSuiteFile(directory, name)) ?? join(directory, `${name}${suiteExtension}`));
      const id = options.id ?? `execution-${execution.id.slice(-12)}`;
      const text = addCaseToSuite(existsSync(path) ? await readFile(path, 'utf8') : '', path, {
        promptName: name,
        id,
        critical: options.critical ?? false,
        description: `Execution ${execution.id} of version ${execution.version ?? '—'}`,
        variables: execution.input.variables,
        assertion: { type: options.assert ?? 'equals', value: options.value ?? execution.output },
      });
      await writeFile(path, text);
      context.out(
        `${relative(context.directory, path)} has the case ${id} now. Read it: the answer that was given need not be right.`,
      );
    });
}

function refuseForeign(name: string, execution: ExecutionDetail, options: AddOptions): void {
  if (execution.prompt !== name) {
    throw new PromptgateError(
      'invalid_request',
      `That execution is of the prompt "${execution.prompt}", not of "${name}".`,
    );
  }
  if (execution.input.messages?.length) {
    throw new PromptgateError(
      'invalid_request',
      'That execution had messages of its caller: a case has variables only.',
    );
  }
  if (execution.output === null && options.value === undefined) {
    throw new PromptgateError(
      'invalid_request',
      'That execution has no answer: say with --value what the answer has to be.',
    );
  }
}
