// Every promptgate command that the documentation and the example workflow show is one that the CLI takes.
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { createProgram } from '../../src/cli/cli.ts';

const root = resolve(import.meta.dirname, '../..');
const workflowPath = 'docs/ci/prompts.yml';

interface Step {
  readonly uses?: string;
  readonly run?: string;
}

interface Workflow {
  readonly on: Record<string, unknown>;
  readonly permissions: Record<string, string>;
  readonly jobs: Record<
    string,
    { if: string; permissions?: Record<string, string>; env?: Record<string, string>; steps: Step[] }
  >;
}

const workflow = parseYaml(readFileSync(join(root, workflowPath), 'utf8')) as Workflow;
const runs = Object.values(workflow.jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []));

/** Words of a shell line up to its first operator or comment, without quotes. */
function wordsOf(line: string): string[] {
  const words: string[] = [];
  for (const [word] of line.matchAll(/#.*$|(?:"[^"]*"|'[^']*'|[^\s"'])+/g)) {
    if (/^(?:#|[|&;<>]|\d?>)/.test(word)) break;
    words.push(word.replaceAll(/"([^"]*)"|'([^']*)'/g, '$1$2'));
  }
  return words;
}

/** Arguments of each promptgate call among lines of shell; where lines begin with a prompt, the others are output. */
function callsIn(text: string): string[][] {
  const lines = text.split('\n').map((line) => line.trim());
  const prompted = lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2));
  const typed = /^(?:\$ |[A-Z_]+=|export |git |npm |npx |promptgate |#|echo )/.test(text.trimStart())
    ? lines
    : [];
  return (prompted.length > 0 ? prompted : typed)
    .map((line) =>
      line.replace(/^(?:[A-Z_]+=\S+ )+/, '').replace(/^(?:npx |npm run )?promptgate(?: --)? /, '\0'),
    )
    .filter((line) => line.startsWith('\0'))
    .map((line) => wordsOf(line.slice(1)));
}

/** The program with every command doing nothing, so that only its grammar speaks. */
function createGrammar(): Command {
  const program = createProgram({ out() {}, err() {} } as never, () => {});
  const disarm = (command: Command): void => {
    if (command.commands.length === 0) command.action(() => {});
    for (const child of command.commands) disarm(child);
  };
  disarm(program);
  return program;
}

async function takes(args: readonly string[]): Promise<string> {
  try {
    await createGrammar().parseAsync([...args], { from: 'user' });
    return 'taken';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('the example workflow', () => {
  it('checks pull requests without a secret and deploys what is merged', () => {
    expect(Object.keys(workflow.on)).toEqual(['pull_request', 'push']);
    expect(workflow.permissions).toEqual({ contents: 'read' });
    const { check, deploy } = workflow.jobs;
    expect([check!.if, deploy!.if]).toEqual([
      "github.event_name == 'pull_request'",
      "github.event_name == 'push'",
    ]);
    expect(JSON.stringify(check)).not.toContain('secrets.');
    expect(runs.flatMap(callsIn).map(([command]) => command)).toEqual([
      'check',
      'check',
      'plan',
      'sync',
      'labels',
    ]);
  });

  it('puts nothing that a contributor writes into a shell line', () => {
    for (const run of runs) expect(run).not.toContain('${{');
  });

  it.each(runs.flatMap(callsIn).map((call) => [call.join(' '), call] as const))(
    'promptgate %s',
    async (_, call) => {
      expect(await takes(call)).toBe('taken');
    },
  );
});

describe('documented commands', () => {
  const pages = ['README.md', ...globSync('docs/**/*.md', { cwd: root })];
  const calls = pages.flatMap((page) =>
    [...readFileSync(join(root, page), 'utf8').matchAll(/^ *```(?:sh|text)?\n([\s\S]*?)^ *```$/gm)].flatMap(
      ([, block]) => callsIn(block!).map((call) => [page, call.join(' '), call] as const),
    ),
  );

  it('are found', () => {
    expect(calls.length).toBeGreaterThan(5);
  });

  it('are told from what the CLI does not take', async () => {
    expect(await takes(['sync', '--force'])).toContain("unknown option '--force'");
    expect(await takes(['keys', 'make', 'x'])).toContain('unknown command');
  });

  it.each(calls)('%s: promptgate %s', async (_page, _shown, call) => {
    expect(await takes(call)).toBe('taken');
  });
});
