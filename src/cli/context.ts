import type { App, OpenAppOptions } from '../app.ts';

/** What a command may touch; given by `main`, so that a test can give its own. */
export interface CliContext {
  readonly environment: NodeJS.ProcessEnv;
  readonly directory: string;
  openApp(options: OpenAppOptions): Promise<App>;
  out(text: string): void;
  err(text: string): void;
}
