import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import type { Command } from 'commander';
import { readIdentity } from '../domain/definition.ts';
import { PromptgateError } from '../domain/errors.ts';
import { promptNamePattern } from '../domain/names.ts';
import { withVersion } from '../domain/next-version.ts';
import type { CliContext } from './context.ts';
import { promptsDirectory } from './definition-files.ts';
import { findExistingPrompts } from './existing-prompts.ts';
import { openGitRepository } from './git-repository.ts';
import { paint } from './render.ts';

export function addMakeCommand(program: Command, context: CliContext): void {
  program
    .command('make')
    .description('Start a definition, or give an existing one its next version')
    .argument('<name>', 'prompt name, e.g. summarize-article')
    .option('--dir <directory>', 'where the definitions are (default: PROMPTGATE_PROMPTS_DIR)')
    .option('--json', 'print JSON')
    .action(async (name: string, options: { dir?: string; json?: boolean }) => {
      if (!promptNamePattern.test(name)) {
        throw new PromptgateError(
          'invalid_request',
          'A prompt name has lower-case letters, digits, dots, underscores and dashes.',
        );
      }
      const directory = promptsDirectory(context, options.dir);
      const made = (await makeNext(directory, name)) ?? (await scaffold(directory, name));
      if (options.json) return context.out(JSON.stringify(made));
      context.out(describe(name, { ...made, path: relative(context.directory, made.path) }));
    });
}

interface Made {
  readonly path: string;
  readonly version: number;
}

function describe(name: string, { path, version }: Made): string {
  const next = [
    ['promptgate check --against origin/main', 'what it changes, and whether callers keep working'],
    ['promptgate sync', 'registers it; from your pipeline, on merge'],
    [`promptgate deploy ${name} production ${version} --reason "…"`, 'puts it into production'],
  ];
  const width = Math.max(...next.map(([command = '']) => command.length));
  return [
    `${path} is now ${name} version ${version}. Edit it, then:`,
    ...next.map(([command = '', what = '']) => `  ${command.padEnd(width)}  ${paint('dim', what)}`),
  ].join('\n');
}

/**
 * One file per prompt with a bumped number is the habit: that file is edited in place. Where files are named for their
 * version (`summarize/2.prompt`), the next one is a new file.
 */
async function makeNext(directory: string, name: string): Promise<Made | undefined> {
  const newest = (await findExistingPrompts(directory)).get(name);
  if (!newest) return undefined;
  const version = Math.max(newest.version, await highestInGit(directory, name, newest.path)) + 1;
  const source = withVersion(await readFile(newest.path, 'utf8'), version);
  if (source === undefined)
    throw new PromptgateError('invalid_request', `${newest.path} has no version number.`);
  const named = /^(v?)(\d+)\.prompt$/.exec(basename(newest.path));
  const ownFile = named?.[2] === String(newest.version);
  const path = ownFile ? join(dirname(newest.path), `${named?.[1]}${version}.prompt`) : newest.path;
  await write(path, source, ownFile);
  return { path, version };
}

/** After a revert the file says an older number than was ever used. 0 where there is no git. */
async function highestInGit(directory: string, name: string, path: string): Promise<number> {
  const repository = await openGitRepository(directory);
  if (!repository || !(await repository.head())) return 0;
  const identities = (await repository.textsOf('HEAD', relative(directory, path))).map((text) =>
    readIdentity(text),
  );
  return Math.max(0, ...identities.map((used) => (used.name === name ? (used.version ?? 0) : 0)));
}

async function scaffold(directory: string, name: string): Promise<Made> {
  const path = join(directory, `${name}.prompt`);
  await mkdir(directory, { recursive: true });
  const source = `---
name: ${name}
version: 1
description: What this prompt is for, and what is new in this version.
model: gpt-4o-mini
config: { temperature: 0.2, maxOutputTokens: 800 }
input:
  schema:
    text: string, what the prompt works on
---
{{role "system"}}
You are a precise assistant.
{{role "user"}}
{{text}}
`;
  await write(path, source, true);
  return { path, version: 1 };
}

async function write(path: string, source: string, isNew: boolean): Promise<void> {
  await writeFile(path, source, { flag: isNew ? 'wx' : 'w' }).catch((cause) => {
    throw new PromptgateError('conflict', `${path} cannot be written: it is there already, or may not be.`, {
      cause,
    });
  });
}
