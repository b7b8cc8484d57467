import type { Command } from 'commander';
import { PromptgateError } from '../domain/errors.ts';
import type { SyncReportView } from '../http/sync-routes.ts';
import type { CliContext } from './context.ts';
import { promptsDirectory, readCommittedFiles } from './definition-files.ts';
import { type GatewayClient, withGateway } from './gateway-client.ts';
import { openGitRepository } from './git-repository.ts';
import { renderSync, syncExitCode } from './sync-report.ts';

interface SyncOptions {
  readonly dir?: string;
  readonly allowBackfill?: boolean;
  readonly history?: boolean;
  readonly deploy?: string;
  readonly reason?: string;
  readonly json?: boolean;
}

/** What one commit of the past brought, or why it brought nothing. */
interface HistoricCommit {
  readonly commit: string;
  readonly files: SyncReportView['files'];
}

export function addSyncCommand(
  program: Command,
  context: CliContext,
  setExitCode: (code: number) => void,
): void {
  program
    .command('sync')
    .description('Turn the definition files into immutable versions')
    .option('--dir <directory>', 'where the definitions are (default: PROMPTGATE_PROMPTS_DIR)')
    .option('--allow-backfill', 'take new versions with an older number than the newest')
    .option('--history', 'first every version that ever was on the main line of git, oldest first')
    .option('--deploy <label>', 'then move the label to the highest version of each prompt in the files')
    .option('--reason <text>', 'why, for the ledger (default: the first line of the commit message)')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExit code: 0 everything is registered; 2 a file cannot be used; 4 the key may not use its prompt;\n6 a number is taken or older than the newest, or a label stayed where it was. Files that are in order are registered whatever the others are.',
    )
    .action(async (options: SyncOptions) => {
      if (options.reason !== undefined && !options.deploy) {
        throw new PromptgateError('invalid_request', '--reason goes into the ledger with --deploy.');
      }
      const directory = promptsDirectory(context, options.dir);
      const { files, suites, head } = await readCommittedFiles(directory);
      const { report, history } = await withGateway(context, async (client) => {
        const walked = options.history ? await syncHistory(client, directory) : null;
        const reason = options.reason ?? head?.message.split('\n')[0];
        const body = {
          files,
          suites,
          git_commit: head?.commit ?? null,
          allow_backfill: options.allowBackfill ?? false,
          ...(options.deploy ? { deploy: { label: options.deploy, ...(reason ? { reason } : {}) } } : {}),
        };
        return { report: await client.request<SyncReportView>('POST', '/v1/sync', body), history: walked };
      });
      if (options.json) context.out(JSON.stringify(history ? { ...report, history } : report, null, 2));
      else context.out([...(history ? [renderHistory(history)] : []), renderSync(report)].join('\n'));
      setExitCode(syncExitCode(report));
    });
}

/** What was broken in the past is told and passed over: nothing can be done about it any more. */
async function syncHistory(client: GatewayClient, directory: string): Promise<HistoricCommit[]> {
  const repository = await openGitRepository(directory);
  if (!repository) throw new PromptgateError('not_found', `${directory} is in no git repository.`);
  const history: HistoricCommit[] = [];
  for await (const { commit, files } of repository.history()) {
    const report = await client.request<SyncReportView>('POST', '/v1/sync', {
      files,
      allow_backfill: true,
    });
    const told = report.files.filter(({ outcome }) => outcome !== 'unchanged');
    history.push({
      commit: commit.commit,
      files: told.map((file) => (file.outcome === 'failed' ? { ...file, outcome: 'skipped' } : file)),
    });
  }
  return history;
}

function renderHistory(history: readonly HistoricCommit[]): string {
  const lines = history.flatMap(({ commit, files }) =>
    files.map((file) => {
      const what = file.name === null ? file.path : `${file.name} v${file.version}`;
      const why = file.issues[0] ? `line ${file.issues[0].line}: ${file.issues[0].message}` : file.message;
      return `${commit.slice(0, 8)} ${file.outcome.padEnd(7)} ${what}${file.outcome === 'skipped' ? `: ${why}` : ''}`;
    }),
  );
  const count = (outcome: string) =>
    history.flatMap(({ files }) => files).filter((file) => file.outcome === outcome).length;
  return [
    ...lines,
    `history: ${history.length} commits, ${count('synced')} synced, ${count('skipped')} skipped`,
  ].join('\n');
}
