import { stripVTControlCharacters } from 'node:util';
import { runCli } from './cli/cli.ts';

/**
 * Everything is closed when a command has ended, but a connection that was given up while it was being made (the
 * database was away) stays open until the server tires of it, a minute later. It may not hold the process that long.
 */
const lingerMs = 1_000;

/** Runs one command and leaves its exit code to the process, so that pending output is not cut. */
export async function main(argv: readonly string[]): Promise<void> {
  process.stdout.on('error', ignoreClosedPipe);
  process.exitCode = await runCli(argv.slice(2), {
    environment: process.env,
    directory: process.cwd(),
    // Loaded when a command opens a gateway: the others need neither database drivers nor SDKs.
    openApp: async (options) => (await import('./app.ts')).openApp(options),
    openLog: async (level) => (await import('./telemetry/log.ts')).createLog(level),
    out: (text, end = '\n') => process.stdout.write(`${text}${end}`),
    // Coloured for the terminal that stdout is; stderr may go elsewhere.
    err: (text) => process.stderr.write(`${process.stderr.isTTY ? text : stripVTControlCharacters(text)}\n`),
  });
  setTimeout(() => process.exit(), lingerMs).unref();
}

/** `promptgate history summarize | head`: whoever reads has enough, and the exit code is still that of the command. */
function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
