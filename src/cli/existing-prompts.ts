import { join } from 'node:path';
import { parseDefinition } from '../domain/definition.ts';
import { SourceText } from '../domain/definition-error.ts';
import { parseFrontMatter } from '../domain/front-matter.ts';
import { readDefinitionFiles } from './definition-files.ts';

export interface ExistingPrompt {
  readonly path: string;
  readonly version: number;
  /** Undefined when the file does not compile by itself. */
  readonly checksum: string | undefined;
}

/** The newest definition of each prompt in a directory; files that name no prompt and version are passed over. */
export async function findExistingPrompts(directory: string): Promise<Map<string, ExistingPrompt>> {
  const files = await readDefinitionFiles(directory).catch(() => []);
  const newest = new Map<string, ExistingPrompt>();
  for (const { path, source } of files) {
    const { name, version } = parseFrontMatter(new SourceText(path, source)).value;
    if (typeof name !== 'string' || typeof version !== 'number') continue;
    if (version <= (newest.get(name)?.version ?? 0)) continue;
    newest.set(name, { path: join(directory, path), version, checksum: checksumOf(source, path) });
  }
  return newest;
}

function checksumOf(source: string, path: string): string | undefined {
  try {
    return parseDefinition(source, { path }).checksum;
  } catch {
    return undefined;
  }
}
