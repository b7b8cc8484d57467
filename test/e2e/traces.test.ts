import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databases, type TestDatabase } from '../support/databases.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly attributes: { key: string; value: Record<string, unknown> }[];
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
}

/** An OTLP/HTTP receiver: what the exporter posts, as JSON. */
async function startReceiver(): Promise<{ server: Server; url: string; spans: Span[]; bodies: string[] }> {
  const spans: Span[] = [];
  const bodies: string[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk;
    bodies.push(text);
    for (const { scopeSpans } of JSON.parse(text).resourceSpans) {
      for (const scope of scopeSpans) spans.push(...scope.spans);
    }
    response.setHeader('content-type', 'application/json').end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, bodies };
}

const traceId = '0af7651916cd43dd8448eb211c80319c';
const callerSpan = 'b7ad6b7169203331';

describe.each(databases)('traces, on $name', ({ create }) => {
  let database: TestDatabase;
  let gateway: TestGateway;
  let receiver: Awaited<ReturnType<typeof startReceiver>>;
  // biome-ignore lint/suspicious/noExplicitAny: a row as the wire carries it
  const rows: Record<string, any> = {};

  beforeAll(async () => {
    receiver = await startReceiver();
    database = await create();
    gateway = await startGateway(database, { environment: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url } });
    const body = { variables: { name: 'a-canary-value' } };
    const joined = { headers: { traceparent: `00-${traceId}-${callerSpan}-01` } };
    await gateway.fault({ kind: 'overloaded', times: 1 });
    const calls = {
      joined: await gateway.execute('greet', body, joined),
      own: await gateway.execute('greet', body),
      refused: await gateway.execute('greet', { variables: {} }, joined),
      unsampled: await gateway.execute('greet', body, {
        headers: { traceparent: `00-${'a'.repeat(32)}-${callerSpan}-00` },
      }),
    };
    for (const [name, { headers }] of Object.entries(calls)) {
      const id = headers.get('x-promptgate-execution-id');
      const { body: row } = await gateway.call('GET', `/v1/executions/${id}`, { key: gateway.keys.admin });
      rows[name] = row;
    }
    // Closing exports what was recorded.
    await gateway.close();
  });

  afterAll(async () => {
    receiver.server.close();
    await database.drop();
  });

  function attributeOf(span: Span | undefined, key: string): unknown {
    const value = span?.attributes.find((attribute) => attribute.key === key)?.value;
    return value && Object.values(value)[0];
  }

  const spanOf = (row: { id: string }) =>
    receiver.spans.find((span) => attributeOf(span, 'promptgate.execution.id') === row.id);
  const below = (span: Span | undefined) =>
    receiver.spans.filter((one) => span !== undefined && one.parentSpanId === span.spanId);

  it('joins the execution and each of its attempts to the span of the caller', () => {
    const span = spanOf(rows.joined);
    expect(span).toMatchObject({ traceId, parentSpanId: callerSpan, name: 'execute_prompt greet' });
    expect(rows.joined.trace_id).toBe(traceId);
    const children = below(span);
    expect(children.map(({ name }) => name)).toEqual([
      'admit',
      'chat gpt-4o-mini',
      'chat gpt-4o-mini',
      'settle',
    ]);
    expect(children.map((child) => attributeOf(child, 'error.type') ?? null)).toEqual([
      null,
      'provider_unavailable',
      null,
      null,
    ]);
    for (const child of children) {
      expect(child.traceId).toBe(traceId);
      expect(BigInt(child.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(child.startTimeUnixNano));
    }
  });

  it('names the prompt and its version, and at the attempt that answered the model, the usage and the answer', () => {
    const span = spanOf(rows.joined);
    const answered = below(span).at(-2);
    expect(attributeOf(span, 'gen_ai.prompt.name')).toBe('greet');
    expect(Number(attributeOf(span, 'gen_ai.prompt.version'))).toBe(1);
    expect(attributeOf(answered, 'gen_ai.request.model')).toBe('gpt-4o-mini');
    expect(Number(attributeOf(answered, 'gen_ai.usage.input_tokens'))).toBe(rows.joined.usage.prompt_tokens);
    expect(Number(attributeOf(answered, 'gen_ai.usage.output_tokens'))).toBe(
      rows.joined.usage.completion_tokens,
    );
    expect(attributeOf(answered, 'gen_ai.response.id')).toMatch(/^chatcmpl-/);
    expect(attributeOf(answered, 'promptgate.provider.request_id')).toBe(rows.joined.provider_request_id);
  });

  it('begins a trace for a caller without one, under the id of the row', () => {
    const span = spanOf(rows.own);
    expect(rows.own.trace_id).toMatch(/^[0-9a-f]{32}$/);
    expect(span?.traceId).toBe(rows.own.trace_id);
    expect(span?.parentSpanId ?? '').toBe('');
  });

  it('shows a refusal as a span without attempts, and its code', () => {
    const span = spanOf(rows.refused);
    expect(attributeOf(span, 'error.type')).toBe('invalid_variables');
    expect(below(span).map(({ name }) => name)).toEqual(['admit', 'settle']);
  });

  it('leaves out what the caller does not export, and all content', () => {
    expect(spanOf(rows.unsampled)).toBeUndefined();
    expect(rows.unsampled.trace_id).toBe('a'.repeat(32));
    expect(receiver.bodies.join()).not.toContain('a-canary-value');
  });
});
