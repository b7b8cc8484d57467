/**
 * A server on loopback that speaks OpenAI's two wires and Anthropic's without a model behind it: for development without
 * keys and for end-to-end tests. It can be told to misbehave, by code or with curl:
 *
 *   curl -X POST <url>/simulate -d '{"kind":"rate_limit","times":2,"retryAfter":1}'    curl -X DELETE <url>/simulate
 *
 * `GET /simulate` shows the fault in force and the requests seen. Every answer is marked as simulated.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Wire } from '../application/provider.ts';
import type { JsonObject } from '../domain/json.ts';
import { isRecord } from './attempt-failure.ts';
import { answerAnthropic, answerOpenai, type SimulatedAnswer } from './simulated-answer.ts';
import { type Fault, misbehave, misbehaveInStream, parseFault } from './simulated-fault.ts';
import { answerResponses } from './simulated-responses-answer.ts';

interface SimulatedRequest {
  readonly path: string;
  readonly model: string | null;
  /** The body as it was parsed; null when it was no JSON object. */
  readonly body: JsonObject | null;
}

export interface SimulatedProvider {
  /** Origin, without a path. OpenAI's base URL is this plus `/v1`. */
  readonly url: string;
  /** Requests to the wires since the start or the last `reset`, oldest first; at most the last 1,000. */
  readonly requests: readonly SimulatedRequest[];
  /** Number of those requests, none forgotten. */
  readonly requestCount: number;
  setFault(fault: Fault): void;
  clearFault(): void;
  /** Clears the fault and forgets the requests. */
  reset(): void;
  close(): Promise<void>;
}

const requestsKept = 1_000;
const bodyBytesMax = 8 * 1024 * 1024;

interface State {
  fault: Fault | null;
  /** How often the fault still strikes. */
  left: number;
  requests: SimulatedRequest[];
  count: number;
}

/** Starts the server on 127.0.0.1. @param options.port 0, the default, takes a free one */
export async function startSimulatedProvider(options: { port?: number } = {}): Promise<SimulatedProvider> {
  const state: State = { fault: null, left: 0, requests: [], count: 0 };
  const server = createServer((request, response) => {
    serve(state, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get requests() {
      return state.requests;
    },
    get requestCount() {
      return state.count;
    },
    setFault: (fault) => setFault(state, fault),
    clearFault: () => setFault(state, null),
    reset() {
      setFault(state, null);
      state.requests = [];
      state.count = 0;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function setFault(state: State, fault: Fault | null): void {
  state.fault = fault;
  state.left = fault?.times ?? Number.POSITIVE_INFINITY;
}

/** A page in a browser can reach loopback; only this host name may, so that a rebound DNS name cannot steer it. */
function isLocal(request: IncomingMessage): boolean {
  return (
    /^(127\.0\.0\.1|localhost)(:\d+)?$/.test(request.headers.host ?? '') &&
    request.headers.origin === undefined
  );
}

async function serve(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.setHeader('x-promptgate-simulated', 'true');
  if (!isLocal(request)) return sendJson(response, 403, { error: { message: 'only from this machine' } });
  const path = (request.url ?? '/').replace(/\?.*$/, '');
  const body = await readJson(request);
  if (path === '/simulate') return control(state, request.method ?? 'GET', body, response);
  const endpoint = Object.hasOwn(endpoints, path) ? endpoints[path] : undefined;
  if (!endpoint || request.method !== 'POST') {
    return sendJson(response, 404, {
      error: { message: `The simulated provider has no ${request.method} ${path}.`, type: 'not_found_error' },
    });
  }
  state.count += 1;
  const model = typeof body?.model === 'string' ? body.model : null;
  state.requests.push({ path, model, body });
  if (state.requests.length > requestsKept) state.requests.shift();
  const id = `req_simulated_${state.count}`;
  const { wire, conversation, answer } = endpoint;
  response.setHeader(wire === 'anthropic' ? 'request-id' : 'x-request-id', id);
  const fault = takeFault(state);
  if (fault && (await misbehave(fault, response, wire)) === 'done') return;
  if (!body || model === null || !isConversation(body, conversation)) {
    return sendJson(response, 400, {
      type: 'error',
      error: {
        type: 'invalid_request_error',
        message: `model and ${conversation} are required`,
        code: null,
        param: null,
      },
    });
  }
  const answered = answer(body, state.count);
  if (body.stream === true) await sendEvents(response, answered, fault, wire);
  else sendJson(response, 200, answered.body);
}

interface Endpoint {
  readonly wire: Wire;
  /** The member of a request that holds the conversation. */
  readonly conversation: 'messages' | 'input';
  readonly answer: (body: JsonObject, number: number) => SimulatedAnswer;
}

const endpoints: Readonly<Record<string, Endpoint>> = {
  '/v1/chat/completions': { wire: 'openai', conversation: 'messages', answer: answerOpenai },
  '/v1/responses': { wire: 'openai-responses', conversation: 'input', answer: answerResponses },
  '/v1/messages': { wire: 'anthropic', conversation: 'messages', answer: answerAnthropic },
};

/** The Responses API takes a bare text as well. */
function isConversation(body: JsonObject, member: Endpoint['conversation']): boolean {
  const sent = body[member];
  return Array.isArray(sent) || (member === 'input' && typeof sent === 'string');
}

function takeFault(state: State): Fault | null {
  if (!state.fault || state.left <= 0) return null;
  state.left -= 1;
  return state.fault;
}

function control(state: State, method: string, body: JsonObject | null, response: ServerResponse): void {
  const problem = steer(state, method, body);
  if (problem) {
    sendJson(response, 400, { error: { message: problem } });
    return;
  }
  sendJson(response, 200, {
    simulated: true,
    fault: state.fault && state.left > 0 ? { ...state.fault } : null,
    times_left: Number.isFinite(state.left) ? state.left : null,
    requests: state.count,
    last_requests: state.requests.slice(-10).map(({ path, model }) => ({ path, model })),
  });
}

/** @returns what is wrong with the command, if anything */
function steer(state: State, method: string, body: JsonObject | null): string | undefined {
  if (method === 'GET') return undefined;
  if (method === 'DELETE') {
    setFault(state, null);
    return undefined;
  }
  if (method !== 'POST') return 'use GET, POST or DELETE';
  const fault = parseFault(body);
  if (typeof fault === 'string') return fault;
  setFault(state, fault);
  return undefined;
}

async function sendEvents(
  response: ServerResponse,
  answer: SimulatedAnswer,
  fault: Fault | null,
  wire: Wire,
): Promise<void> {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
  });
  for (const [sent, { event, data }] of answer.events.entries()) {
    if (fault && (await misbehaveInStream(fault, response, wire, sent)) === 'done') return;
    if (event) response.write(`event: ${event}\n`);
    response.write(`data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
  }
  response.end();
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}

async function readJson(request: IncomingMessage): Promise<JsonObject | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) throw new Error('body too large');
    chunks.push(chunk);
  }
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    return isRecord(body) ? (body as JsonObject) : null;
  } catch {
    return null;
  }
}
