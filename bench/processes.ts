/** The processes of a benchmark: started, asked over their channel, and measured from outside by what the kernel counted. */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** More variables of the environment of a process. */
export type Environment = Readonly<Record<string, string>>;

/** A file of this directory as a process; it is told to end by closing its channel. */
export function start(
  file: string,
  args: readonly unknown[] = [],
  environment: Environment = {},
): ChildProcess {
  return fork(join(import.meta.dirname, file), args.map(String), {
    execArgv: [],
    env: { PATH: process.env.PATH, ...environment },
  });
}

export function answerOf<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null) => reject(new Error(`a process of the benchmark ended with ${code}`));
    child.once('exit', ended);
    child.once('message', (message) => {
      child.off('exit', ended);
      resolve(message as T);
    });
  });
}

export function ask<T>(child: ChildProcess, question: object): Promise<T> {
  const answer = answerOf<T>(child);
  child.send(question);
  return answer;
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

export function childrenOf(pid: number): number[] {
  const threads = ifThere(() => readdirSync(`/proc/${pid}/task`)) ?? [];
  return threads.flatMap((thread) => {
    const listed = ifThere(() => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')) ?? '';
    return listed.split(' ').filter(Boolean).map(Number);
  });
}

/** A process and everything that it started. */
function family(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(family)];
}

/** A backend of a database may end between two looks at it. */
function ifThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(String((error as NodeJS.ErrnoException).code))) return undefined;
    throw error;
  }
}

/** CPU time of a process and its children so far, in microseconds; one of a server's that ended is missing. */
export function cpuUsOf(pid: number): number {
  const ticks = family(pid).map((one) => {
    // The name, in parentheses, may hold anything.
    const stat =
      ifThere(() => readFileSync(`/proc/${one}/stat`, 'utf8'))
        ?.split(') ')
        .at(-1) ?? '';
    const fields = stat.split(' ');
    return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  });
  return (sum(ticks) / ticksPerSecond) * 1_000_000;
}

/** Resident memory of a process and its children, in bytes. */
export function rssOf(pid: number): number {
  const sizes = family(pid).map((one) => {
    const status = ifThere(() => readFileSync(`/proc/${one}/status`, 'utf8')) ?? '';
    return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
  });
  return sum(sizes);
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Of no numbers: NaN. */
export function median(numbers: readonly number[]): number {
  return quantile(
    numbers.toSorted((a, b) => a - b),
    0.5,
  );
}

/** Of numbers in ascending order, `share` from 0 to 1; of none: NaN. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
