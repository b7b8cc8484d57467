import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { type Config, loadConfig } from '../config.ts';
import { PromptgateError, toPromptgateError } from '../domain/errors.ts';
import { listen } from '../http/listen.ts';
import { isWorker } from '../workers/cluster.ts';
import type { CliContext } from './context.ts';
import { listenError } from './listen-error.ts';
import { serveAsWorker, superviseWorkers } from './serve-workers.ts';
import { listenForStop, runUntilStopped } from './until-stopped.ts';

export function addServeCommand(
  program: Command,
  context: CliContext,
  setExitCode: (code: number) => void,
): void {
  program
    .command('serve')
    .description('Run the gateway in production: never simulates, wants DATABASE_URL or --embedded')
    .option('--embedded', 'use the embedded database of PROMPTGATE_DATA_DIR')
    .option('--workers <count>', 'processes behind the one address, or `auto`: one for each core', '1')
    .option('--json', 'print the ready line as JSON')
    .action(async (options: ServeOptions) => {
      const config = loadServeConfig(context, options);
      if (isWorker) return setExitCode(await serveAsWorker(context, config));
      const workers = countWorkers(options);
      const onReady = (url: string) => context.out(describeReady(url, options, workers));
      setExitCode(
        workers > 1
          ? await superviseWorkers(context, config, workers, onReady)
          : await serveAlone(context, config, options, onReady),
      );
    });
}

interface ServeOptions {
  readonly workers: string;
  readonly embedded?: boolean;
  readonly json?: boolean;
}

const workersMax = 256;

/** 0 when it cannot be read. */
function countWorkers({ workers }: ServeOptions): number {
  if (workers === 'auto') return availableParallelism();
  const count = Number(workers);
  return Number.isInteger(count) && count <= workersMax ? Math.max(0, count) : 0;
}

function describeReady(url: string, options: ServeOptions, workers: number): string {
  const readyMs = Math.round(performance.now());
  if (options.json) return JSON.stringify({ url, ready_ms: readyMs, workers });
  const database = options.embedded ? 'embedded database' : 'PostgreSQL';
  const many = workers > 1 ? `, ${workers} workers` : '';
  return `promptgate listens on ${url} (${database}${many}), ready in ${(readyMs / 1000).toFixed(1)} s`;
}

async function serveAlone(
  context: CliContext,
  config: Config,
  options: ServeOptions,
  onReady: (url: string) => void,
): Promise<number> {
  const stop = listenForStop();
  const app = await context.openApp({
    config,
    directory: context.directory,
    embedded: options.embedded ?? false,
    simulate: false,
    serving: true,
  });
  const { HOST: host, PORT: port } = config.values;
  const listener = await listen(app.http, { host, port }).catch(async (error) => {
    await app.close();
    throw listenError(error, host, port);
  });
  app.publishAddress(listener.url);
  onReady(listener.url);
  const exitCode = await runUntilStopped(app, listener, config.values.PROMPTGATE_DRAIN_TIMEOUT_MS, stop);
  await app.close();
  return exitCode;
}

/** @throws PromptgateError invalid_request — with everything that keeps the gateway from starting */
function loadServeConfig(context: CliContext, options: ServeOptions): Config {
  const embedded = options.embedded ?? false;
  const workers = countWorkers(options);
  const issues: { path: string; message: string }[] = [];
  let config: ReturnType<typeof loadConfig> | undefined;
  try {
    config = loadConfig(context.environment, context.directory);
  } catch (error) {
    issues.push(...toPromptgateError(error).issues);
  }
  if (!embedded && !context.environment.DATABASE_URL) {
    issues.push({ path: 'DATABASE_URL', message: 'is not set; name a PostgreSQL, or say --embedded' });
  }
  if (embedded && context.environment.DATABASE_URL) {
    issues.push({ path: '--embedded', message: 'contradicts DATABASE_URL; choose one' });
  }
  if (workers === 0) {
    issues.push({ path: '--workers', message: `must be a number from 1 to ${workersMax}, or \`auto\`` });
  }
  if (embedded && workers > 1) {
    issues.push({
      path: '--workers',
      message: 'contradicts --embedded: one process owns that database; name a PostgreSQL in DATABASE_URL',
    });
  }
  if (config?.providers.length === 0) {
    issues.push({
      path: 'OPENAI_API_KEY, ANTHROPIC_API_KEY',
      message:
        'neither is set, and no provider is configured; `serve` never simulates (`promptgate dev` does)',
    });
  }
  if (!config || issues.length > 0) {
    throw new PromptgateError('invalid_request', 'The gateway cannot start with this configuration.', {
      issues,
    });
  }
  return config;
}
