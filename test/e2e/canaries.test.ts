// Secrets that are easy to find again are put wherever secrets live; a gateway in a process of its own is driven through
// every error there is. What left it (answers, log, metrics, traces, rows) holds none of them where it must not.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { openApp } from '../../src/app.ts';
import { runCli } from '../../src/cli/cli.ts';
import { errorTable } from '../../src/domain/errors.ts';
import { type RunningCommand, startCommand } from '../support/command.ts';
import { databases, type TestDatabase } from '../support/databases.ts';
import { definition, startGateway, systemActor } from '../support/gateway.ts';

const canary = (prefix: string) => `${prefix}canary${randomBytes(12).toString('hex')}`;
const secrets = {
  providerKey: canary('sk-live-'),
  anthropicKey: canary('sk-ant-'),
  webhookSecret: canary(''),
  databasePassword: canary(''),
  wrongKey: canary('pg_'),
};
const content = { variable: canary('variable'), output: canary('output') };

const answers: Record<string, number> = { rejected: 400, unauthorized: 401, limited: 429, overloaded: 503 };

/** Repeats everything that it was told, key included, in each answer that allows it. */
function answer(request: IncomingMessage, response: ServerResponse, sent: string): void {
  const echo = `${content.output} for ${request.headers.authorization} who asked ${sent}`;
  const mode = new RegExp(`${content.variable} (\\w+)`).exec(sent)?.[1] ?? 'fine';
  const isAnthropic = request.url?.endsWith('/messages') ?? false;
  const json = (status: number, body: object) =>
    response
      .writeHead(status, { 'content-type': 'application/json', 'retry-after-ms': '1' })
      .end(JSON.stringify(body));
  if (mode === 'stalled') return;
  if (mode === 'html') {
    response.writeHead(200, { 'content-type': 'text/html' }).end(`<html>${echo}</html>`);
  } else if (mode in answers) {
    const error = { message: echo, type: 'requests', code: null, param: null };
    json(answers[mode] ?? 500, isAnthropic ? { type: 'error', error } : { error });
  } else if (sent.includes('"stream":true')) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const events = isAnthropic ? anthropicEvents(echo) : openaiEvents(echo);
    const upTo = mode === 'fine' ? events.fine : mode === 'breaking' ? events.breaking : events.cut;
    response.write(upTo.map((event) => `${event}\n\n`).join(''), () => {
      if (mode === 'cut') response.destroy();
      else response.end();
    });
  } else if (isAnthropic) {
    json(200, {
      ...{ id: 'msg_1', type: 'message', role: 'assistant', model: 'claude-sonnet-4-5', stop_sequence: null },
      ...{ stop_reason: 'end_turn', content: [{ type: 'text', text: content.output }] },
      usage: { input_tokens: 10, output_tokens: 5 },
    });
  } else {
    json(200, {
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 0,
      model: 'gpt-4o-mini',
      choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: content.output } }],
      usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
    });
  }
}

/** A whole stream, one that ends with an error that repeats what it was told, and one that ends in the middle. */
function openaiEvents(echo: string) {
  const chunk = (delta: object, finish: string | null) =>
    `data: ${JSON.stringify({
      ...{ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 0, model: 'gpt-4o-mini' },
      choices: [{ index: 0, delta, finish_reason: finish }],
    })}`;
  const cut = [chunk({ role: 'assistant', content: content.output }, null)];
  const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };
  const last = `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 0, model: 'gpt-4o-mini', choices: [], usage })}`;
  const error = `data: ${JSON.stringify({ error: { message: echo, type: 'server_error' } })}`;
  return { cut, fine: [...cut, chunk({}, 'stop'), last, 'data: [DONE]'], breaking: [...cut, error] };
}

function anthropicEvents(echo: string) {
  const event = (type: string, more: object) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}`;
  const message = {
    ...{ id: 'msg_1', type: 'message', role: 'assistant', model: 'claude-sonnet-4-5', content: [] },
    ...{ stop_reason: null, stop_sequence: null, usage: { input_tokens: 10, output_tokens: 1 } },
  };
  const cut = [
    event('message_start', { message }),
    event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
    event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: content.output } }),
  ];
  const end = { delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 5 } };
  const fine = [
    event('content_block_stop', { index: 0 }),
    event('message_delta', end),
    event('message_stop', {}),
  ];
  const error = event('error', { error: { type: 'overloaded_error', message: echo } });
  return { cut, fine: [...cut, ...fine], breaking: [...cut, error] };
}

async function serve(
  handle: (request: IncomingMessage, response: ServerResponse, sent: string) => void,
): Promise<{ server: Server; url: string; received: string[] }> {
  const received: string[] = [];
  const server = createServer(async (request, response) => {
    let sent = '';
    for await (const chunk of request.setEncoding('utf8')) sent += chunk;
    received.push(`${request.headers.authorization} ${sent}`);
    handle(request, response, sent);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
}

const files = {
  'greet.prompt': definition('greet', 1, 'gpt-4o-mini', 'Greet {{name}}.'),
  'hasty.prompt': definition('hasty', 1, 'gpt-4o-mini', 'Greet {{name}}.', 'config: { timeout: 300ms }\n'),
  'strict.prompt': definition('strict', 1, 'gpt-4o-mini', 'Greet {{name}}.', 'output: { format: json }\n'),
  'claude.prompt': definition('claude', 1, 'claude-sonnet-4-5', 'Greet {{name}}.'),
  'dear.prompt': definition('dear', 1, 'gpt-4o-mini', 'Greet {{name}}.'),
};

// A process and a role with a password of its own take a server. What is recorded is the same on both databases.
const [kind] = databases;

describe('a canary', () => {
  let database: TestDatabase;
  let provider: Awaited<ReturnType<typeof serve>>;
  let receiver: Awaited<ReturnType<typeof serve>>;
  let running: RunningCommand;
  let directory: string;
  let admin: postgres.Sql;
  let databaseUrl: URL;
  const keys = { caller: '', other: '', admin: '' };
  const toCaller: string[] = [];
  const toOthers: string[] = [];
  const codes = new Set<string>();
  let metrics = '';
  let tables: Record<string, string> = {};

  beforeAll(async () => {
    database = await kind!.create();
    const inProcess = await startGateway(database, { files });
    const keyOf = async (name: string, scope: 'execute' | 'admin') =>
      (await inProcess.app.gateway.createKey({ actor: systemActor, name, scopes: [scope] })).secret;
    keys.caller = await keyOf('caller', 'execute');
    keys.other = await keyOf('other', 'execute');
    keys.admin = await keyOf('boss', 'admin');
    await inProcess.close();
    const adminUrl = new URL(inject('postgresUrl'));
    databaseUrl = new URL(database.url);
    adminUrl.pathname = databaseUrl.pathname;
    admin = postgres(adminUrl.href, { max: 1, onnotice: () => {}, fetch_types: false });
    const role = `canary_${randomBytes(6).toString('hex')}`;
    await admin.unsafe(
      `create role ${role} login password '${secrets.databasePassword}' in role ${databaseUrl.username}`,
    );
    databaseUrl.username = role;
    databaseUrl.password = secrets.databasePassword;
    provider = await serve(answer);
    receiver = await serve((_, response) => response.end('{}'));
    directory = mkdtempSync(join(tmpdir(), 'promptgate-canaries-'));
    writeFileSync(
      join(directory, 'promptgate.yaml'),
      'prices: [{ provider: openai, model: "*", input: 1, output: 10 }]\n',
    );
    running = await startCommand(['serve'], {
      cwd: directory,
      environment: {
        PORT: '0',
        DATABASE_URL: databaseUrl.href,
        OPENAI_API_KEY: secrets.providerKey,
        OPENAI_BASE_URL: `${provider.url}/v1`,
        ANTHROPIC_API_KEY: secrets.anthropicKey,
        ANTHROPIC_BASE_URL: provider.url,
        PROMPTGATE_WEBHOOK_URL: `${receiver.url}/hook`,
        PROMPTGATE_WEBHOOK_SECRET: secrets.webhookSecret,
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
        PROMPTGATE_AUDIT_TIMEOUT_MS: '500',
      },
    });
    await drive();
    metrics = await (await fetch(`${running.ready.url}/metrics`)).text();
    expect(await running.stop()).toBe(0);
    tables = await readTables();
  });
  afterAll(async () => {
    await running?.stop('SIGKILL');
    await database?.drop();
    await admin.unsafe(`drop role if exists ${databaseUrl.username}`).catch(() => {});
    await admin?.end();
    for (const { server } of [provider, receiver]) server.close().closeAllConnections();
    rmSync(directory, { recursive: true });
  });

  async function call(method: string, path: string, key: string, options: RequestInit = {}): Promise<string> {
    const headers = {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      ...options.headers,
    };
    const response = await fetch(running.ready.url + path, { method, ...options, headers });
    const text = await response.text();
    const whole = `${response.status} ${JSON.stringify([...response.headers])} ${text}`;
    (key === keys.caller ? toCaller : toOthers).push(whole);
    const code = /"code":"(\w+)"/.exec(text)?.[1];
    if (code) codes.add(code);
    return text;
  }

  const execute = (prompt: string, mode: string, options: RequestInit = {}) =>
    call('POST', `/v1/prompts/${prompt}/executions`, keys.caller, {
      body: JSON.stringify({ variables: { name: `${content.variable} ${mode}` } }),
      ...options,
    });

  const stream = (prompt: string, mode: string) =>
    execute(prompt, mode, {
      body: JSON.stringify({ variables: { name: `${content.variable} ${mode}` }, stream: true }),
    });

  /** Every code of the error table once, and success. */
  async function drive(): Promise<void> {
    const fine = JSON.parse(await execute('greet', 'fine'));
    expect(fine.output).toBe(content.output);
    for (const mode of ['rejected', 'unauthorized', 'limited', 'overloaded', 'html']) {
      await execute('greet', mode);
    }
    for (const mode of ['fine', 'rejected', 'unauthorized', 'overloaded', 'html']) {
      await execute('claude', mode);
    }
    for (const prompt of ['greet', 'claude']) {
      for (const mode of ['fine', 'breaking', 'cut', 'rejected']) await stream(prompt, mode);
    }
    await execute('hasty', 'stalled');
    await execute('strict', 'fine');
    await execute('missing', 'fine');
    await execute('greet', 'fine', { body: `{"variables":{"name":"${content.variable}` });
    const unfit = { variables: { extra: content.variable, name: { deep: content.variable } } };
    await execute('greet', 'fine', { body: JSON.stringify(unfit) });
    for (const mode of ['fine', 'other']) {
      await execute('greet', mode, { headers: { 'idempotency-key': 'once' } });
    }
    await call('POST', '/v1/keys', keys.caller, { body: '{"name":"mine","scopes":["admin"]}' });
    await call('GET', '/v1/prompts', secrets.wrongKey);
    const budget = {
      scope: 'prompt',
      subject: 'dear',
      measure: 'cost',
      period: 'day',
      refuse_at: '0.000000001',
    };
    const set = await call('PUT', '/v1/budgets', keys.admin, { body: JSON.stringify(budget) });
    expect(JSON.parse(set)).toEqual({ set: true });
    await vi.waitUntil(async () => (await execute('dear', 'fine')).includes('budget_exceeded'), {
      timeout: 10_000,
      interval: 200,
    });
    for (const path of [`/v1/executions/${fine.id}`, '/v1/executions']) await call('GET', path, keys.other);
    for (const path of ['/v1/costs', '/v1/keys', '/v1/coverage', '/readyz', '/healthz', '/openapi.json']) {
      await call('GET', path, keys.admin);
    }
    expect(await call('POST', '/v1/costs/summary', keys.admin, { body: '{}' })).toContain('"taken"');
    await leave();
    await breakDatabase();
  }

  /** The caller goes away while the provider is asked. */
  async function leave(): Promise<void> {
    const left = new AbortController();
    const asked = provider.received.length;
    const gone = execute('greet', 'stalled', { signal: left.signal }).catch(() => {});
    await vi.waitUntil(() => provider.received.length > asked, { timeout: 10_000, interval: 20 });
    left.abort();
    await gone;
    await vi.waitUntil(
      async () => {
        const [row] = await admin`select error_code from ai_executions where status = 'cancelled'`;
        if (row) codes.add(String(row.error_code));
        return row !== undefined;
      },
      { timeout: 10_000, interval: 20 },
    );
  }

  async function breakDatabase(): Promise<void> {
    await admin.begin(async (tx) => {
      await tx`lock table ai_execution_intents, ai_executions in access exclusive mode`;
      await execute('greet', 'fine');
    });
    // What was written once the lock was gone is cleared by its outcome, or by recovery.
    await vi.waitUntil(async () => (await admin`select from ai_execution_intents`).length === 0, {
      timeout: 10_000,
      interval: 20,
    });
    await admin`alter table prompt_deployments rename to moved_away`;
    await call('GET', '/v1/prompts/greet/labels/production/history', keys.admin);
    await call('GET', '/v1/prompts/greet/history', keys.admin);
    await call('PUT', '/v1/prompts/greet/labels/canary', keys.admin, { body: '{"version":1}' });
    await admin`alter table moved_away rename to prompt_deployments`;
  }

  async function readTables(): Promise<Record<string, string>> {
    const names = await admin<{ name: string }[]>`
      select tablename as name from pg_tables where schemaname = 'public'`;
    const read = async (name: string) => {
      const [row] = await admin.unsafe(`select coalesce(json_agg(t), '[]')::text as rows from "${name}" t`);
      return [name, String(row?.rows)] as const;
    };
    return Object.fromEntries(await Promise.all(names.map(({ name }) => read(name))));
  }

  const everySecret = () => [...Object.values(secrets), ...Object.values(keys)];
  const found = (text: string, values: readonly string[]) => values.filter((value) => text.includes(value));

  it('was where it belongs: every error was answered, and provider and database had their secrets', () => {
    expect([...codes].sort()).toEqual(Object.keys(errorTable).sort());
    const told = new Set(provider.received.map((request) => request.replace(/ \{.*/s, '')));
    expect([...told].sort()).toEqual(
      [`Bearer ${secrets.providerKey}`, `Bearer ${secrets.anthropicKey}`].sort(),
    );
    const streams = toCaller.filter((text) => text.includes('text/event-stream'));
    expect(streams.length).toBeGreaterThanOrEqual(6);
    for (const text of streams) expect(text).toContain(content.output);
    expect(receiver.received.filter((text) => text.includes('costs.daily'))).toHaveLength(1);
    expect(toCaller.join()).toContain(content.output);
    expect(receiver.received.length).toBeGreaterThan(0);
    expect(metrics).toContain('promptgate_executions_total{prompt="greet"');
  });

  it('that is a key or a password is in no answer, no row, no metric, no trace, no line of the log', () => {
    const { stdout, stderr } = running.read();
    for (const text of [...toCaller, ...toOthers, metrics, ...receiver.received, stdout, stderr]) {
      expect(found(text, everySecret())).toEqual([]);
    }
    const rows = Object.entries(tables).filter(([, text]) => found(text, everySecret()).length > 0);
    expect(rows.map(([name]) => name)).toEqual([]);
  });

  it('that was sent or answered is in the row and in the answer to its caller alone', () => {
    const { stdout, stderr } = running.read();
    expect(stderr.split('\n').filter((line) => line.includes('"execution_id"')).length).toBeGreaterThan(10);
    const lines = `${stdout}\n${stderr}`.split('\n');
    for (const text of [...toOthers, metrics, ...receiver.received, ...lines]) {
      expect(found(text, Object.values(content)), text).toEqual([]);
    }
    const rows = Object.entries(tables).filter(([, text]) => found(text, Object.values(content)).length > 0);
    expect(rows.map(([name]) => name)).toEqual(expect.arrayContaining(['ai_executions']));
    // The table, its partitions, and nothing else.
    expect(
      rows.filter(([name]) => !/^ai_executions(_\d{4}_\d\d|_default)?$/.test(name)).map(([name]) => name),
    ).toEqual([]);
  });

  it('in a broken configuration is not in what start-up says about it', async () => {
    const broken = mkdtempSync(join(tmpdir(), 'promptgate-broken-'));
    const [password, key] = [secrets.databasePassword, secrets.providerKey];
    const reachable = `postgres://ada:${password}@127.0.0.1:1/promptgate`;
    const start = async (environment: Record<string, string>, config: string, ...args: string[]) => {
      const said: string[] = [];
      writeFileSync(join(broken, 'promptgate.yaml'), config);
      const code = await runCli(args, {
        environment: { OPENAI_API_KEY: key, DATABASE_URL: reachable, ...environment },
        directory: broken,
        openApp,
        openLog: () => Promise.reject(new Error('no workers are started')),
        out: (text) => void said.push(text),
        err: (text) => void said.push(text),
      });
      return { code, said: said.join('\n') };
    };
    const provides = (text: string) => `providers:\n  acme:\n    ${text}\n`;
    for (const [environment, config] of [
      [{}, ''],
      [{ DATABASE_URL: `postgres://ada:${password}@nowhere:port/x` }, ''],
      [{ DATABASE_URL: `${password}` }, ''],
      [{ DATABASE_URL: databaseUrl.href.replace(/\/\/[^:]+:/, '//nobody:') }, ''],
      [{ PORT: key }, ''],
      [{ OPENAI_BASE_URL: `http://ada:${password}@:x` }, ''],
      [{}, provides(`base_url: http://ada:${password}@acme.example/v1\n    key: ${key}`)],
      [{}, provides(`key_variable: ${key}`)],
      [{}, `providers: [${key}\n`],
    ] as const) {
      const { code, said } = await start(environment, config, 'serve', '--json');
      expect(code, said).not.toBe(0);
      expect(said).toMatch(/\S/);
      expect(found(said, everySecret()), JSON.stringify({ environment, config })).toEqual([]);
    }
    for (const flags of [[], ['--json']]) {
      const { code, said } = await start({}, '', 'config', ...flags);
      expect([code, found(said, everySecret())]).toEqual([0, []]);
    }
    rmSync(broken, { recursive: true });
  });
});
