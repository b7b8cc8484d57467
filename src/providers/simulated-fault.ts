/** The ways in which the simulated provider misbehaves, each one seen from a real provider or proxy. */
import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Wire } from '../application/provider.ts';
import type { JsonObject } from '../domain/json.ts';

export const faultKinds = [
  'slow',
  'rate_limit',
  'server_error',
  'overloaded',
  'malformed_json',
  'html',
  'error_body',
  'empty',
  'stall',
  'silent',
  'reset',
  'redirect',
  'rejected',
  'unauthorized',
  'insufficient_quota',
  'stream_slow',
  'stream_truncate',
  'stream_stall',
  'stream_reset',
  'stream_error',
] as const;
type FaultKind = (typeof faultKinds)[number];

export interface Fault {
  readonly kind: FaultKind;
  /** How many requests it strikes; absent means until it is cleared. */
  readonly times?: number;
  /** Value of the `Retry-After` header, in seconds or any text. */
  readonly retryAfter?: number | string;
  /** How long `slow` waits before it answers, and `stream_slow` before each event, in milliseconds. */
  readonly delayMs?: number;
  /** How many events of a stream come before the `stream_…` faults strike. */
  readonly after?: number;
}

const slowMs = 2_000;
const slowEventMs = 100;
const resetAfterMs = 50;
/** So many that some text has come, and not all of it. */
const eventsBefore: Readonly<Record<Wire, number>> = { openai: 3, 'openai-responses': 5, anthropic: 3 };

/** @returns the fault, or what is wrong with the description */
export function parseFault(body: JsonObject | null): Fault | string {
  const { kind, times, retryAfter, delayMs, after } = body ?? {};
  if (!faultKinds.includes(kind as FaultKind)) return `kind must be one of ${faultKinds.join(', ')}`;
  if (times !== undefined && !(Number.isSafeInteger(times) && (times as number) > 0)) {
    return 'times must be a positive integer';
  }
  if (delayMs !== undefined && !(typeof delayMs === 'number' && delayMs >= 0 && delayMs <= 600_000)) {
    return 'delayMs must be between 0 and 600000';
  }
  if (after !== undefined && !(Number.isSafeInteger(after) && (after as number) >= 0)) {
    return 'after must be a number of events';
  }
  if (retryAfter !== undefined && !/^[\x20-\x7e]{1,64}$/.test(String(retryAfter))) {
    return 'retryAfter must be a header value';
  }
  return {
    kind: kind as FaultKind,
    ...(times === undefined ? {} : { times: times as number }),
    ...(retryAfter === undefined ? {} : { retryAfter: String(retryAfter) }),
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(after === undefined ? {} : { after: after as number }),
  };
}

/** status, OpenAI's type and code, Anthropic's type, message */
type FailureRow = readonly [number, string, string | null, string, string];

const failures: Partial<Record<FaultKind, FailureRow>> = {
  rate_limit: [429, 'requests', 'rate_limit_exceeded', 'rate_limit_error', 'Rate limit reached.'],
  server_error: [500, 'server_error', null, 'api_error', 'The server had an error.'],
  overloaded: [529, 'server_error', 'overloaded', 'overloaded_error', 'Overloaded'],
  error_body: [200, 'server_error', null, 'api_error', 'The server had an error.'],
  rejected: [
    400,
    'invalid_request_error',
    'context_length_exceeded',
    'invalid_request_error',
    'The prompt is too long.',
  ],
  unauthorized: [
    401,
    'invalid_request_error',
    'invalid_api_key',
    'authentication_error',
    'Incorrect API key provided: simulat****key.',
  ],
  insufficient_quota: [
    429,
    'insufficient_quota',
    'insufficient_quota',
    'billing_error',
    'You exceeded your current quota.',
  ],
};

/** Anthropic has no 429 for an empty account. */
const anthropicStatus: Partial<Record<FaultKind, number>> = { insufficient_quota: 402 };

/** @returns `done` when the fault has answered, `continue` when the ordinary answer follows */
export async function misbehave(
  fault: Fault,
  response: ServerResponse,
  wire: Wire,
): Promise<'done' | 'continue'> {
  if (fault.retryAfter !== undefined) response.setHeader('retry-after', String(fault.retryAfter));
  switch (fault.kind) {
    case 'slow':
      await delay(fault.delayMs ?? slowMs, undefined, { ref: false });
      return 'continue';
    case 'reset':
      response.socket?.destroy();
      return 'done';
    case 'silent':
      return 'done';
    case 'stall':
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"id":');
      return 'done';
    case 'redirect':
      response.writeHead(307, { location: '/elsewhere' }).end();
      return 'done';
    case 'html':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Sign in</title>');
      return 'done';
    case 'malformed_json':
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"id": "cut off');
      return 'done';
    case 'empty':
      response.writeHead(200, { 'content-type': 'application/json' }).end();
      return 'done';
    case 'stream_slow':
    case 'stream_truncate':
    case 'stream_stall':
    case 'stream_reset':
    case 'stream_error':
      return 'continue';
    default:
      answerFailure(fault, response, wire);
      return 'done';
  }
}

/**
 * Lets a fault strike before event number `sent` of a stream.
 * @returns `done` when nothing more is to be sent
 */
export async function misbehaveInStream(
  fault: Fault,
  response: ServerResponse,
  wire: Wire,
  sent: number,
): Promise<'done' | 'continue'> {
  if (fault.kind === 'stream_slow') {
    await delay(fault.delayMs ?? slowEventMs, undefined, { ref: false });
    return response.destroyed ? 'done' : 'continue';
  }
  if (!fault.kind.startsWith('stream_') || sent < (fault.after ?? eventsBefore[wire])) return 'continue';
  switch (fault.kind) {
    case 'stream_truncate':
      response.end();
      break;
    case 'stream_reset':
      // A client drops what it has not read yet when the connection breaks: let it read first.
      await delay(resetAfterMs, undefined, { ref: false });
      response.socket?.destroy();
      break;
    case 'stream_error':
      response.end(streamErrors[wire]);
      break;
  }
  return 'done';
}

const overloaded = '{"message":"Overloaded","type":"server_error","param":null,"code":"overloaded"}';

const streamErrors: Readonly<Record<Wire, string>> = {
  openai: `data: {"error":${overloaded}}\n\n`,
  'openai-responses': `event: error\ndata: {"type":"error","error":${overloaded}}\n\n`,
  anthropic:
    'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
};

function answerFailure(fault: Fault, response: ServerResponse, wire: Wire): void {
  const row = failures[fault.kind];
  if (!row) return void response.writeHead(500).end();
  const [status, type, code, anthropicType, message] = row;
  const body =
    wire === 'anthropic'
      ? { type: 'error', error: { type: anthropicType, message } }
      : { error: { message, type, param: null, code } };
  response
    .writeHead((wire === 'anthropic' && anthropicStatus[fault.kind]) || status, {
      'content-type': 'application/json',
    })
    .end(JSON.stringify(body));
}
