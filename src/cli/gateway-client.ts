/**
 * The CLI speaks HTTP shapes whether the gateway runs elsewhere or inside this process: commands have one way to ask.
 * Order: PROMPTGATE_URL, the development gateway of this directory, the database in this process.
 */
import { existsSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { type Config, loadConfig } from '../config.ts';
import { type ErrorCode, errorTable, type Issue, PromptgateError } from '../domain/errors.ts';
import type { CliContext } from './context.ts';

export interface GatewayClient {
  /** @throws PromptgateError — whatever the gateway answered, or provider_unavailable when it cannot be reached */
  request<T>(method: string, path: string, body?: unknown): Promise<T>;
  /** Server-sent events, in order, until the gateway ends them. @throws PromptgateError — as `request` */
  events(method: string, path: string, body: unknown): AsyncIterable<ServerEvent>;
  /** An answer that is no JSON. @throws as `request` */
  text(method: string, path: string): Promise<string>;
  close(): Promise<void>;
}

export interface ServerEvent {
  readonly event: string;
  readonly data: unknown;
}

const devGatewaySchema = z.object({ url: z.string(), key: z.string(), pid: z.number() });
export type DevGateway = z.infer<typeof devGatewaySchema>;

const healthTimeoutMs = 2_000;

/** Where a running `promptgate dev` says how to reach it. */
export function devGatewayPath(config: Config, directory: string): string {
  return join(resolve(directory, config.values.PROMPTGATE_DATA_DIR), 'dev-gateway.json');
}

async function connectGateway(context: CliContext): Promise<GatewayClient> {
  const config = loadConfig(context.environment, context.directory);
  const { PROMPTGATE_URL: url, PROMPTGATE_KEY: key } = config.values;
  if (url) {
    if (!key)
      throw new PromptgateError('unauthenticated', 'PROMPTGATE_URL is set but PROMPTGATE_KEY is not.');
    return remoteClient(url.replace(/\/$/, ''), key);
  }
  const dev = await findDevGateway(devGatewayPath(config, context.directory));
  if (dev) return remoteClient(dev.url, dev.key);
  return inProcessClient(context, config);
}

/** Connects, uses, and closes whichever way it ends. */
export async function withGateway<T>(
  context: CliContext,
  use: (client: GatewayClient) => Promise<T>,
): Promise<T> {
  const client = await connectGateway(context);
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

/** Undefined when none runs: a file left by a killed process names a pid that is gone, or that another process has now. */
async function findDevGateway(path: string): Promise<DevGateway | undefined> {
  if (!existsSync(path)) return undefined;
  try {
    const dev = devGatewaySchema.parse(JSON.parse(readFileSync(path, 'utf8')));
    process.kill(dev.pid, 0);
    await fetch(`${dev.url}/healthz`, { signal: AbortSignal.timeout(healthTimeoutMs) });
    return dev;
  } catch {
    return undefined;
  }
}

function remoteClient(url: string, key: string): GatewayClient {
  const ask = async (method: string, path: string, body?: unknown): Promise<Response> => {
    try {
      return await fetch(`${url}${path}`, toInit(method, body, { authorization: `Bearer ${key}` }));
    } catch (cause) {
      throw new PromptgateError('provider_unavailable', `No gateway answers at ${url}.`, { cause });
    }
  };
  return { ...toClient(ask), close: async () => {} };
}

function toClient(
  ask: (method: string, path: string, body?: unknown) => Promise<Response>,
): Omit<GatewayClient, 'close'> {
  return {
    request: async (method, path, body) => readAnswer(await ask(method, path, body)),
    async text(method, path) {
      const response = await ask(method, path);
      return response.ok ? response.text() : readAnswer(response);
    },
    async *events(method, path, body) {
      const response = await ask(method, path, body);
      const isStream = response.headers.get('content-type')?.startsWith('text/event-stream');
      if (!response.ok || !isStream || !response.body) {
        yield { event: 'answer', data: await readAnswer(response) };
        return;
      }
      yield* readEvents(response.body);
    },
  };
}

/** What this gateway writes: `event:` and `data:` on a line each, comments between. */
async function* readEvents(body: ReadableStream<Uint8Array>): AsyncIterable<ServerEvent> {
  let buffer = '';
  const decoder = new TextDecoder();
  try {
    for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
      buffer += decoder.decode(chunk, { stream: true });
      for (let end = buffer.indexOf('\n\n'); end !== -1; end = buffer.indexOf('\n\n')) {
        const block = buffer.slice(0, end);
        buffer = buffer.slice(end + 2);
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (data !== undefined)
          yield { event: /^event: (.*)$/m.exec(block)?.[1] ?? '', data: JSON.parse(data) };
      }
    }
  } catch (cause) {
    throw new PromptgateError('provider_unavailable', 'The gateway went away before the end.', { cause });
  }
}

async function inProcessClient(context: CliContext, config: Config): Promise<GatewayClient> {
  const dataDir = resolve(context.directory, config.values.PROMPTGATE_DATA_DIR);
  if (!config.values.DATABASE_URL && !existsSync(join(dataDir, 'pglite'))) {
    throw new PromptgateError(
      'not_found',
      'There is no gateway here. Start one with `promptgate dev`, or set PROMPTGATE_URL (and PROMPTGATE_KEY) or DATABASE_URL.',
    );
  }
  const app = await context.openApp({
    config,
    directory: context.directory,
    embedded: !config.values.DATABASE_URL,
    simulate: false,
    logLevel: 'silent',
  });
  const env = { actor: { name: `cli:${userInfo().username}`, keyId: null, scopes: ['admin'] as const } };
  const ask = async (method: string, path: string, body?: unknown) =>
    app.http.request(path, toInit(method, body, {}), env);
  return { ...toClient(ask), close: () => app.close() };
}

function toInit(method: string, body: unknown, headers: Record<string, string>): RequestInit {
  if (body === undefined) return { method, headers };
  return { method, headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

interface ErrorBody {
  readonly error?: {
    readonly code?: string;
    readonly message?: string;
    readonly issues?: Issue[];
    readonly execution_id?: string | null;
  };
}

async function readAnswer<T>(response: Response): Promise<T> {
  const text = await response.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    throw new PromptgateError('provider_protocol_error', 'What answered is not a promptgate gateway.', {
      cause,
    });
  }
  if (response.ok) return body as T;
  throw toFailure(body, response.status);
}

/** The error that a body tells of. */
export function toFailure(body: unknown, status: number): PromptgateError {
  const { error } = body as ErrorBody;
  const code = error?.code && error.code in errorTable ? (error.code as ErrorCode) : 'internal';
  const failure = new PromptgateError(code, error?.message ?? `HTTP ${status}`, {
    issues: error?.issues ?? [],
  });
  failure.executionId = error?.execution_id ?? null;
  return failure;
}
