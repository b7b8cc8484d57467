/** argv → one command. Every command parses, asks the gateway and prints; none has logic of its own. */
import { Command, CommanderError } from 'commander';
import { version } from '../config.ts';
import { errorTable, toPromptgateError } from '../domain/errors.ts';
import { addArchiveCommand } from './archive.ts';
import { addAuditCommand } from './audit.ts';
import { addBudgetCommand } from './budget.ts';
import { addCheckCommand } from './check.ts';
import { addConfigCommand } from './config.ts';
import type { CliContext } from './context.ts';
import { addCostsCommand } from './costs.ts';
import { addCoverageCommand } from './coverage.ts';
import { addDeployCommand } from './deploy.ts';
import { addDevCommand } from './dev.ts';
import { addDiffCommand } from './diff.ts';
import { addDriftCommand } from './drift.ts';
import { addEvalCommand } from './eval.ts';
import { addExecutionsCommand } from './executions.ts';
import { addExportCommand } from './export.ts';
import { addGateCommand } from './gate.ts';
import { addHistoryCommand } from './history.ts';
import { addImportCommand } from './import.ts';
import { addKeysCommand } from './keys.ts';
import { addLabelsCommand } from './labels.ts';
import { addMakeCommand } from './make.ts';
import { addMigrateCommand } from './migrate.ts';
import { addPlanCommand } from './plan.ts';
import { addProbeCommand } from './probe.ts';
import { renderError } from './render.ts';
import { addReplayCommand } from './replay.ts';
import { addRollbackCommand } from './rollback.ts';
import { addRunCommand } from './run.ts';
import { addServeCommand } from './serve.ts';
import { addStatusCommand } from './status.ts';
import { addSyncCommand } from './sync.ts';

/** Every command, bound to what it may touch. */
export function createProgram(context: CliContext, setExitCode: (code: number) => void): Command {
  const program = new Command('promptgate')
    .description('A governed LLM execution gateway: prompts as production code.')
    .version(version)
    .exitOverride()
    // So that `--version` after a command is that command's.
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => context.out(text.trimEnd()),
      writeErr: (text) => context.err(text.trimEnd()),
    })
    .showHelpAfterError('(add --help for the options)');
  addDevCommand(program, context, setExitCode);
  addServeCommand(program, context, setExitCode);
  addMakeCommand(program, context);
  addCheckCommand(program, context, setExitCode);
  addPlanCommand(program, context, setExitCode);
  addSyncCommand(program, context, setExitCode);
  addStatusCommand(program, context, setExitCode);
  addDiffCommand(program, context);
  addImportCommand(program, context, setExitCode);
  addExportCommand(program, context);
  addRunCommand(program, context);
  addReplayCommand(program, context, setExitCode);
  addExecutionsCommand(program, context);
  addDriftCommand(program, context, setExitCode);
  addProbeCommand(program, context, setExitCode);
  addCoverageCommand(program, context);
  addCostsCommand(program, context, setExitCode);
  addBudgetCommand(program, context);
  addLabelsCommand(program, context);
  addDeployCommand(program, context, setExitCode);
  addRollbackCommand(program, context);
  addHistoryCommand(program, context);
  addArchiveCommand(program, context);
  addEvalCommand(program, context, setExitCode);
  addGateCommand(program, context);
  addAuditCommand(program, context, setExitCode);
  addKeysCommand(program, context);
  addConfigCommand(program, context);
  addMigrateCommand(program, context);
  return program;
}

/** @returns the exit code: 0, or the one that the error table gives */
export async function runCli(args: readonly string[], context: CliContext): Promise<number> {
  let exitCode = 0;
  const program = createProgram(context, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      return thrown.exitCode === 0 ? 0 : errorTable.invalid_request.exitCode;
    }
    const error = toPromptgateError(thrown);
    if (args.includes('--json')) {
      context.out(
        JSON.stringify({ error: { code: error.code, message: error.message, issues: error.issues } }),
      );
    } else {
      context.err(renderError(error));
      if (error.code === 'internal' && error.cause instanceof Error) context.err(error.cause.stack ?? '');
    }
    return error.kind.exitCode;
  }
}
