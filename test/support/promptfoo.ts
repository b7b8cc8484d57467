/** promptfoo itself, where it is installed: `npm run test:promptfoo` does. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { stringify } from 'yaml';

const entry = join(import.meta.dirname, '../promptfoo/node_modules/promptfoo/dist/src/entrypoint.js');
export const isPromptfooInstalled = existsSync(entry);

export interface PromptfooResult {
  readonly success: boolean;
  readonly score: number;
  readonly error?: string;
  readonly testIdx: number;
  readonly response?: { readonly output?: string };
  readonly vars: Record<string, unknown>;
}

/** Runs a configuration in a directory. Nothing of it may leave the machine, and nothing be kept. */
export async function runPromptfoo(directory: string, config: object): Promise<PromptfooResult[]> {
  const [file, output] = [join(directory, 'config.yaml'), join(directory, 'results.json')];
  await writeFile(file, stringify(config));
  const quiet = ['--no-cache', '--no-write', '--no-table', '--no-progress-bar', '--no-share'];
  const off = ['TELEMETRY', 'UPDATE', 'SHARING', 'REMOTE_GENERATION'].map((name) => [
    `PROMPTFOO_DISABLE_${name}`,
    '1',
  ]);
  const env = {
    PATH: process.env.PATH,
    PROMPTFOO_SELF_HOSTED: '1',
    PROMPTFOO_CONFIG_DIR: directory,
    ...Object.fromEntries(off),
  };
  const args = [entry, 'eval', '-c', file, '-o', output, ...quiet];
  // It exits with 100 when a test of the evaluation fails.
  await promisify(execFile)(process.execPath, args, { env, cwd: directory }).catch(({ code, stderr }) => {
    if (code !== 100) throw new Error(stderr);
  });
  return JSON.parse(await readFile(output, 'utf8')).results.results;
}
