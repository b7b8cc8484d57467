import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type DefinitionFile, type DefinitionSet, readDefinitionSet } from '../application/definition-set.ts';
import { type Definition, parseDefinition } from '../domain/definition.ts';
import { diffDefinitions } from '../domain/definition-diff.ts';
import { PromptgateError } from '../domain/errors.ts';
import { partialsFrom } from '../domain/template-includes.ts';
import type { CliContext } from './context.ts';
import { promptsDirectory, readDefinitionFiles } from './definition-files.ts';
import { renderDifference } from './difference.ts';
import { withGateway } from './gateway-client.ts';
import { openGitRepository } from './git-repository.ts';
import { paint } from './render.ts';

interface DiffOptions {
  readonly dir?: string;
  readonly json?: boolean;
}

export function addDiffCommand(program: Command, context: CliContext): void {
  program
    .command('diff')
    .description('Show what differs between two states of a prompt: text by word, parameters, contract')
    .argument('<name>', 'prompt name')
    .argument('<from>', 'version number, label, path of a .prompt file, `files`, or `git:REF`')
    .argument('[to]', 'the same', 'files')
    .option('--dir <directory>', 'where the definitions are (default: PROMPTGATE_PROMPTS_DIR)')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nOf several versions in the files, and in git, the highest is meant. Files and git need no gateway.',
    )
    .action(async (name: string, from: string, to: string, options: DiffOptions) => {
      const directory = promptsDirectory(context, options.dir);
      const find = (side: string) => findDefinition(context, directory, name, side);
      const [before, after] = [await find(from), await find(to)];
      const difference = diffDefinitions(before, after);
      if (options.json) {
        const sideOf = ({ version, checksum }: Definition) => ({ version, checksum });
        const breaking = difference.contract.some((change) => change.breaking);
        const json = { from: sideOf(before), to: sideOf(after), breaking, ...difference };
        return context.out(JSON.stringify(json, null, 2));
      }
      const title = `${name}: ${from} (v${before.version}) → ${to} (v${after.version})`;
      const text = renderDifference(difference);
      const same = difference.identical ? 'Nothing that is sent or checked differs.' : undefined;
      context.out([paint('bold', title), same, text].filter(Boolean).join('\n'));
    });
}

/** @throws PromptgateError not_found */
async function findDefinition(
  context: CliContext,
  directory: string,
  name: string,
  side: string,
): Promise<Definition> {
  if (side === 'files') return newestOf(await readDefinitionFiles(directory), name, 'the files');
  if (side.startsWith('git:')) {
    const repository = await openGitRepository(directory);
    if (!repository) throw new PromptgateError('not_found', `${directory} is in no git repository.`);
    return newestOf(await repository.filesAt(side.slice(4)), name, side);
  }
  if (side.endsWith('.prompt')) {
    const source = await readFile(resolve(context.directory, side), 'utf8').catch((cause) => {
      throw new PromptgateError('not_found', `${side} cannot be read.`, { cause });
    });
    const { partials } = await readDefinitionSet(await readDefinitionFiles(directory).catch(() => []));
    return parseDefinition(source, { path: side, partial: (partial) => partials.get(partial) });
  }
  return registered(context, name, side);
}

async function newestOf(files: readonly DefinitionFile[], name: string, where: string): Promise<Definition> {
  const { entries }: DefinitionSet = await readDefinitionSet(files);
  const found = entries.flatMap(({ definition }) => (definition?.name === name ? [definition] : [])).at(-1);
  if (!found)
    throw new PromptgateError('not_found', `No file in ${where} defines "${name}", or it does not parse.`);
  return found;
}

interface VersionView {
  readonly source: string;
  readonly partials: Readonly<Record<string, string>>;
}

async function registered(context: CliContext, name: string, target: string): Promise<Definition> {
  const path = `/v1/prompts/${encodeURIComponent(name)}/versions/${encodeURIComponent(target)}`;
  const { source, partials } = await withGateway(context, (client) =>
    client.request<VersionView>('GET', path),
  );
  return parseDefinition(source, { path: `${name}.prompt`, partial: partialsFrom(partials) });
}
