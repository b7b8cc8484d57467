/**
 * The price of an execution in bytes asked of the heap: it does not depend on how busy the machine is, and it grows with
 * every layer, copy and closure that finds its way between a call and its answer. What is left out is sockets and SQL.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { getHeapStatistics } from 'node:v8';
import { expect, test } from 'vitest';
import type { AuditTrail } from '../../src/application/audit-trail.ts';
import { executePrompt } from '../../src/application/execute-prompt.ts';
import type { Gateway } from '../../src/application/gateway.ts';
import { createInFlight } from '../../src/application/in-flight.ts';
import type { RegistrySnapshot } from '../../src/application/registry-snapshot.ts';
import { parseDefinition } from '../../src/domain/definition.ts';
import { createHttpApp } from '../../src/http/server.ts';
import { createProviders } from '../../src/providers/providers.ts';
import { fromExecution, fromIntent } from '../../src/store/execution-rows.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { settingsOf } from '../support/provider-calls.ts';

const run = promisify(execFile);

/** Measured, by this test: 110 to 113 kB on a busy machine. */
const bytesMax = 128_000;
const warmUp = 1_500;
const measured = 500;

const definition = parseDefinition(
  '---\nname: greet\nversion: 1\nmodel: gpt-4o-mini\ninput:\n  schema: { name: string }\n---\nGreet {{name}}.\n',
  { path: 'greet.prompt' },
);
const answer = JSON.stringify({
  id: 'c',
  model: 'gpt-4o-mini',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello.' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 },
});

/** From the request to the answer, with the rows made and dropped. */
function createApp() {
  let rows = 0;
  const snapshot = {
    resolve: () => ({ definition, version: { id: 1, name: 'greet', version: 1 } }),
  } as unknown as RegistrySnapshot;
  const trail: AuditTrail = {
    async writeIntent(intent) {
      rows += fromIntent(intent, { gatewayId: null }).length > 0 ? 1 : 0;
      return undefined;
    },
    findHolder: async () => undefined,
    async settle(execution) {
      rows += fromExecution(execution).length > 0 ? 1 : 0;
    },
    leave() {},
  };
  const providers = createProviders([settingsOf('openai', 'http://127.0.0.1:9/v1')], {
    fetch: async () => new Response(answer, { headers: { 'content-type': 'application/json' } }),
  });
  const metrics = createMetrics(() => {
    throw new Error('nobody scrapes here');
  });
  const inFlight = createInFlight();
  const deps = {
    snapshot,
    trail,
    providers,
    audit: { findExecution: async () => undefined },
    rawCalls: 'refuse' as const,
    defaultTimeoutMs: 5_000,
    onExecution: metrics.observe,
  };
  const gateway = {
    authenticate: () => ({ name: 'app', keyId: null, scopes: ['execute'] }),
    executePrompt: (request: Parameters<Gateway['executePrompt']>[0]) =>
      inFlight.run(request.signal, (signal) => executePrompt(deps, { ...request, signal })),
  } as unknown as Gateway;
  const app = createHttpApp({
    gateway,
    maxBodyBytes: 1_000_000,
    onError() {},
    beginTrace: null,
    operations: {} as Parameters<typeof createHttpApp>[0]['operations'],
  });
  return { app, rows: () => rows };
}

/** Undefined where Node does not count: before 26. */
function allocated(): number {
  return (getHeapStatistics() as unknown as { total_allocated_bytes: number }).total_allocated_bytes;
}

test.skipIf(allocated() === undefined)('an execution asks no more of the heap than it did', async () => {
  const { app, rows } = createApp();
  const body = JSON.stringify({ variables: { name: 'Ada' } });
  const headers = { authorization: 'Bearer key', 'content-length': String(body.length) };
  const execute = async (times: number) => {
    for (let i = 0; i < times; i++) {
      const response = await app.request('/v1/prompts/greet/executions', { method: 'POST', headers, body });
      if (response.status !== 200) throw new Error(await response.text());
      await response.text();
    }
  };
  await execute(warmUp);
  const before = allocated();
  await execute(measured);
  const bytes = (allocated() - before) / measured;
  expect(rows()).toBe(2 * (warmUp + measured));
  // Less would be a counter that does not count.
  expect(bytes).toBeGreaterThan(bytesMax / 10);
  expect(bytes).toBeLessThan(bytesMax);
});

/** Measured: 99 and 700 to 1,270; 2,400 to 2,640 and 4,400 to 4,660 where a map leads from one to the next. */
test.each([
  ['in flight', 600],
  ['audit trail', 2_500],
])('what has ended is not carried on until a full collection: %s', async (kind, carriedBytesMax) => {
  const script = join(import.meta.dirname, '../support/carried-bytes.ts');
  const { stdout } = await run(process.execPath, [script, kind]);
  expect(Number(stdout)).toBeLessThan(carriedBytesMax);
});
