/** How far a run is: one line that is drawn over in a terminal, elsewhere a line for each tenth. */
import type { WriteStream } from 'node:tty';
import { styleText } from 'node:util';
import type { CliContext } from './context.ts';

export interface Progress {
  readonly done: number;
  readonly trials: number;
  readonly passed: number;
  readonly failed: number;
  readonly open: number;
  readonly spent: string;
}

const barWidth = 24;
/** Drawing costs more than it tells when answers come by the hundred. */
const redrawMs = 100;

/** @param quiet nothing at all where nobody watches */
export function createProgress(
  context: Pick<CliContext, 'err'>,
  terminal: Pick<WriteStream, 'isTTY' | 'write'>,
  quiet: boolean,
): { tell(progress: Progress): void; end(): void } {
  let tenth = 0;
  let drawnAt = 0;
  let drawn = false;
  return {
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

function bar({ done, trials }: Progress): string {
  const filled = Math.floor((barWidth * done) / trials);
  return `${styleText('green', '█'.repeat(filled))}${'░'.repeat(barWidth - filled)}`;
}

function describe({ done, trials, passed, failed, open, spent }: Progress): string {
  const parts = [`${done}/${trials}`, `${passed} passed`, `${failed} failed`];
  if (open > 0) parts.push(`${open} without a verdict`);
  if (spent !== '0') parts.push(`${Number(spent).toFixed(4)} spent`);
  return parts.join(', ');
}
