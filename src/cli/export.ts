import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { PromptgateError } from '../domain/errors.ts';
import { type ExportedFile, exportVersions, type VersionSource } from '../domain/export-versions.ts';
import type { CliContext } from './context.ts';
import { type GatewayClient, withGateway } from './gateway-client.ts';

interface ExportOptions {
  readonly dir: string;
  readonly allVersions?: boolean;
  readonly json?: boolean;
}

interface VersionDetail {
  readonly prompt: string;
  readonly version: number;
  readonly checksum: string;
  readonly source: string;
  readonly partials: Readonly<Record<string, string>>;
  readonly created_at: string;
}

export function addExportCommand(program: Command, context: CliContext): void {
  program
    .command('export')
    .description('Write versions as definition files that make the same versions again')
    .argument('[name]', 'one prompt instead of all')
    .option('--dir <directory>', 'where the files go', 'exported-prompts')
    .option('--all-versions', 'every version as NAME/VERSION.prompt, not the newest as NAME.prompt')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nWhere versions took in different texts of one partial, the older texts get names of their own.\nA file that says something else is never overwritten: nothing is then written (exit code 6).',
    )
    .action(async (name: string | undefined, options: ExportOptions) => {
      const versions = await withGateway(context, (client) =>
        readVersions(client, name, options.allVersions ?? false),
      );
      const files = exportVersions(versions, (version) =>
        options.allVersions ? `${version.name}/${version.version}.prompt` : `${version.name}.prompt`,
      );
      const directory = resolve(context.directory, options.dir);
      const written = await writeFiles(directory, files);
      const view = {
        directory: relative(context.directory, directory) || '.',
        versions: versions.map(({ name, version, checksum }) => ({ name, version, checksum })),
        files: files.map(({ path }) => path),
        written,
      };
      context.out(options.json ? JSON.stringify(view, null, 2) : renderExport(view, files));
    });
}

/** Newest first, so that the newest text of a partial keeps its name. */
async function readVersions(
  client: GatewayClient,
  name: string | undefined,
  all: boolean,
): Promise<VersionSource[]> {
  const names =
    name === undefined
      ? (await client.request<{ data: { name: string }[] }>('GET', '/v1/prompts')).data.map(
          (prompt) => prompt.name,
        )
      : [name];
  const details: VersionDetail[] = [];
  for (const prompt of names) {
    const path = `/v1/prompts/${encodeURIComponent(prompt)}/versions`;
    const { data } = await client.request<{ data: { version: number }[] }>('GET', path);
    const wanted = all ? data : data.slice(0, 1);
    details.push(
      ...(await Promise.all(
        wanted.map(({ version }) => client.request<VersionDetail>('GET', `${path}/${version}`)),
      )),
    );
  }
  return details
    .sort((a, b) =>
      a.created_at === b.created_at ? b.version - a.version : a.created_at < b.created_at ? 1 : -1,
    )
    .map(({ prompt, version, checksum, source, partials }) => ({
      name: prompt,
      version,
      checksum,
      source,
      partials,
    }));
}

/**
 * @returns how many files were written; the others were there already and say the same
 * @throws PromptgateError conflict — a file there says something else; nothing was written
 */
async function writeFiles(directory: string, files: readonly ExportedFile[]): Promise<number> {
  const present = await Promise.all(
    files.map(({ path }) => readFile(join(directory, path), 'utf8').catch(() => undefined)),
  );
  const different = files.filter(
    (file, index) => present[index] !== undefined && present[index] !== file.source,
  );
  if (different.length > 0) {
    const message = 'Nothing was written: files that say something else are there. Export to another --dir.';
    const issues = different.map(({ path }) => ({ path, message: 'is there with other content' }));
    throw new PromptgateError('conflict', message, { issues });
  }
  const missing = files.filter((_, index) => present[index] === undefined);
  for (const { path, source } of missing) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), source, { flag: 'wx' });
  }
  return missing.length;
}

function renderExport(
  view: { directory: string; versions: readonly unknown[]; written: number },
  files: readonly ExportedFile[],
): string {
  const partials = files.length - view.versions.length;
  const there = files.length - view.written;
  const counts = `${count(view.versions.length, 'version')} and ${count(partials, 'partial')} in ${view.directory}: ${count(view.written, 'file')} written, ${there} there already`;
  return `${counts}. \`promptgate sync --dir ${view.directory}\` registers them elsewhere.`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
