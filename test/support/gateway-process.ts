/** `promptgate serve` as a real process that a test may kill and start again, and the calls that are made to it. */
import { randomUUID } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config.ts';
import { type RunningCommand, startCommand } from './command.ts';
import { definition, systemActor } from './gateway.ts';
import type { LedgerProvider } from './ledger-provider.ts';

/** What a caller knows of a call: null where the connection broke before the answer. */
export interface Call {
  readonly token: string;
  readonly status: number | null;
  readonly id: string | null;
  readonly code: string | null;
  /** Of the error. */
  readonly message: string | null;
  readonly output: string | null;
  readonly headers: Headers | null;
  /** On the clock of `performance.now()`. */
  readonly startedAt: number;
  readonly ms: number;
}

export interface GatewayProcess {
  readonly url: string;
  readonly pid: number;
  /** Of an admin. */
  readonly key: string;
  /** Directory of the gateway's own files. */
  readonly directory: string;
  /** Resolves when it answers; a load waits here while the process is away. */
  ready(): Promise<void>;
  start(): Promise<void>;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** SIGTERM. @returns the exit code */
  stop(): Promise<number | null>;
  /** Resolves with the exit code when the process ends by itself. */
  exited(): Promise<number | null>;
  readonly isRunning: boolean;
  /** What it has written to its log so far. */
  log(): string;
  /** One execution of `prompt`, whose provider will find the token in its messages. Never rejects. */
  call(token: string, options?: CallOptions): Promise<Call>;
  get(path: string): Promise<{ status: number; text: string }>;
}

export interface CallOptions {
  readonly prompt?: 'greet' | 'claude' | 'hasty';
  readonly headers?: Record<string, string>;
  /** Stands beside the token, to make a request large. */
  readonly padding?: string;
  readonly timeoutMs?: number;
}

export interface GatewayProcessOptions {
  readonly provider: LedgerProvider;
  /** Absent: `--embedded`, in a directory of its own. */
  readonly databaseUrl?: string;
  /** Where the gateway finds that database, when not there: behind a proxy. */
  readonly connectUrl?: string;
  readonly environment?: Record<string, string>;
  /** Of `serve`. */
  readonly args?: readonly string[];
}

const files = {
  'greet.prompt': definition('greet', 1, 'gpt-4o-mini', 'Greet {{name}}.'),
  'claude.prompt': definition('claude', 1, 'claude-haiku-4-5', 'Greet {{name}}.'),
  'hasty.prompt': definition('hasty', 1, 'gpt-4o-mini', 'Greet {{name}}.', 'config: { timeout: 2s }\n'),
};

/** Registers the prompts and a key, in this process, and leaves the gateway to be started. */
export async function prepareGateway(options: GatewayProcessOptions): Promise<GatewayProcess> {
  const directory = await mkdtemp(join(tmpdir(), 'promptgate-fault-'));
  const embedded = options.databaseUrl === undefined;
  const settings = { PORT: '0', ...options.provider.environment };
  const secret = await register(directory, {
    ...settings,
    ...options.environment,
    ...(options.databaseUrl ? { DATABASE_URL: options.databaseUrl } : {}),
  });
  const databaseUrl = options.connectUrl ?? options.databaseUrl;
  const environment = {
    ...settings,
    PROMPTGATE_LOG_LEVEL: 'warn',
    ...(databaseUrl ? { DATABASE_URL: databaseUrl } : {}),
    ...options.environment,
  };
  let running: RunningCommand | undefined;
  let ready = Promise.withResolvers<void>();
  const current = (): RunningCommand => {
    if (!running) throw new Error('the gateway is not running');
    return running;
  };
  const gone = async (): Promise<number | null> => {
    ready = Promise.withResolvers<void>();
    const { ended } = current();
    const code = await ended;
    running = undefined;
    return code;
  };
  const kill = async (): Promise<void> => {
    if (!running) return;
    running.signal('SIGKILL');
    await gone();
  };
  return {
    directory,
    key: secret,
    get url() {
      return current().ready.url;
    },
    get pid() {
      return current().pid;
    },
    get isRunning() {
      return running !== undefined;
    },
    exited: () => gone(),
    ready: () => ready.promise,
    async start() {
      // Of a test that failed before its end; the next one would take its place, and nobody would stop it.
      await kill();
      running = await startCommand(['serve', ...(embedded ? ['--embedded'] : []), ...(options.args ?? [])], {
        cwd: directory,
        environment,
      });
      ready.resolve();
    },
    kill,
    signal: (name) => current().signal(name),
    stop() {
      current().signal('SIGTERM');
      return gone();
    },
    log: () => current().read().stderr + current().read().stdout,
    call: (token, call) => callOnce(running?.ready.url ?? '', secret, token, call),
    async get(path) {
      const response = await fetch(`${current().ready.url}${path}`, {
        headers: { authorization: `Bearer ${secret}` },
      });
      return { status: response.status, text: await response.text() };
    },
  };
}

async function register(directory: string, environment: Record<string, string>): Promise<string> {
  const config = loadConfig(environment, directory);
  const embedded = environment.DATABASE_URL === undefined;
  const app = await openApp({ config, directory, embedded, simulate: false, logLevel: 'silent' });
  try {
    const sources = Object.entries(files).map(([path, source]) => ({ path, source }));
    await app.gateway.syncPrompts({ files: sources, actor: systemActor, seed: 'production' });
    const name = `load-${randomUUID()}`;
    const key = { actor: systemActor, name, scopes: ['admin', 'execute'] as const };
    return (await app.gateway.createKey(key)).secret;
  } finally {
    await app.close();
  }
}

async function callOnce(
  url: string,
  secret: string,
  token: string,
  options: CallOptions = {},
): Promise<Call> {
  const startedAt = performance.now();
  try {
    const response = await fetch(`${url}/v1/prompts/${options.prompt ?? 'greet'}/executions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, ...options.headers },
      body: JSON.stringify({ variables: { name: `${token} ${options.padding ?? ''}`.trim() } }),
      signal: AbortSignal.timeout(options.timeoutMs ?? 60_000),
    });
    const body = JSON.parse(await response.text());
    return {
      token,
      status: response.status,
      id: body.id ?? body.error?.execution_id ?? null,
      code: body.error?.code ?? null,
      message: body.error?.message ?? null,
      output: body.output ?? null,
      headers: response.headers,
      startedAt,
      ms: performance.now() - startedAt,
    };
  } catch {
    const none = { status: null, id: null, code: null, message: null, output: null, headers: null };
    return { token, ...none, startedAt, ms: performance.now() - startedAt };
  }
}

/** Calls with ever new tokens, `concurrency` at a time, until `count` are made or `until` says so. */
export async function runLoad(
  gateway: GatewayProcess,
  options: CallOptions & {
    readonly concurrency: number;
    readonly prefix: string;
    readonly count?: number;
    readonly until?: () => boolean;
    readonly onCall?: (call: Call) => void;
  },
): Promise<Call[]> {
  const calls: Call[] = [];
  let next = 0;
  const worker = async () => {
    while (next < (options.count ?? Number.POSITIVE_INFINITY) && !options.until?.()) {
      next += 1;
      const token = `call-${options.prefix}-${next}`;
      await gateway.ready();
      const call = await gateway.call(token, options);
      calls.push(call);
      options.onCall?.(call);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, worker));
  return calls;
}
