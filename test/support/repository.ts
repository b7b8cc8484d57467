/** A real git repository in a temporary directory, with settings of its own and none of the developer's. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface TestRepository {
  readonly directory: string;
  git(...args: string[]): string;
  write(path: string, text: string): void;
  remove(path: string): void;
  /** Commits everything. @returns the commit */
  commit(message: string, author?: string): string;
  drop(): void;
}

export function createRepository(files: Record<string, string> = {}): TestRepository {
  const directory = mkdtempSync(join(tmpdir(), 'promptgate-repository-'));
  const settings = { 'user.name': 'Ada', 'user.email': 'ada@example.com', 'commit.gpgsign': 'false' };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', directory, ...options, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, HOME: directory, GIT_CONFIG_NOSYSTEM: '1' },
    });
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  };
  execFileSync('git', ['-c', 'init.defaultBranch=main', 'init', '-q', directory]);
  for (const [path, text] of Object.entries(files)) write(path, text);
  return {
    directory,
    git,
    write,
    remove: (path) => rmSync(join(directory, path)),
    commit(message, author) {
      git('add', '-A');
      git('commit', '-q', '-m', message, ...(author ? ['--author', author] : []));
      return git('rev-parse', 'HEAD').trim();
    },
    drop: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** A definition of prompt `name`; `input` is its schema in YAML, `more` further front matter. */
export function prompt(
  name: string,
  version: number,
  body: string,
  more = '',
  input = '{ text: string }',
): string {
  return `---\nname: ${name}\nversion: ${version}\nmodel: gpt-4o-mini\n${more}input:\n  schema: ${input}\n---\n${body}\n`;
}
