import type { App, OpenAppOptions } from '../app.ts';

/** What a command may touch; given by `main`, so that a test can give its own. */
export interface CliContext {
  readonly environment: NodeJS.ProcessEnv;
  readonly directory: string;
  openApp(options: OpenAppOptions): Promise<App>;
  /** A log without an app: of the process that owns the workers. */
  openLog(level: string): Promise<App['log']>;
  /** @param end what follows the text; a line break when left out */
  out(text: string, end?: string): void;
  err(text: string): void;
}
