/** Runs scripts and patterns of suites in a process of their own, one at a time; one that hangs or grows is killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ScriptRunner } from '../application/script-runner.ts';
import type { Json } from '../domain/json.ts';

export interface ScriptProcessOptions {
  /** Whether `javascript` may run. */
  readonly javascript: boolean;
}

/** Bound on one script. */
const timeoutMs = 1_000;
/** Beyond the child's own bound, which it could not keep; starting the child is part of it. */
const graceMs = 5_000;
const heapMegabytes = 64;

/** Before it the permission model of Node lets everything on the network through. */
const leastNode = 25;

interface Waiting {
  readonly job: { readonly kind: 'evaluate' | 'matches'; readonly code: string; readonly input: string };
  readonly resolve: (answer: string) => void;
  readonly reject: (error: Error) => void;
}

export function createScriptProcess(options: ScriptProcessOptions): ScriptRunner & { close(): void } {
  const queue: Waiting[] = [];
  let child: ChildProcess | undefined;
  let running: Waiting | undefined;
  let timer: NodeJS.Timeout | undefined;
  let number = 0;

  function start(): ChildProcess {
    // From source this file is .ts, built it is .js, and the child's file is what this one is.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const path = fileURLToPath(new URL(`./script-child.${extension}`, import.meta.url));
    const bounds = ['--permission', `--max-old-space-size=${heapMegabytes}`, '--no-addons', '--no-warnings'];
    const started = spawn(process.execPath, [...bounds, path], {
      // Nothing of the gateway's environment: its keys are there.
      env: {},
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    started.on('message', ({ id, answer }: { id: number; answer: string }) => {
      if (started !== child || id !== number || typeof answer !== 'string') return;
      finish((waiting) => waiting.resolve(answer));
    });
    started.on('exit', () => {
      if (started !== child) return;
      child = undefined;
      finish(({ reject }) => reject(new Error('it took too much time or memory and was stopped')));
    });
    started.on('error', () => started.kill('SIGKILL'));
    // An idle child does not keep a command from ending.
    started.unref();
    started.channel?.unref();
    return started;
  }

  function finish(tell: (waiting: Waiting) => void): void {
    clearTimeout(timer);
    const done = running;
    running = undefined;
    if (done) tell(done);
    next();
  }

  function next(): void {
    if (running) return;
    running = queue.shift();
    if (!running) {
      child?.channel?.unref();
      return;
    }
    child ??= start();
    const current = child;
    current.channel?.ref();
    timer = setTimeout(() => current.kill('SIGKILL'), timeoutMs + graceMs);
    current.send({ id: ++number, timeoutMs, ...running.job }, (error) => {
      if (error && current === child) current.kill('SIGKILL');
    });
  }

  async function ask(kind: 'evaluate' | 'matches', code: string, input: object): Promise<Json> {
    const answer = await new Promise<string>((resolve, reject) => {
      queue.push({ job: { kind, code, input: JSON.stringify(input) }, resolve, reject });
      next();
    });
    const said = JSON.parse(answer) as { value?: Json; fault?: string };
    if (said.value === undefined) throw new Error(said.fault ?? 'it returned nothing that JSON can hold');
    return said.value;
  }

  const tooOld = Number(process.versions.node.split('.')[0]) < leastNode;
  return {
    refusal: !options.javascript
      ? '`javascript` is off in this gateway. PROMPTGATE_EVAL_JAVASCRIPT=on lets it run, without files, network or processes.'
      : tooOld
        ? `\`javascript\` needs Node ${leastNode} or newer, which can keep it from the network.`
        : null,
    evaluate: (code, output, context) => ask('evaluate', code, { output, context }),
    matches: async (pattern, text) => (await ask('matches', '', { pattern, text })) === true,
    close() {
      const old = child;
      child = undefined;
      old?.kill('SIGKILL');
      for (const { reject } of [...(running ? [running] : []), ...queue.splice(0)])
        reject(new Error('the gateway stopped'));
      running = undefined;
      clearTimeout(timer);
    },
  };
}
