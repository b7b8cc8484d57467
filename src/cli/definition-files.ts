import { readdir, readFile } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import type { DefinitionFile } from '../application/definition-set.ts';
import type { SuiteFile } from '../application/sync-suites.ts';
import { PromptgateError } from '../domain/errors.ts';
import { settings } from '../settings.ts';
import type { CliContext } from './context.ts';
import { openGitRepository } from './git-repository.ts';
import { readSuiteFiles } from './suite-files.ts';

/** Where the definitions are. Nothing else of the configuration is read: `check` has to work without any. */
export function promptsDirectory(context: CliContext, said: string | undefined): string {
  const { PROMPTGATE_PROMPTS_DIR: set } = context.environment;
  return resolve(context.directory, said ?? (set || settings.PROMPTGATE_PROMPTS_DIR.fallback));
}

/** Every `.prompt` file below a directory, in the order of their paths. */
export async function readDefinitionFiles(directory: string): Promise<DefinitionFile[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch((cause) => {
    throw new PromptgateError(
      'not_found',
      `There is no directory of definitions at ${directory}. Make it, or set PROMPTGATE_PROMPTS_DIR.`,
      { cause },
    );
  });
  const paths = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.prompt'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return Promise.all(
    paths.map(async (path) => ({
      path: relative(directory, path).split(sep).join('/'),
      source: await readFile(path, 'utf8'),
    })),
  );
}

/** The files with the commit that each is from, where the directory is in a git repository, and the commit of the tree. */
export async function readCommittedFiles(directory: string): Promise<{
  files: DefinitionFile[];
  suites: SuiteFile[];
  head: { commit: string; message: string } | null;
}> {
  const files = await readDefinitionFiles(directory);
  const suites = await readSuiteFiles(directory);
  const repository = await openGitRepository(directory);
  if (!repository) return { files, suites, head: null };
  const commits = await repository.commits();
  const attributed = <T extends { readonly path: string }>(file: T) => {
    const git = commits.get(file.path);
    return git ? { ...file, git } : file;
  };
  return { files: files.map(attributed), suites: suites.map(attributed), head: await repository.head() };
}
