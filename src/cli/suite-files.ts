/** Suites as files: which one is a prompt's, and what it takes in. */
import { readdir, readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import type { SuiteFile } from '../application/sync-suites.ts';
import { staysBelow } from '../domain/case-files.ts';
import { PromptgateError } from '../domain/errors.ts';
import { listSuiteFiles } from '../domain/evaluation-suite.ts';

interface LocatedSuite {
  /** Where it is on this machine. */
  readonly location: string;
  /** What messages call it. */
  readonly path: string;
  readonly source: string;
  /** Text of the files that it takes in, by path as seen from it. */
  readonly files: Readonly<Record<string, string>>;
}

/** What a suite is called that lies beside its prompt. */
export const suiteExtension = '.eval.yaml';

/** `NAME.eval.yaml`, wherever it is below the directory; undefined when there is none. @throws conflict — several */
export async function findSuiteFile(directory: string, name: string): Promise<string | undefined> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  const found = entries
    .filter((entry) => entry.isFile() && entry.name === `${name}${suiteExtension}`)
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  if (found.length < 2) return found[0];
  const listed = found.map((path) => relative(directory, path)).join(', ');
  throw new PromptgateError(
    'conflict',
    `There are several suites of "${name}": ${listed}. Name one with --suite.`,
  );
}

/** Every `NAME.eval.yaml` below the directory, in the order of their paths. @throws as `readSuiteFile` */
export async function readSuiteFiles(directory: string): Promise<SuiteFile[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  const locations = entries
    .filter((entry) => entry.isFile() && /\.eval\.ya?ml$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return Promise.all(
    locations.map(async (location) => {
      const { path, source, files } = await readSuiteFile(location, directory);
      return { path, source, files };
    }),
  );
}

/** @throws PromptgateError not_found — the file, or one that it takes in */
export async function readSuiteFile(location: string, base: string): Promise<LocatedSuite> {
  const source = await readText(location);
  const files: Record<string, string> = {};
  const path = toPath(location, base);
  const folder = path.replace(/[^/]*$/, '');
  const root = await realpath(
    path.includes('/') || dirname(location) === resolve(base) ? base : dirname(location),
  );
  const open = listSuiteFiles(source);
  for (let name = open.shift(); name !== undefined; name = open.shift()) {
    // What is not there, or may not be read, is reported by its place in the suite.
    if (Object.hasOwn(files, name) || !staysBelow(folder, name)) continue;
    const place = await realpath(resolve(dirname(location), name)).catch(() => undefined);
    // A link may lead elsewhere than its name says.
    if (place === undefined || !place.startsWith(`${root}${sep}`)) continue;
    const text = await readText(place);
    files[name] = text;
    if (/\.(?:ya?ml|json)$/i.test(name)) open.push(...listSuiteFiles(text));
  }
  return { location, path, source, files };
}

function toPath(location: string, base: string): string {
  const path = relative(base, location).split(sep).join('/');
  return path.startsWith('../') ? basename(location) : path;
}

async function readText(path: string): Promise<string> {
  const bytes = await readFile(path).catch((cause) => {
    throw new PromptgateError('not_found', `The file ${path} cannot be read.`, { cause });
  });
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new PromptgateError('invalid_request', `The file ${path} is not UTF-8.`);
  }
}
