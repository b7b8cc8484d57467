/**
 * The oracle of the fault tests: a provider in a process of its own whose every request is on disk before it is
 * answered. Whatever dies beside it, its ledger says what money was spent on. Speaks both wires.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Behaviour {
  readonly delayMs?: number;
  /** Hold every answer back until `release`: before its first byte, or in the middle of its body. */
  readonly holdAt?: 'request' | 'answer';
  /** Hold none of the requests before this one, by their number. */
  readonly holdFrom?: number;
  /** Answer with this failure instead. */
  readonly status?: number;
  /** Retry-After of the calls whose token contains the key. */
  readonly retryAfter?: Record<string, string>;
}

export interface LedgerEntry {
  readonly number: number;
  /** The word beginning with `call-` in the rendered messages: it tells which call this request belongs to. */
  readonly token: string;
  readonly path: string;
  /** Epoch in milliseconds. */
  readonly at: number;
}

export interface LedgerProvider {
  readonly url: string;
  /** What makes `promptgate serve` use it, for both wires. */
  readonly environment: Record<string, string>;
  /** Answers held back now. */
  readonly held: number;
  /** Requests received, each of them in the ledger. */
  readonly count: number;
  /** Every request received since the start, from the file. */
  ledger(): LedgerEntry[];
  /** From the next request on. */
  behave(behaviour: Behaviour): Promise<void>;
  release(): Promise<void>;
  close(): Promise<void>;
}

export async function startLedgerProvider(directory: string): Promise<LedgerProvider> {
  const path = join(directory, 'ledger.jsonl');
  const child = fork(join(import.meta.dirname, 'ledger-provider-process.ts'), [path], { execArgv: [] });
  const port = Promise.withResolvers<number>();
  const obeyed: (() => void)[] = [];
  let held = 0;
  let count = 0;
  child.on('message', (message: { port?: number; held?: number; count?: number; obeyed?: boolean }) => {
    if (message.port !== undefined) port.resolve(message.port);
    if (message.held !== undefined) held = message.held;
    if (message.count !== undefined) count = message.count;
    if (message.obeyed) obeyed.shift()?.();
  });
  child.once('exit', (code) => port.reject(new Error(`the ledger provider ended with ${code}`)));
  const tell = (message: object) =>
    new Promise<void>((resolve) => {
      obeyed.push(resolve);
      child.send(message);
    });
  const url = `http://127.0.0.1:${await port.promise}`;
  return {
    url,
    environment: {
      OPENAI_BASE_URL: `${url}/v1`,
      OPENAI_API_KEY: 'sk-ledger',
      ANTHROPIC_BASE_URL: url,
      ANTHROPIC_API_KEY: 'sk-ant-ledger',
    },
    get held() {
      return held;
    },
    get count() {
      return count;
    },
    ledger: () => readLedger(path),
    behave: (behaviour) => tell({ behave: behaviour }),
    release: () => tell({ release: true }),
    close: () => ended(child),
  };
}

function readLedger(path: string): LedgerEntry[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.disconnect();
  });
}
