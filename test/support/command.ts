/** Runs the real CLI as a process, the way a person does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';

const bin = resolve(import.meta.dirname, '../../bin/promptgate.js');

export interface CommandOptions {
  readonly cwd: string;
  readonly environment?: Record<string, string>;
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[], options: CommandOptions): ChildProcess {
  return spawn(process.execPath, [bin, ...args], {
    cwd: options.cwd,
    // Nothing of the developer's own settings may reach a test.
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      // Loading the job library is no part of what other tests are about.
      PROMPTGATE_DRIFT_SCHEDULE: 'off',
      ...options.environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Runs a command to its end. */
export async function runCommand(args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  const child = start(args, options);
  const output = collect(child);
  const code = await new Promise<number | null>((done) => child.once('close', done));
  return { code, ...output.read() };
}

export interface RunningCommand {
  /** What `--json` printed when it was ready. */
  readonly ready: {
    readonly url: string;
    readonly key: string;
    readonly pid: number;
    readonly ready_ms: number;
  };
  readonly pid: number;
  read(): { stdout: string; stderr: string };
  /** Resolves with the exit code, null when a signal ended it. */
  readonly ended: Promise<number | null>;
  signal(name: NodeJS.Signals): void;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Starts `dev` or `serve` and waits for its ready line. @throws Error with its output when it ends before */
export async function startCommand(
  args: readonly string[],
  options: CommandOptions,
): Promise<RunningCommand> {
  const child = start([...args, '--json'], options);
  const output = collect(child);
  const ended = new Promise<number | null>((done) => child.once('close', done));
  const ready = await new Promise<string>((done, fail) => {
    child.stdout?.on('data', () => {
      const line = output
        .read()
        .stdout.split('\n')
        .find((text) => text.includes('"ready_ms"'));
      if (line) done(line);
    });
    void ended.then((code) => fail(new Error(`ended with ${code}: ${JSON.stringify(output.read())}`)));
  });
  return {
    ready: JSON.parse(ready),
    pid: child.pid ?? 0,
    read: output.read,
    ended,
    signal: (name) => void child.kill(name),
    stop(signal = 'SIGTERM') {
      child.kill(signal);
      return ended;
    },
  };
}

function collect(child: ChildProcess) {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return { read: () => ({ stdout, stderr }) };
}
