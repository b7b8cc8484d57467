/** A whole gateway for end-to-end tests: the wiring of `main`, the simulated provider, a database of its own. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, openApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config.ts';
import type { Actor, Scope } from '../../src/domain/api-key.ts';
import { type Listener, listen } from '../../src/http/listen.ts';
import { connect } from '../../src/store/connection.ts';
import type { TestDatabase } from './databases.ts';

export const systemActor: Actor = { name: 'system', keyId: null, scopes: ['admin'] };

export interface TestGateway {
  readonly app: App;
  readonly url: string;
  readonly keys: { readonly execute: string; readonly admin: string };
  /** Sends JSON with the execute key unless told otherwise, over a real socket. */
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  execute(name: string, body: unknown, options?: CallOptions): Promise<Answer>;
  /** Makes the simulated provider misbehave from now on; null: behave again. */
  fault(settings: Record<string, unknown> | null): Promise<void>;
  /** Requests that the provider has seen. */
  providerRequests(): Promise<number>;
  /** Raw SQL on the gateway's database. */
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what the row carries
  query(text: string): Promise<any[]>;
  close(): Promise<void>;
}

export interface CallOptions {
  readonly key?: string | null;
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly raw?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what the wire carries
  readonly body: any;
}

/** Definitions that the tests call by name. */
export const definitions = {
  'greet.prompt': definition(
    'greet',
    1,
    'gpt-4o-mini',
    '{{role "system"}}\nBe kind.\n{{role "user"}}\nGreet {{name}}.',
  ),
  'chat.prompt': definition(
    'chat',
    1,
    'claude-haiku-4-5',
    '{{role "system"}}\nBe kind.\n{{history}}\n{{role "user"}}\n{{name}}',
  ),
  'lost.prompt': definition('lost', 1, 'no-such-model', 'Greet {{name}}.'),
  'hasty.prompt': definition('hasty', 1, 'gpt-4o-mini', 'Greet {{name}}.', 'config: { timeout: 300ms }\n'),
};

export function definition(name: string, version: number, model: string, body: string, extra = ''): string {
  return `---\nname: ${name}\nversion: ${version}\nmodel: ${model}\n${extra}input:\n  schema: { name: string }\n---\n${body}\n`;
}

export async function startGateway(
  database: TestDatabase,
  options: { environment?: Record<string, string>; files?: Record<string, string> } = {},
): Promise<TestGateway> {
  const directory = await mkdtemp(join(tmpdir(), 'promptgate-gateway-'));
  const config = loadConfig({ PORT: '0', DATABASE_URL: database.url, ...options.environment }, directory);
  const app = await openApp({
    config,
    directory,
    embedded: false,
    simulate: true,
    serving: true,
    logLevel: 'silent',
  });
  await app.gateway.syncPrompts({
    files: Object.entries(options.files ?? definitions).map(([path, source]) => ({ path, source })),
    actor: systemActor,
    seed: 'production',
  });
  const suffix = Math.random().toString(36).slice(2, 8);
  const keyOf = async (scope: Scope) =>
    (await app.gateway.createKey({ actor: systemActor, name: `${scope}-${suffix}`, scopes: [scope] })).secret;
  const keys = { execute: await keyOf('execute'), admin: await keyOf('admin') };
  const listener: Listener = await listen(app.http, { host: '127.0.0.1', port: 0 });

  const call = async (method: string, path: string, call: CallOptions = {}): Promise<Answer> => {
    const key = call.key === undefined ? keys.execute : call.key;
    const body = call.raw ?? (call.body === undefined ? undefined : JSON.stringify(call.body));
    const response = await fetch(`${listener.url}${path}`, {
      method,
      headers: { ...(key ? { authorization: `Bearer ${key}` } : {}), ...call.headers },
      ...(body === undefined ? {} : { body }),
      ...(call.signal ? { signal: call.signal } : {}),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json');
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  };
  const sql = connect(database.url, { max: 1 });
  return {
    app,
    url: listener.url,
    keys,
    call,
    execute: (name, body, options) =>
      call('POST', `/v1/prompts/${encodeURIComponent(name)}/executions`, { body, ...options }),
    async fault(settings) {
      const response = await fetch(
        `${app.simulatedUrl}/simulate`,
        settings ? { method: 'POST', body: JSON.stringify(settings) } : { method: 'DELETE' },
      );
      if (!response.ok) throw new Error(await response.text());
    },
    async providerRequests() {
      const state = (await (await fetch(`${app.simulatedUrl}/simulate`)).json()) as { requests: number };
      return state.requests;
    },
    query: async (text) => [...(await sql.unsafe(text))],
    async close() {
      await sql.end();
      await listener.close(1_000);
      await app.close();
    },
  };
}
