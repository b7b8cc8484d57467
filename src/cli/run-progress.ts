/** How far a run is: one line that is drawn over in a terminal, elsewhere a line for each tenth. */
import type { WriteStream } from 'node:tty';
import { styleText } from 'node:util';
import type { RunProgress } from '../application/call-run.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { CliContext } from './context.ts';
import { type GatewayClient, toFailure } from './gateway-client.ts';

/** Why a run ended before its end, as a report says it. */
export const stops = {
  budget: 'the next call could have cost more than the budget has left',
  cost_unknown: 'what calls cost is not known, so no budget can be kept',
  time: 'the time was over',
  cancelled: 'whoever asked for it went away',
  stopping: 'the gateway stopped, or could not record',
} as const;

const barWidth = 24;
/** Drawing costs more than it tells when answers come by the hundred. */
const redrawMs = 100;

/**
 * Asks for a run and follows it to its report.
 * @throws PromptgateError — what kept it from beginning, or ended it; provider_unavailable — the gateway went away
 */
export async function followRun<Started, P extends RunProgress, Report>(
  client: GatewayClient,
  path: string,
  body: object,
  { begin, progress }: { begin(run: Started): void; readonly progress: Drawn<P> },
): Promise<Report> {
  let report: Report | undefined;
  try {
    for await (const { event, data } of client.events('POST', path, { ...body, stream: true })) {
      if (event === 'waiting') progress.wait((data as { calls: number }).calls);
      else if (event === 'run') begin(data as Started);
      else if (event === 'progress') progress.tell(data as P);
      else if (event === 'report') report = data as Report;
      else if (event === 'error') throw toFailure(data, 500);
    }
  } finally {
    progress.end();
  }
  if (report) return report;
  throw new PromptgateError('provider_unavailable', 'The gateway went away before the end of the run.');
}

export interface Drawn<P> {
  /** Calls of an earlier part are in flight still, or their gateway died with them. */
  wait(calls: number): void;
  tell(progress: P): void;
  end(): void;
}

/** @param counts what became of those that are done. @param quiet nothing at all where nobody watches */
export function createProgress<P extends RunProgress>(
  context: Pick<CliContext, 'err'>,
  terminal: Pick<WriteStream, 'isTTY' | 'write'>,
  counts: (progress: P) => readonly string[],
  quiet: boolean,
): Drawn<P> {
  const describe = (progress: P) =>
    [showDone(progress), ...counts(progress), ...showSpent(progress)].join(', ');
  let tenth = 0;
  let drawnAt = 0;
  let drawn = false;
  let isWaiting = false;
  return {
    wait(calls) {
      if (isWaiting || (quiet && !terminal.isTTY)) return;
      isWaiting = true;
      const what = calls === 1 ? '1 call of the earlier part is' : `${calls} calls of the earlier part are`;
      context.err(
        `${what} in flight still; waiting, at most 30 s, until it is known how ${calls === 1 ? 'it ends' : 'they end'}`,
      );
    },
    tell(progress) {
      const isLast = progress.done === progress.trials;
      if (terminal.isTTY) {
        const now = Date.now();
        if (!isLast && now - drawnAt < redrawMs) return;
        drawnAt = now;
        drawn = true;
        terminal.write(`\r\x1b[2K${bar(progress)} ${describe(progress)}`);
        return;
      }
      const reached = Math.floor((10 * progress.done) / progress.trials);
      if (quiet || reached === tenth) return;
      tenth = reached;
      context.err(`${String(10 * reached).padStart(3)} %  ${describe(progress)}`);
    },
    end() {
      if (drawn) terminal.write('\r\x1b[2K');
      drawn = false;
    },
  };
}

function bar({ done, trials }: RunProgress): string {
  const filled = Math.floor((barWidth * done) / trials);
  return `${styleText('green', '█'.repeat(filled))}${'░'.repeat(barWidth - filled)}`;
}

function showDone({ done, trials }: RunProgress): string {
  return `${done}/${trials}`;
}

function showSpent({ spent }: RunProgress): string[] {
  return spent === '0' ? [] : [`${Number(spent).toFixed(4)} spent`];
}
