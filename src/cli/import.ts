import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { errorTable, type Issue, PromptgateError } from '../domain/errors.ts';
import { type ImportFormat, importFormats } from '../domain/import-draft.ts';
import { type ImportedPrompt, importPrompts } from '../domain/import-prompts.ts';
import type { CliContext } from './context.ts';
import { promptsDirectory } from './definition-files.ts';
import { type ExistingPrompt, findExistingPrompts } from './existing-prompts.ts';
import { paint } from './render.ts';

interface ImportOptions {
  readonly format?: ImportFormat;
  readonly dir?: string;
  readonly name?: string;
  readonly model: string;
  readonly bump?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

interface ImportView {
  readonly file: string;
  readonly format: ImportFormat;
  readonly name: string;
  readonly version: number;
  readonly path: string;
  readonly outcome: 'imported' | 'unchanged' | 'refused';
  /** Why it is refused, when the prompt itself is not why. */
  readonly message: string | null;
  readonly source: string | null;
  readonly not_carried: readonly Issue[];
  readonly issues: readonly Issue[];
  readonly warnings: readonly Issue[];
}

export function addImportCommand(
  program: Command,
  context: CliContext,
  setExitCode: (code: number) => void,
): void {
  program
    .command('import')
    .description('Turn prompts of other tools into definition files')
    .argument('<file...>', 'OpenAI, Langfuse or promptfoo JSON or YAML, a GitHub .prompt.yml, text, Markdown')
    .addOption(new Option('--format <format>', 'instead of what the content shows').choices(importFormats))
    .option('--dir <directory>', 'where the definitions go (default: PROMPTGATE_PROMPTS_DIR)')
    .option('--name <name>', 'prompt name, instead of what the source says')
    .option('--model <model>', 'for a prompt that names none', 'gpt-4o-mini')
    .option('--bump', 'replace the file of an existing prompt by its next version')
    .option('--dry-run', 'print the definitions, write nothing')
    .option('--json', 'print JSON')
    .action(async (files: string[], options: ImportOptions) => {
      const directory = promptsDirectory(context, options.dir);
      const report = await importFiles(context.directory, directory, files, options);
      context.out(
        options.json
          ? JSON.stringify({ prompts: report }, null, 2)
          : renderImport(report, options.dryRun ?? false),
      );
      if (report.some(({ outcome }) => outcome === 'refused')) {
        setExitCode(errorTable.invalid_request.exitCode);
      }
    });
}

async function importFiles(
  base: string,
  directory: string,
  files: readonly string[],
  options: ImportOptions,
): Promise<ImportView[]> {
  const existing = await findExistingPrompts(directory);
  const taken = new Set<string>();
  const report: ImportView[] = [];
  const versionOf = (name: string) => (existing.get(name)?.version ?? 0) + 1;
  // Nothing is written before everything is read: what was imported is then always reported.
  const sources = await Promise.all(files.map((file) => readPrompts(base, file, options, versionOf)));
  for (const [index, file] of files.entries()) {
    for (const prompt of sources[index] ?? []) {
      const there = existing.get(prompt.name);
      const placed = place(prompt, there, taken.has(prompt.name), options.bump ?? false);
      const path = pathFor(prompt, there, placed.outcome, directory);
      if (prompt.source !== null) taken.add(prompt.name);
      const view = { file, ...toView(prompt), path: relative(base, path), ...placed };
      if (view.outcome === 'imported' && !options.dryRun) {
        report.push(await write(view, path, path === there?.path));
      } else report.push(view);
    }
  }
  return report;
}

/** @throws PromptgateError — names the file that cannot be read, or holds no prompt */
async function readPrompts(
  base: string,
  file: string,
  { model, format, name }: ImportOptions,
  versionOf: (name: string) => number,
): Promise<ImportedPrompt[]> {
  const path = resolve(base, file);
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw new PromptgateError('not_found', `The file ${path} cannot be read.`, { cause });
  });
  const fallbackName = basename(file).replace(/(?:\.prompt)?\.\w+$/, '');
  try {
    return importPrompts({ text, fallbackName, fallbackModel: model, format, name, versionOf });
  } catch (cause) {
    if (!(cause instanceof PromptgateError)) throw cause;
    throw new PromptgateError(cause.code, `${file}: ${cause.message}`, { cause, issues: cause.issues });
  }
}

/** What happens to one prompt. An existing file is only replaced when the caller said so, and then by a new number. */
function place(
  prompt: ImportedPrompt,
  existing: ExistingPrompt | undefined,
  taken: boolean,
  bump: boolean,
): Pick<ImportView, 'outcome' | 'message' | 'version'> {
  const { version } = prompt;
  if (prompt.source === null) return { outcome: 'refused', message: null, version };
  if (taken) {
    const message = 'a prompt of that name comes before it in this import: import it by itself, with --name';
    return { outcome: 'refused', message, version };
  }
  if (existing?.checksum === prompt.checksum) {
    return { outcome: 'unchanged', message: null, version: version - 1 };
  }
  if (existing === undefined || bump) return { outcome: 'imported', message: null, version };
  const message = `the file there is version ${existing.version}: add --bump to make this version ${version}, or --name for another prompt`;
  return { outcome: 'refused', message, version };
}

/** One file per prompt is edited in place; where each version has a file of its own, so has the next. */
function pathFor(
  { name, version }: ImportedPrompt,
  existing: ExistingPrompt | undefined,
  outcome: ImportView['outcome'],
  directory: string,
): string {
  if (existing === undefined) return join(directory, `${name}.prompt`);
  const numbered = basename(existing.path) === `${existing.version}.prompt`;
  return numbered && outcome === 'imported' ? resolve(existing.path, `../${version}.prompt`) : existing.path;
}

function toView(prompt: ImportedPrompt) {
  const { format, name, source, issues, warnings, notCarried } = prompt;
  return { format, name, source, not_carried: notCarried, issues, warnings };
}

async function write(view: ImportView, path: string, replace: boolean): Promise<ImportView> {
  await mkdir(resolve(path, '..'), { recursive: true });
  try {
    await writeFile(path, view.source ?? '', { flag: replace ? 'w' : 'wx' });
    return view;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const message = 'a file that is no definition of this prompt is there: move it, or say --name';
    return { ...view, outcome: 'refused', message };
  }
}

function renderImport(report: readonly ImportView[], dryRun: boolean): string {
  const lines = report.flatMap((view) => {
    const shown = `${view.path}  ${view.name} v${view.version}  (${view.format})`;
    const colour = { imported: 'green', unchanged: 'dim', refused: 'red' } as const;
    return [
      `${paint(colour[view.outcome], view.outcome)}  ${shown}`,
      ...(view.message === null ? [] : [`  ${view.message}`]),
      ...view.issues.map(renderIssue),
      ...view.not_carried.map((issue) => paint('yellow', `  not carried: ${renderIssue(issue).trim()}`)),
      ...view.warnings.map((issue) => paint('yellow', renderIssue(issue))),
      ...(dryRun && view.outcome === 'imported' ? ['', view.source ?? ''] : []),
    ];
  });
  const count = (outcome: ImportView['outcome']) => report.filter((view) => view.outcome === outcome).length;
  const done = dryRun ? 'would be imported' : 'imported';
  return [
    ...lines,
    `${count('imported')} ${done}, ${count('unchanged')} unchanged, ${count('refused')} refused`,
  ].join('\n');
}

/** Paths hold keys of a file that others wrote: none of its control characters reaches the terminal. */
function renderIssue({ path, message }: Issue): string {
  return `  ${path}: ${message}`.replaceAll(/\p{Cc}/gu, '�');
}
