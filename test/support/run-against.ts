import { runCli } from '../../src/cli/cli.ts';
import type { TestGateway } from './gateway.ts';

export interface RunResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command in a directory against a gateway that runs elsewhere, with its admin key. */
export async function runAgainst(
  gateway: Pick<TestGateway, 'url' | 'keys'>,
  directory: string,
  args: readonly string[],
): Promise<RunResult> {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await runCli(args, {
    environment: { PROMPTGATE_URL: gateway.url, PROMPTGATE_KEY: gateway.keys.admin },
    directory,
    openApp: () => Promise.reject(new Error('the gateway runs elsewhere')),
    openLog: () => Promise.reject(new Error('the gateway runs elsewhere')),
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}
