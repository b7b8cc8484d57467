import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import type { TraceContext } from '../../src/domain/trace-context.ts';
import { createTraces, type TraceSampler } from '../../src/telemetry/traces.ts';
import { attempt, execution } from '../support/records.ts';

interface Span {
  readonly name: string;
  readonly attributes: { key: string; value: Record<string, unknown> }[];
}

let server: Server;
let spans: Span[] = [];

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk;
    for (const { scopeSpans } of JSON.parse(text).resourceSpans) {
      for (const scope of scopeSpans) spans.push(...scope.spans);
    }
    response.setHeader('content-type', 'application/json').end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(() => server.close());
beforeEach(() => {
  spans = [];
});

async function record(
  recorded: Execution,
  options: { sampler?: TraceSampler; ratio?: number; place?: TraceContext; content?: boolean } = {},
) {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`;
  const { sampler = 'parentbased_traceidratio', ratio = 1, content = false, place } = options;
  const traces = createTraces({ url, version: '1.0.0', sampler, ratio, content });
  traces.record(recorded, place ?? traces.begin());
  await traces.close();
}

/** Plain values by name. */
function attributesOf({ attributes }: Span): Record<string, unknown> {
  const plain = ({ arrayValue, ...value }: Record<string, unknown>) =>
    arrayValue ? (arrayValue as { values: object[] }).values.flatMap(Object.values) : Object.values(value)[0];
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plain(value)]));
}

const answered = execution({
  responseId: 'chatcmpl-1',
  startedAt: new Date(attempt.startedAt.getTime() - 10),
  attempts: [attempt, { ...attempt, number: 2, errorCode: null, providerRequestId: 'req_2' }],
});
const chats = () => spans.filter(({ name }) => name === 'chat gpt-4o-mini').map(attributesOf);
const parent = () => attributesOf(spans.find(({ name }) => name === 'execute_prompt summarize')!);

describe('the spans of an execution', () => {
  it('tell usage and answer once, at the attempt that answered, under the id that its body had', async () => {
    await record(answered);
    const [failed, last] = chats();
    expect(last).toMatchObject({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': 'gpt-4o-mini',
      'gen_ai.response.id': 'chatcmpl-1',
      'gen_ai.response.model': 'gpt-4o-mini-2024-07-18',
      'gen_ai.response.finish_reasons': ['stop'],
      'gen_ai.usage.input_tokens': 120,
      'gen_ai.response.time_to_first_chunk': 0.2005,
      'promptgate.provider.request_id': 'req_2',
    });
    expect(failed).toMatchObject({
      'error.type': 'provider_unavailable',
      'promptgate.provider.request_id': 'req_1',
    });
    for (const span of [failed!, parent()]) {
      expect(Object.keys(span).filter((name) => /^gen_ai\.(response|usage)\./.test(name))).toEqual([]);
    }
  });

  it('name the operation where a model is asked, and nowhere else', async () => {
    await record(answered);
    const named = spans.filter((span) => 'gen_ai.operation.name' in attributesOf(span));
    expect(named.map(({ name }) => name)).toEqual(['chat gpt-4o-mini', 'chat gpt-4o-mini']);
    expect(parent()).toMatchObject({
      'gen_ai.prompt.name': 'summarize',
      'promptgate.execution.id': answered.id,
    });
  });

  it('hold what was said only where that was asked for', async () => {
    await record(answered, { content: true });
    expect(parent()['promptgate.variables']).toContain('last first');
    expect(chats().map((span) => 'gen_ai.output.messages' in span)).toEqual([false, true]);
    spans = [];
    await record(answered);
    expect(JSON.stringify(spans)).not.toMatch(/last first|An answer with/);
  });
});

const caller = (sampled: boolean): TraceContext => ({
  traceId: 'a'.repeat(32),
  spanId: 'b7ad6b7169203331',
  sampled,
});

describe('a sampler', () => {
  it.each([
    ['always_on', 0, { begun: true, sampled: true, unsampled: true }],
    ['always_off', 1, { begun: false, sampled: false, unsampled: false }],
    ['traceidratio', 0, { begun: false, sampled: false, unsampled: false }],
    ['traceidratio', 1, { begun: true, sampled: true, unsampled: true }],
    ['parentbased_always_on', 0, { begun: true, sampled: true, unsampled: false }],
    ['parentbased_always_off', 1, { begun: false, sampled: true, unsampled: false }],
    ['parentbased_traceidratio', 0, { begun: false, sampled: true, unsampled: false }],
  ] as const)('%s with the argument %d exports what its name says', async (sampler, ratio, expected) => {
    const exports = async (place?: TraceContext) => {
      spans = [];
      await record(answered, { sampler, ratio, ...(place ? { place } : {}) });
      return spans.length > 0;
    };
    expect({
      begun: await exports(),
      sampled: await exports(caller(true)),
      unsampled: await exports(caller(false)),
    }).toEqual(expected);
  });
});
