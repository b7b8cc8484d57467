import { readdir, readFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import type { DefinitionFile } from '../application/sync-prompts.ts';
import { PromptgateError } from '../domain/errors.ts';

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
