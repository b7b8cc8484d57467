/** `serve --workers`: one process that owns the workers, and the workers, which are gateways as `serve` alone is one. */
import type { Config } from '../config.ts';
import { toPromptgateError } from '../domain/errors.ts';
import { listen } from '../http/listen.ts';
import { connectToSupervisor, spawnWorker } from '../workers/cluster.ts';
import { createSupervisor } from '../workers/supervisor.ts';
import type { CliContext } from './context.ts';
import { listenError } from './listen-error.ts';
import { answerTimeoutMs, listenForStop, runUntilStopped } from './until-stopped.ts';

/** What ending takes beyond the bounds that are configured, before a worker counts as hung. */
const stopGraceMs = 10_000;

/**
 * Owns the workers until it is told to stop.
 * @returns the exit code
 * @throws PromptgateError why a worker could not start
 */
export async function superviseWorkers(
  context: CliContext,
  config: Config,
  workers: number,
  onReady: (url: string) => void,
): Promise<number> {
  const stop = listenForStop();
  const { values } = config;
  const log = await context.openLog(values.PROMPTGATE_LOG_LEVEL);
  const supervisor = createSupervisor({
    workers,
    spawn: spawnWorker,
    log,
    stopTimeoutMs:
      values.PROMPTGATE_DRAIN_TIMEOUT_MS + values.PROMPTGATE_AUDIT_TIMEOUT_MS + answerTimeoutMs + stopGraceMs,
  });
  onReady(await supervisor.start());
  await stop.requested;
  stop.hurry.addEventListener('abort', () => supervisor.hurry());
  const ended = supervisor.stop();
  if (stop.hurry.aborted) supervisor.hurry();
  return ended;
}

/** Serves as one of the workers of another process. @returns the exit code */
export async function serveAsWorker(context: CliContext, config: Config): Promise<number> {
  const supervisor = connectToSupervisor();
  const begin = await supervisor.begin;
  const { HOST: host, PORT: port, PROMPTGATE_DRAIN_TIMEOUT_MS: drainTimeoutMs } = config.values;
  try {
    const app = await context.openApp({
      config,
      directory: context.directory,
      embedded: false,
      simulate: false,
      serving: true,
      fellows: supervisor.fellowsAt(begin),
    });
    const listener = await listen(app.http, { host, port }).catch(async (error) => {
      await app.close();
      throw listenError(error, host, port);
    });
    supervisor.ready(listener.url, app.gatewayId);
    const exitCode = await runUntilStopped(app, listener, drainTimeoutMs, supervisor.stop);
    await app.close();
    supervisor.close();
    return exitCode;
  } catch (error) {
    // Said by the supervisor, which ends this process.
    supervisor.failed(error);
    return toPromptgateError(error).kind.exitCode;
  }
}
