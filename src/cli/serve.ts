import type { Command } from 'commander';
import { loadConfig } from '../config.ts';
import { PromptgateError, toPromptgateError } from '../domain/errors.ts';
import { listen } from '../http/listen.ts';
import type { CliContext } from './context.ts';
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
    .option('--json', 'print the ready line as JSON')
    .action(async (options: { embedded?: boolean; json?: boolean }) => {
      const stop = listenForStop();
      const config = loadServeConfig(context, options.embedded ?? false);
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
      const readyMs = Math.round(performance.now());
      context.out(
        options.json
          ? JSON.stringify({ url: listener.url, ready_ms: readyMs })
          : `promptgate listens on ${listener.url} (${app.database === 'postgres' ? 'PostgreSQL' : 'embedded database'}), ready in ${(readyMs / 1000).toFixed(1)} s`,
      );
      setExitCode(await runUntilStopped(app, listener, config.values.PROMPTGATE_DRAIN_TIMEOUT_MS, stop));
      await app.close();
    });
}

/** @throws PromptgateError invalid_request — with everything that keeps the gateway from starting */
function loadServeConfig(context: CliContext, embedded: boolean) {
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

export function listenError(error: unknown, host: string, port: number): PromptgateError {
  const code = (error as { code?: unknown }).code;
  const why = code === 'EADDRINUSE' ? 'is in use; set PORT to another' : 'cannot be listened on';
  return new PromptgateError('invalid_request', `${host}:${port} ${why}.`, { cause: error });
}
