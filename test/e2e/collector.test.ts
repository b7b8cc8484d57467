// OpenTelemetry's own Collector receives what a real gateway exports, and prints it: test/e2e/traces.test.ts says what has to
// be in it, this that a receiver which is not ours reads the same.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { databases, type TestDatabase } from '../support/databases.ts';
import { startGateway } from '../support/gateway.ts';

const collector = ['otelcorecol', 'otelcol', 'otelcol-contrib'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);
const traceId = '0af7651916cd43dd8448eb211c80319c';
const callerSpan = 'b7ad6b7169203331';

interface PrintedSpan {
  readonly name: string;
  readonly id: string;
  readonly parent: string;
  readonly trace: string;
  readonly text: string;
}

/** What its debug exporter prints of spans. */
function readSpans(printed: string): PrintedSpan[] {
  const [, ...spans] = printed.split(/^Span #\d+$/m);
  const read = (text: string, field: string) =>
    new RegExp(`^ +${field} +: ?(.*)$`, 'm').exec(text)?.[1] ?? '';
  return spans.map((text) => ({
    name: read(text, 'Name'),
    id: read(text, 'ID'),
    parent: read(text, 'Parent ID'),
    trace: read(text, 'Trace ID'),
    text,
  }));
}

// Traces know nothing of the database: one kind is enough.
const [kind] = databases;

describe.runIf(collector)('the OpenTelemetry Collector', () => {
  let database: TestDatabase;
  let directory: string;
  let running: ChildProcess;
  let printed = '';

  beforeAll(async () => {
    database = await kind!.create();
    directory = mkdtempSync(join(tmpdir(), 'promptgate-collector-'));
    const address = `127.0.0.1:${await freePort()}`;
    const config = {
      receivers: { otlp: { protocols: { http: { endpoint: address } } } },
      exporters: { debug: { verbosity: 'detailed' } },
      service: {
        telemetry: { metrics: { level: 'none' } },
        pipelines: { traces: { receivers: ['otlp'], exporters: ['debug'] } },
      },
    };
    writeFileSync(join(directory, 'collector.yaml'), JSON.stringify(config));
    running = spawn(collector!, ['--config', join(directory, 'collector.yaml')]);
    running.stderr?.setEncoding('utf8').on('data', (text) => {
      printed += text;
    });
    await vi.waitUntil(() => printed.includes('Everything is ready'), { timeout: 10_000, interval: 50 });
    const gateway = await startGateway(database, {
      environment: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://${address}` },
    });
    await gateway.fault({ kind: 'overloaded', times: 1 });
    const headers = { traceparent: `00-${traceId}-${callerSpan}-01` };
    await gateway.execute('greet', { variables: { name: 'a-canary-value' } }, { headers });
    // Closing exports what was recorded.
    await gateway.close();
    await vi.waitUntil(() => printed.includes('execute_prompt'), { timeout: 10_000, interval: 50 });
  });
  afterAll(async () => {
    running?.kill('SIGKILL');
    await database?.drop();
    if (directory) rmSync(directory, { recursive: true });
  });

  it('receives the span of the gateway below the caller’s, and each attempt below it', () => {
    const spans = readSpans(printed);
    const execution = spans.find(({ name }) => name === 'execute_prompt greet');
    expect(execution).toMatchObject({ trace: traceId, parent: callerSpan });
    expect(execution?.text).toContain('gen_ai.prompt.name: Str(greet)');
    expect(execution?.text).toContain('gen_ai.prompt.version: Int(1)');
    const below = spans.filter(({ parent, trace }) => parent === execution?.id && trace === traceId);
    expect(below.map(({ name }) => name)).toEqual([
      'admit',
      'chat gpt-4o-mini',
      'chat gpt-4o-mini',
      'settle',
    ]);
    expect(below.map(({ text }) => text.includes('error.type: Str(provider_unavailable)'))).toEqual([
      ...[false, true, false, false],
    ]);
    expect(printed).toContain('service.name: Str(promptgate)');
    expect(printed).not.toContain('a-canary-value');
  });
});

async function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const server = createServer();
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
  });
  return promise;
}
