/** Files and registry compared by the set of (name, version, checksum). */
import type { Command } from 'commander';
import type { PlannedSuiteView } from '../http/suite-view.ts';
import type { SyncPlanView } from '../http/sync-routes.ts';
import type { CliContext } from './context.ts';
import { promptsDirectory, readDefinitionFiles } from './definition-files.ts';
import type { LabelView } from './deployment-view.ts';
import { type GatewayClient, withGateway } from './gateway-client.ts';
import { oneLine, paint } from './render.ts';
import { readSuiteFiles } from './suite-files.ts';
import { renderTime } from './time.ts';

/** Each state that is no agreement is one bit of the exit code. 1 is left to the command itself. */
const bits = {
  new: 2,
  'modified!': 4,
  'missing in git': 8,
  behind: 16,
  gap: 32,
  invalid: 64,
  duplicate: 128,
} as const;

type State = keyof typeof bits | 'unchanged';

const meanings: Readonly<Record<State, string>> = {
  unchanged: 'the registry has exactly this',
  new: 'sync would register it',
  'modified!': 'registered under this number with other content; sync refuses it',
  'missing in git': 'registered, and no file defines the prompt',
  behind: 'the registry has a newer version than the files',
  gap: 'numbers that neither the files nor the registry have',
  invalid: 'the file does not parse',
  duplicate: 'two files have one name and version',
};

interface StatusLine {
  readonly state: State;
  readonly name: string | null;
  readonly version: number | null;
  readonly path: string | null;
  readonly detail: string | null;
}

export function addStatusCommand(
  program: Command,
  context: CliContext,
  setExitCode: (code: number) => void,
): void {
  program
    .command('status')
    .description('Compare the definition files with the registry')
    .option('--dir <directory>', 'where the definitions are (default: PROMPTGATE_PROMPTS_DIR)')
    .option('--json', 'print JSON')
    .addHelpText('after', `\n${exitCodeHelp()}`)
    .action(async (options: { dir?: string; json?: boolean }) => {
      const directory = promptsDirectory(context, options.dir);
      const files = await readDefinitionFiles(directory);
      const suites = await readSuiteFiles(directory);
      const { plan, broken } = await withGateway(context, async (client) => ({
        plan: await client.request<SyncPlanView>('POST', '/v1/plan', { files, suites }),
        broken: await listBrokenGlass(client),
      }));
      const lines = [
        ...plan.files.map(toLine),
        ...plan.suites.map(toSuiteLine),
        ...plan.prompts.flatMap(toLines),
      ];
      const exitCode = lines.reduce(
        (code, { state }) => (state === 'unchanged' ? code : code | bits[state]),
        0,
      );
      if (options.json) {
        context.out(JSON.stringify({ exit_code: exitCode, states: lines, glass_broken: broken }, null, 2));
      } else context.out([...broken.map(renderBrokenGlass), renderStatus(lines)].join('\n'));
      setExitCode(exitCode);
    });
}

/** What came past its gate and has not passed since: told first, whatever the files are. */
async function listBrokenGlass(client: GatewayClient): Promise<LabelView[]> {
  const { data } = await client.request<{ data: LabelView[] }>('GET', '/v1/labels');
  return data.filter(({ gate }) => gate?.glass_broken);
}

function renderBrokenGlass({ prompt, label, version, since, gate, deployment }: LabelView): string {
  const state = paint('red', 'GLASS BROKEN'.padEnd(14));
  const next = gate?.command ?? `promptgate eval ${prompt} --version ${version}`;
  return `${state}  ${prompt} ${label} v${version}, by ${deployment.actor}, ${renderTime(since)} UTC: ${oneLine(deployment.reason)}  Next: ${next}`;
}

function exitCodeHelp(): string {
  const rows = Object.entries(bits).map(
    ([state, bit]) => `  ${String(bit).padStart(3)}  ${state.padEnd(14)}  ${meanings[state as State]}`,
  );
  return `Exit code: 0 when files and registry agree, else the sum of\n${rows.join('\n')}`;
}

function toLine(file: SyncPlanView['files'][number]): StatusLine {
  const states: Readonly<Record<typeof file.state, State>> = {
    new: 'new',
    backfill: 'new',
    unchanged: 'unchanged',
    modified: 'modified!',
    invalid: 'invalid',
    duplicate: 'duplicate',
    // What the key may not see is not compared; the message says so.
    forbidden: 'new',
  };
  const [issue] = file.issues;
  const detail = issue ? `${issue.file}:${issue.line}:${issue.column}: ${issue.message}` : file.message;
  return { state: states[file.state], name: file.name, version: file.version, path: file.path, detail };
}

/** A suite of other content is registered like a new one: it has no number that could be taken. */
function toSuiteLine({ state, prompt, suite, path, message, issues }: PlannedSuiteView): StatusLine {
  const [issue] = issues;
  const detail = issue ? `${issue.file}:${issue.line}:${issue.column}: ${issue.message}` : message;
  const name = prompt === null ? null : `${prompt} suite "${suite}"`;
  return { state: state === 'forbidden' ? 'new' : state, name, version: null, path, detail };
}

function toLines(prompt: SyncPlanView['prompts'][number]): StatusLine[] {
  const { name, newest_in_files: inFiles, newest_registered: registered, gaps } = prompt;
  const line = (state: State, version: number | null, detail: string): StatusLine => {
    return { state, name, version, path: null, detail };
  };
  const lines: StatusLine[] = [];
  if (inFiles === null) lines.push(line('missing in git', registered, 'registered, and no file defines it'));
  else if (registered !== null && registered > inFiles) {
    lines.push(line('behind', registered, `the newest in the files is ${inFiles}`));
  }
  if (gaps.length > 0) lines.push(line('gap', null, `nowhere: ${gaps.join(', ')}`));
  return lines;
}

function renderStatus(lines: readonly StatusLine[]): string {
  const told = lines
    .filter(({ state }) => state !== 'unchanged')
    .map(({ state, name, version, path, detail }) => {
      const what = name === null ? path : `${name}${version === null ? '' : ` v${version}`}`;
      const where = name !== null && path !== null ? `  ${path}` : '';
      const colour = state === 'new' ? 'green' : state === 'gap' || state === 'behind' ? 'yellow' : 'red';
      return `${paint(colour, state.padEnd(14))}  ${what}${where}${detail === null ? '' : `: ${detail}`}`;
    });
  const counts = [...Map.groupBy(lines, ({ state }) => state)].map(
    ([state, same]) => `${same.length} ${state}`,
  );
  return [...told, counts.length === 0 ? 'no definitions' : counts.join(', ')].join('\n');
}
