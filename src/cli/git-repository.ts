/**
 * What git knows of a directory of definitions: which commit each file is from, the files as they were at a ref, every
 * state that was ever on the main line. git runs as a process with arguments, never through a shell; its output is bounded.
 */
import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import type { DefinitionFile, FileCommit } from '../application/definition-set.ts';
import { PromptgateError } from '../domain/errors.ts';

const maxOutputBytes = 268_435_456;
/** A log of a hundred thousand commits takes seconds; past this git waits for something that will not come. */
const timeoutMs = 120_000;
const maxMessageLength = 2_000;

export interface GitRepository {
  /** The commit that is checked out; null before the first one. */
  head(): Promise<FileCommit | null>;
  /** The definitions of the directory as they were. @throws PromptgateError not_found — there is no such ref */
  filesAt(ref: string): Promise<DefinitionFile[]>;
  /** The commit that each file is from. Files that differ from it, or are not in git, have none. */
  commits(): Promise<ReadonlyMap<string, FileCommit>>;
  /** Every text that a file has had on the way to `ref`, also under the names that it had before. */
  textsOf(ref: string, path: string): Promise<string[]>;
  /**
   * Each commit of the main line that changed definitions, oldest first, with what it changed and the partials of then.
   * Commits inside merged branches are left out: their states were never on the main line.
   * @throws PromptgateError not_found — the clone is shallow
   */
  history(): AsyncGenerator<{ readonly commit: FileCommit; readonly files: DefinitionFile[] }>;
}

/** Undefined where the directory is in no repository, or there is no git. */
export async function openGitRepository(directory: string): Promise<GitRepository | undefined> {
  const git = createGit(directory);
  const inside = await git.run(['rev-parse', '--is-inside-work-tree']).catch(() => '');
  return inside.trim() === 'true' ? createRepository(git) : undefined;
}

type Git = ReturnType<typeof createGit>;

function createGit(directory: string) {
  const base = ['-C', directory, '-c', 'core.quotepath=off', '-c', 'log.showSignature=false'];
  return {
    async run(args: readonly string[]): Promise<string> {
      const options = { maxBuffer: maxOutputBytes, timeout: timeoutMs, encoding: 'utf8' } as const;
      return (await promisify(execFile)('git', [...base, ...args], options)).stdout;
    },
    /** Contents of objects, in their order. */
    readObjects(ids: readonly string[]): Promise<string[]> {
      const { promise, resolve, reject } = Promise.withResolvers<string[]>();
      const child = spawn('git', [...base, 'cat-file', '--batch'], { stdio: ['pipe', 'pipe', 'ignore'] });
      const chunks: Buffer[] = [];
      let size = 0;
      child.once('error', reject);
      child.stdin.once('error', reject);
      child.stdout.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > maxOutputBytes) child.kill();
      });
      child.once('close', (code) => {
        if (code === 0) resolve(splitObjects(Buffer.concat(chunks), ids.length));
        else reject(new Error('git cat-file did not end well'));
      });
      child.stdin.end(ids.map((id) => `${id}\n`).join(''));
      return promise;
    },
  };
}

/** `<id> blob <size>\n<content>\n` for each object. */
function splitObjects(output: Buffer, count: number): string[] {
  const texts: string[] = [];
  for (let at = 0; texts.length < count; ) {
    const lineEnd = output.indexOf(10, at);
    const size = Number(output.toString('latin1', at, lineEnd).split(' ')[2]);
    texts.push(output.toString('utf8', lineEnd + 1, lineEnd + 1 + size));
    at = lineEnd + size + 2;
  }
  return texts;
}

interface LoggedCommit extends FileCommit {
  readonly merge: boolean;
  readonly paths: readonly string[];
}

function createRepository(git: Git): GitRepository {
  /** NUL ends every field, and no message can contain one. */
  const format = '--format=%x00%H%x00%aN <%aE>%x00%P%x00%B%x00';

  async function log(args: readonly string[]): Promise<LoggedCommit[]> {
    const fields = (await git.run(['log', format, ...args])).split('\0').slice(1);
    const commits: LoggedCommit[] = [];
    for (let at = 0; at + 4 < fields.length + 1; at += 5) {
      const [commit = '', author = '', parents = '', message = '', names = ''] = fields.slice(at, at + 5);
      commits.push({
        ...{ commit, author, message: message.trim().slice(0, maxMessageLength).toWellFormed() },
        merge: parents.includes(' '),
        paths: names.split('\n').filter((name) => name !== ''),
      });
    }
    return commits;
  }

  async function find(ref: string): Promise<string> {
    try {
      return (
        await git.run(['rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`])
      ).trim();
    } catch (cause) {
      const hint = 'Fetch it first; a shallow clone has the newest commit only.';
      throw new PromptgateError('not_found', `git knows no commit "${ref}". ${hint}`, { cause });
    }
  }

  /** Definitions below the directory at a commit: path → object. */
  async function tree(commit: string): Promise<Map<string, string>> {
    const lines = (await git.run(['ls-tree', '-r', '-z', commit])).split('\0').filter((line) => line !== '');
    const files = lines.map((line) => /^100\d+ blob ([0-9a-f]+)\t(.*)$/s.exec(line));
    return new Map(
      files.flatMap((file) => (file?.[2]?.endsWith('.prompt') ? [[file[2], file[1] ?? '']] : [])),
    );
  }

  async function read(objects: ReadonlyMap<string, string>, commit?: FileCommit): Promise<DefinitionFile[]> {
    const texts = await git.readObjects([...objects.values()]);
    const paths = [...objects.keys()];
    return paths.map((path, index) => ({
      path,
      source: texts[index] ?? '',
      ...(commit ? { git: commit } : {}),
    }));
  }

  const hasCommits = async () =>
    (await git.run(['rev-parse', '--verify', '--quiet', 'HEAD']).catch(() => '')) !== '';

  return {
    async head() {
      if (!(await hasCommits())) return null;
      const [commit] = await log(['-1']);
      return commit ? toFileCommit(commit) : null;
    },
    filesAt: async (ref) => read(await tree(await find(ref))),
    async commits() {
      const found = new Map<string, FileCommit>();
      if (!(await hasCommits())) return found;
      // --cc names the files that a merge itself made, and no others.
      for (const commit of await log(['--cc', '--name-only', '--no-renames', '--relative', '--', '.'])) {
        for (const path of commit.paths) if (!found.has(path)) found.set(path, toFileCommit(commit));
      }
      const changed = await git.run(['diff', '--name-only', '--relative', '-z', 'HEAD', '--', '.']);
      for (const path of changed.split('\0')) found.delete(path);
      return found;
    },
    async textsOf(ref, path) {
      const names = ['--format=', '--raw', '--no-abbrev', '--follow', '-m'];
      const raw = await git.run(['log', ...names, await find(ref), '--', path]);
      const objects = [
        ...new Set([...raw.matchAll(/^:\d+ \d+ [0-9a-f]+ ([0-9a-f]+) [AMR]/gm)].map(([, id]) => id ?? '')),
      ];
      return git.readObjects(objects);
    },
    async *history() {
      if (!(await hasCommits())) return;
      if ((await git.run(['rev-parse', '--is-shallow-repository'])).trim() === 'true') {
        const hint = 'Fetch it first: `git fetch --unshallow`; in CI `fetch-depth: 0`.';
        throw new PromptgateError(
          'not_found',
          `This clone is shallow: most of its history is not here. ${hint}`,
        );
      }
      const changes = [
        '--first-parent',
        '-m',
        '--diff-filter=AM',
        '--name-only',
        '--no-renames',
        '--relative',
      ];
      for (const commit of await log(['--reverse', ...changes, '--', '.'])) {
        const objects = await tree(commit.commit);
        const wanted = [...objects].filter(
          ([path]) => commit.paths.includes(path) || /(^|\/)_[^/]*$/.test(path),
        );
        const files = await read(new Map(wanted), toFileCommit(commit));
        yield {
          commit: toFileCommit(commit),
          files: commit.merge ? await attributed(commit.commit, files) : files,
        };
      }
    },
  };

  /** What a merge brought was written in a commit of its branch: that one says who and why. */
  async function attributed(merge: string, files: readonly DefinitionFile[]): Promise<DefinitionFile[]> {
    return Promise.all(
      files.map(async (file) => {
        const [commit] = await log(['-1', merge, '--', file.path]);
        return commit ? { ...file, git: toFileCommit(commit) } : file;
      }),
    );
  }
}

function toFileCommit({ commit, author, message }: LoggedCommit): FileCommit {
  return { commit, author, message };
}
