import { type Command, InvalidArgumentError } from 'commander';
import type { CliContext } from './context.ts';
import { withGateway } from './gateway-client.ts';
import { paint, renderTable } from './render.ts';

interface Verification {
  readonly sound: boolean;
  readonly checks: readonly {
    readonly check: string;
    readonly about: string;
    readonly violations: number;
    readonly examples: readonly string[];
  }[];
}

interface Retention {
  readonly dropped: readonly { readonly partition: string; readonly rows_estimated: number }[];
}

/** Not one of the error table: the command worked, and what it looked at is broken. */
const unsoundExitCode = 1;

export function addAuditCommand(
  program: Command,
  context: CliContext,
  setExitCode: (code: number) => void,
): void {
  const audit = program.command('audit').description('Verify the audit trail, and let go of old months');
  audit
    .command('verify')
    .description('Check the invariants of the audit trail; exits with 1 when one is broken')
    .option('--since <time>', 'executions from this time on (ISO 8601); default: all')
    .option('--json', 'print JSON')
    .action(async (options: { since?: string; json?: boolean }) => {
      await withGateway(context, async (client) => {
        const query = options.since ? `?${new URLSearchParams({ since: options.since })}` : '';
        const verification = await client.request<Verification>('GET', `/v1/audit/verify${query}`);
        context.out(options.json ? JSON.stringify(verification, null, 2) : renderVerification(verification));
        if (!verification.sound) setExitCode(unsoundExitCode);
      });
    });
  audit
    .command('retain')
    .description('Drop the months of executions before the ones to keep')
    .requiredOption('--months <number>', 'whole months to keep before the current one, at least 1', months)
    .option('--json', 'print JSON')
    .action(async (options: { months: number; json?: boolean }) => {
      await withGateway(context, async (client) => {
        const retention = await client.request<Retention>('POST', '/v1/audit/retention', {
          months: options.months,
        });
        if (options.json) return context.out(JSON.stringify(retention, null, 2));
        for (const { partition, rows_estimated } of retention.dropped) {
          context.out(`dropped ${partition} (about ${rows_estimated} executions)`);
        }
        if (retention.dropped.length === 0) context.out('There is no older month.');
      });
    });
}

function months(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('Give a whole number, 1 or more.');
  return Number(text);
}

function renderVerification({ sound, checks }: Verification): string {
  const rows = checks.map(({ check, about, violations }) => [
    violations === 0 ? paint('green', 'holds') : paint('red', 'BROKEN'),
    check,
    String(violations),
    about,
  ]);
  const broken = checks.filter(({ violations }) => violations > 0);
  return [
    renderTable(['', 'check', 'violations', 'what is checked'], rows),
    ...broken.flatMap(({ check, examples }) => ['', `${check}:`, ...examples.map((one) => `  ${one}`)]),
    '',
    sound ? 'The audit trail is sound.' : paint('red', 'The audit trail is not sound.'),
  ].join('\n');
}
