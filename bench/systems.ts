/** What is measured, each as its own process with an address: the floor, promptgate as it is served, and its peers. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import postgres from 'postgres';
import type { Target } from './arrivals-process.ts';
import type { AuditKind } from './exchanged-trail.ts';
import type { Peer } from './peers.ts';
import { answerOf, type Environment, start } from './processes.ts';
import { startUsedPostgres } from './used-postgres.ts';

const repository = resolve(import.meta.dirname, '..');
const memoryDirectory = '/dev/shm';

/** A running process of a system, and what to send it. */
export interface System {
  readonly name: string;
  readonly pid: number;
  /** One whole answer, and a streamed one of `text`. */
  readonly whole: Target;
  readonly streamed: (text: string) => Target & { readonly wire: 'chat' | 'native' };
  /** Where its audit is, of systems that have one. */
  readonly databaseUrl?: string;
  /** From the start of the process to the first moment at which it takes requests. */
  readonly readyMs?: number;
  /** Not everything is asked of it: only what a request costs, or only p99 at the rate where it is judged. */
  readonly asked?: 'cost' | 'judged rate';
  stop(): Promise<void>;
}

/** What the caller of every system wants summarised. */
export const articleText = 'Prompts deserve version control. '.repeat(20);

const system = 'You are a precise summarizer.';
const definition = `---
name: bench
version: 1
model: gpt-4o-mini
config: { temperature: 0.2 }
input:
  schema: { text: string }
---
{{role "system"}}
${system}
{{role "user"}}
Summarize: {{text}}
`;

/** The same request as promptgate sends it, for whoever has no prompts. */
function chatBody(content: string, more: object = {}): string {
  const messages = [
    { role: 'system', content: system },
    { role: 'user', content: `Summarize: ${content}` },
  ];
  return JSON.stringify({ model: 'gpt-4o-mini', messages, temperature: 0.2, ...more });
}

const json = { 'content-type': 'application/json' };
const streaming = { stream: true, stream_options: { include_usage: true } };

/** A system that takes OpenAI's own requests. */
export function chatSystem(
  name: string,
  url: string,
  headers: Readonly<Record<string, string>>,
  child: ChildProcess,
  stop = () => ended(child),
): System {
  const target = { url: `${url}/v1/chat/completions`, headers: { ...json, ...headers } };
  return {
    name,
    pid: child.pid!,
    whole: { ...target, body: chatBody(articleText) },
    streamed: (said) => ({ ...target, body: chatBody(said, streaming), wire: 'chat' }),
    stop,
  };
}

export async function startFloor(providerUrl: string, environment: Environment = {}): Promise<System> {
  const child = start('floor-process.ts', [providerUrl], environment);
  const { url } = await answerOf<{ url: string }>(child);
  return chatSystem('floor', url, {}, child);
}

/** The provider itself, to know what everything else adds. */
export function direct(providerUrl: string, provider: ChildProcess): System {
  return chatSystem('direct', providerUrl, {}, provider, async () => {});
}

export interface PromptgateOptions {
  /** How its audit is exchanged, see audit-exchange.ts. */
  readonly audit: AuditKind;
  /** How it is called in the figures. */
  readonly name?: string;
  /** Another working tree of promptgate, to compare with. */
  readonly checkout?: string;
  /** More arguments of `serve`. */
  readonly serve?: readonly string[];
  readonly environment?: Environment;
}

/** How the second face of a gateway is called in the figures. */
export function compatibleName(name: string): string {
  return `${name} (OpenAI API)`;
}

/** `promptgate serve` as anyone would run it, once for both of its faces. */
export async function startPromptgate(
  admin: string,
  providerUrl: string,
  {
    audit,
    name = audit === 'as it is' ? 'promptgate' : `promptgate, ${audit}`,
    checkout = repository,
    serve = [],
    environment = {},
  }: PromptgateOptions,
): Promise<[native: System, compatible: System]> {
  const databaseUrl = await createDatabase(admin);
  const directory = mkdtempSync(join(tmpdir(), 'promptgate-bench-'));
  mkdirSync(join(directory, 'prompts'));
  writeFileSync(join(directory, 'prompts/bench.prompt'), definition);
  const env = {
    PATH: process.env.PATH,
    HOME: directory,
    DATABASE_URL: databaseUrl,
    OPENAI_API_KEY: 'sk-bench',
    OPENAI_BASE_URL: `${providerUrl}/v1`,
    PORT: '0',
  };
  const cli = join(checkout, 'bin/promptgate.js');
  const run = (...args: string[]) =>
    execFileSync(process.execPath, [cli, ...args], { cwd: directory, env, encoding: 'utf8', stdio: 'pipe' });
  run('migrate');
  run('sync', '--deploy', 'production');
  const key = run('keys', 'create', 'bench').trim();
  const hooks = audit === 'as it is' ? [] : ['--import', join(import.meta.dirname, 'audit-exchange.ts')];
  const child = spawn(process.execPath, [...hooks, cli, 'serve', '--json', ...serve], {
    cwd: directory,
    env: { ...env, ...environment, BENCH_AUDIT: audit },
    // It logs as ever: a line for each execution.
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const { url, ready_ms: readyMs } = await readyLine(child);
  const stop = async () => {
    await ended(child);
    rmSync(directory, { recursive: true, force: true });
  };
  const headers = { ...json, authorization: `Bearer ${key}` };
  const base = { pid: child.pid!, readyMs, stop, ...(audit === 'no audit' ? {} : { databaseUrl }) };
  const native = { url: `${url}/v1/prompts/bench/executions`, headers };
  const compatible = { url: `${url}/v1/chat/completions`, headers };
  const call = (said: string, more: object = {}) => JSON.stringify({ variables: { text: said }, ...more });
  const named = { model: 'prompt/bench' };
  return [
    {
      ...base,
      name,
      whole: { ...native, body: call(articleText) },
      streamed: (said) => ({ ...native, body: call(said, { stream: true }), wire: 'native' }),
    },
    {
      ...base,
      name: compatibleName(name),
      whole: { ...compatible, body: call(articleText, named) },
      streamed: (said) => ({ ...compatible, body: call(said, { ...named, ...streaming }), wire: 'chat' }),
      // Two faces of one process: it is stopped once.
      stop: async () => {},
    },
  ];
}

export const inMemoryName = 'promptgate, PostgreSQL’s files in memory';
/** 64 WAL files, and what a run writes. */
const leastMemoryBytes = 4 * 2 ** 30;

/**
 * promptgate on a PostgreSQL of its own whose disk never waits: what is the gateway's, apart from what is the disk's.
 * @throws Error — there is no file system in memory, or too little of it
 */
export async function startInMemory(providerUrl: string): Promise<System[]> {
  const { bavail, bsize } = statfsSync(memoryDirectory);
  if (bavail * bsize < leastMemoryBytes) throw new Error(`${memoryDirectory} has less than 4 GiB left`);
  const database = await startUsedPostgres(memoryDirectory);
  const options = { audit: 'as it is', name: inMemoryName } as const;
  const [native, compatible] = await startPromptgate(database.url, providerUrl, options).catch(
    async (error) => {
      await database.stop();
      throw error;
    },
  );
  const stop = async () => {
    await native.stop();
    await database.stop();
  };
  return [{ ...native, stop }, compatible].map((system) => ({ ...system, asked: 'judged rate' as const }));
}

/** How a system is started for itself. */
export interface SystemStart {
  readonly name: string;
  begin(): Promise<System>;
}

/** What streams are measured of: each face of promptgate in a process of its own. */
export function streamStarts(
  database: { readonly url: string },
  peers: readonly Peer[],
  providerUrl: string,
  environment: Environment = {},
): SystemStart[] {
  const promptgate = (face: 0 | 1) => async () => {
    const faces = await startPromptgate(database.url, providerUrl, { audit: 'as it is', environment });
    return { ...faces[face], stop: faces[0].stop };
  };
  return [
    { name: 'floor', begin: () => startFloor(providerUrl, environment) },
    { name: 'promptgate', begin: promptgate(0) },
    { name: 'promptgate (OpenAI API)', begin: promptgate(1) },
    ...peers.map(({ name, start }) => ({ name, begin: () => start(providerUrl, environment) })),
  ];
}

/** Whoever goes first gains or loses by it, and by whom it follows: each in turn, and in both directions. */
export function inTurn<T>(all: readonly T[], round: number): T[] {
  const turned = all.map((_, index) => all[(index + round) % all.length]!);
  return round % 2 === 0 ? turned : turned.reverse();
}

async function createDatabase(admin: string): Promise<string> {
  const name = `bench_${randomUUID().replaceAll('-', '')}`;
  const sql = postgres(admin, { max: 1 });
  await sql.unsafe(`create database ${name}`);
  await sql.end();
  return Object.assign(new URL(admin), { pathname: `/${name}` }).href;
}

async function readyLine(child: ChildProcess): Promise<{ url: string; ready_ms: number }> {
  for await (const line of createInterface({ input: child.stdout! })) return JSON.parse(line);
  throw new Error('promptgate did not start');
}

/** Asks it to end, and insists after a while. */
export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((done) => child.once('exit', done));
  const insist = setTimeout(() => child.kill('SIGKILL'), 10_000);
  child.kill();
  await exit;
  clearTimeout(insist);
}
