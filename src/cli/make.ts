import { writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { loadConfig } from '../config.ts';
import { PromptgateError } from '../domain/errors.ts';
import { promptNamePattern } from '../domain/names.ts';
import type { CliContext } from './context.ts';
import { readDefinitionFiles } from './definition-files.ts';

export function addMakeCommand(program: Command, context: CliContext): void {
  program
    .command('make')
    .description('Start a definition, or give the file of an existing one its next version number')
    .argument('<name>', 'prompt name, e.g. summarize-article')
    .option('--json', 'print JSON')
    .action(async (name: string, options: { json?: boolean }) => {
      if (!promptNamePattern.test(name)) {
        throw new PromptgateError(
          'invalid_request',
          'A prompt name has lower-case letters, digits, dots and dashes.',
        );
      }
      const config = loadConfig(context.environment, context.directory);
      const directory = resolve(context.directory, config.values.PROMPTGATE_PROMPTS_DIR);
      const made = (await bumpVersion(directory, name)) ?? (await scaffold(directory, name));
      if (options.json) return context.out(JSON.stringify(made));
      context.out(
        `${relative(context.directory, made.path)} is now ${name} version ${made.version}. Edit it; \`promptgate sync\` registers it.`,
      );
    });
}

interface Made {
  readonly path: string;
  readonly version: number;
}

/** One file per prompt with a bumped number is the habit: the file with the highest one is edited in place. */
async function bumpVersion(directory: string, name: string): Promise<Made | undefined> {
  const files = await readDefinitionFiles(directory).catch(() => []);
  let newest: (Made & { source: string }) | undefined;
  for (const file of files) {
    const frontMatter = /^---\r?\n([\s\S]*?)\r?\n---/.exec(file.source)?.[1] ?? '';
    if (/^name:\s*["']?([^"'\s#]+)/m.exec(frontMatter)?.[1] !== name) continue;
    const version = Number(/^version:\s*(\d+)/m.exec(frontMatter)?.[1] ?? Number.NaN);
    if (version > (newest?.version ?? 0))
      newest = { path: join(directory, file.path), version, source: file.source };
  }
  if (!newest) return undefined;
  const version = newest.version + 1;
  await writeFile(newest.path, newest.source.replace(/^version:\s*\d+/m, `version: ${version}`));
  return { path: newest.path, version };
}

async function scaffold(directory: string, name: string): Promise<Made> {
  const path = join(directory, `${name}.prompt`);
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
  await writeFile(path, source, { flag: 'wx' }).catch((cause) => {
    throw new PromptgateError(
      'conflict',
      `${path} cannot be made: it is there already, or its directory is not.`,
      { cause },
    );
  });
  return { path, version: 1 };
}
