/** Gives processes a share of a core each, so that what they do is bounded by it and by nothing else on the machine. */
import { readdirSync, readFileSync } from 'node:fs';
import { sum } from './processes.ts';

const checkMs = 4;

/** CPU time of a process so far, in milliseconds, as exact as the kernel counts. */
function ranMs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const times = threads.map((thread) => {
    try {
      return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
    } catch {
      return 0;
    }
  });
  return sum(times);
}

/**
 * Stops each process when it has used more than its share of the time that has passed, and lets it go on when it has not.
 * @param share of a core, below 1
 * @returns ends it, and says what each really used of a core
 */
export function limitCpu(pids: readonly number[], share: number): () => number[] {
  const from = performance.now();
  const before = pids.map(ranMs);
  const check = () => {
    for (const [index, pid] of pids.entries()) {
      const over = ranMs(pid) - (before[index] ?? 0) > share * (performance.now() - from);
      process.kill(pid, over ? 'SIGSTOP' : 'SIGCONT');
    }
  };
  const timer = setInterval(check, checkMs);
  return () => {
    clearInterval(timer);
    for (const pid of pids) process.kill(pid, 'SIGCONT');
    const ms = performance.now() - from;
    return pids.map((pid, index) => (ranMs(pid) - (before[index] ?? 0)) / ms);
  };
}
