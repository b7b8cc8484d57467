import { openApp } from './app.ts';
import { runCli } from './cli/cli.ts';

/** Runs one command and leaves its exit code to the process, so that pending output is not cut. */
export async function main(argv: readonly string[]): Promise<void> {
  process.exitCode = await runCli(argv.slice(2), {
    environment: process.env,
    directory: process.cwd(),
    openApp,
    out: (text) => process.stdout.write(`${text}\n`),
    err: (text) => process.stderr.write(`${text}\n`),
  });
}
