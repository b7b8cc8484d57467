import { relative, sep } from 'node:path';
import { type Command, Option } from 'commander';
import { checkDefinitions } from '../application/check-definitions.ts';
import type { DefinitionFile } from '../application/definition-set.ts';
import { errorTable, PromptgateError } from '../domain/errors.ts';
import { renderAnnotations, renderCheck, renderComment } from './check-report.ts';
import type { CliContext } from './context.ts';
import { promptsDirectory, readDefinitionFiles } from './definition-files.ts';
import { openGitRepository } from './git-repository.ts';
import { readSuiteFiles } from './suite-files.ts';

interface CheckOptions {
  readonly dir?: string;
  readonly against?: string;
  readonly format: 'human' | 'github' | 'markdown';
  readonly json?: boolean;
}

export function addCheckCommand(
  program: Command,
  context: CliContext,
  setExitCode: (code: number) => void,
): void {
  program
    .command('check')
    .description('Check the definition files: for pull requests; needs no database and no gateway')
    .option('--dir <directory>', 'where the definitions are (default: PROMPTGATE_PROMPTS_DIR)')
    .option('--against <ref>', 'git ref that the files would replace, e.g. origin/main')
    .addOption(
      new Option('--format <format>', 'github: annotations of a workflow; markdown: a comment')
        .choices(['human', 'github', 'markdown'])
        .default('human'),
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExit code: 0 nothing is wrong (warnings may be told); 2 something is; 5 there is no such directory or git ref.',
    )
    .action(async (options: CheckOptions) => {
      const directory = promptsDirectory(context, options.dir);
      // Paths as seen from here: where a person, and a workflow, can open them.
      const prefix = relative(context.directory, directory).split(sep).join('/');
      const toShown = (path: string) => (prefix === '' ? path : `${prefix}/${path}`);
      const shown = ({ path, source }: DefinitionFile) => ({ path: toShown(path), source });
      const files = await readDefinitionFiles(directory);
      const suites = await readSuiteFiles(directory);
      const base = options.against === undefined ? null : await readBase(directory, options.against);
      const report = await checkDefinitions({
        files: files.map(shown),
        suites: suites.map((suite) => ({ ...suite, path: toShown(suite.path) })),
        base: base && {
          ...base,
          files: base.files.map(shown),
          textsOf: (path) => base.textsOf(prefix === '' ? path : path.slice(prefix.length + 1)),
        },
      });
      if (options.json) context.out(JSON.stringify(report, null, 2));
      else if (options.format === 'github') context.out(renderAnnotations(report));
      else context.out(options.format === 'markdown' ? renderComment(report) : renderCheck(report));
      const failed = report.problems.some(({ severity }) => severity === 'error');
      setExitCode(failed ? errorTable.invalid_request.exitCode : 0);
    });
}

async function readBase(directory: string, ref: string) {
  const repository = await openGitRepository(directory);
  if (!repository) {
    throw new PromptgateError('not_found', `--against needs git, and ${directory} is in no git repository.`);
  }
  return {
    ref,
    files: await repository.filesAt(ref),
    textsOf: (path: string) => repository.textsOf(ref, path),
  };
}
