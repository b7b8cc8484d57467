/**
 * How one failed request to a provider is classed: which code of ours, whether another attempt may help, and how long
 * the provider asked us to wait. Public messages are our own sentences; only a refusal quotes the provider, redacted.
 */
import { type ErrorCode, PromptgateError } from '../domain/errors.ts';
import type { Json } from '../domain/json.ts';
import type { Bill } from '../domain/price.ts';
import { toWritableText } from '../domain/writable-text.ts';
import { redact } from './redact.ts';
import { readRetryAfter } from './retry-after.ts';
import { TransportError } from './transport-error.ts';

/** What a failed attempt leaves behind. Thrown by the adapters, read by the retry policy. */
export class AttemptFailure extends Error {
  readonly error: PromptgateError;
  readonly retryable: boolean;
  readonly httpStatus: number | null;
  readonly providerRequestId: string | null;
  /** What the provider reports to have billed for it all the same. */
  readonly bill: Bill | null;

  constructor(
    error: PromptgateError,
    facts: {
      retryable: boolean;
      httpStatus?: number | null;
      providerRequestId?: string | null;
      bill?: Bill | null;
    },
  ) {
    super(error.message);
    this.name = 'AttemptFailure';
    this.error = error;
    this.retryable = facts.retryable;
    this.httpStatus = facts.httpStatus ?? null;
    this.providerRequestId = facts.providerRequestId ?? null;
    this.bill = facts.bill ?? null;
  }

  /** The same failure, of a request that must not be repeated. */
  asFinal(): AttemptFailure {
    return new AttemptFailure(this.error, { ...this, retryable: false });
  }

  /** The same failure, which the provider billed. */
  withBill(bill: Bill | null): AttemptFailure {
    return bill === null ? this : new AttemptFailure(this.error, { ...this, bill });
  }
}

/** Who was asked, for the sentences. */
export interface Asked {
  readonly provider: string;
  readonly model: string;
  /** Never to appear in a message. */
  readonly apiKey: string;
}

/** An answer that is a failure, or a 200 with an error inside. */
export interface FailedResponse {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed JSON, or the text when it was none. */
  readonly body: unknown;
  readonly cause?: unknown;
}

interface ErrorBody {
  readonly message: string | null;
  readonly code: string | null;
  readonly type: string | null;
  /** A numeric `code` or `status` inside the body: gateways report upstream errors that way. */
  readonly status: number | null;
}

const outOfCredit = new Set([
  'insufficient_quota',
  'billing_hard_limit_reached',
  'billing_not_active',
  'billing_error',
]);
const wrongKey = new Set(['invalid_api_key', 'authentication_error', 'permission_error']);
const wrongModel = new Set(['model_not_found', 'not_found_error', 'DeploymentNotFound']);
const rateLimit = /rate_?limit|too_many_requests/i;
const trouble = new Set([
  'overloaded_error',
  'api_error',
  'server_error',
  'internal_server_error',
  'timeout_error',
]);

/** What is wrong with a request, told inside a 200: a Responses stream has begun before its prompt is looked at. */
const rejection = /^(invalid_(request|prompt|image|base64)|context_length|content_filter)|image|_policy/;

/** Classes a provider's answer with a status of 300 or more. */
export function fromFailedResponse(asked: Asked, response: FailedResponse): AttemptFailure {
  const body = readErrorBody(response.body);
  return toFailure(asked, response, body, classify(response.status, body));
}

/**
 * Classes a 200 that is no answer. A clear error inside counts as that error; anything else is
 * `provider_protocol_error`, which is not retried: the provider may well have done and billed the work.
 */
export function fromUnusableAnswer(asked: Asked, response: FailedResponse, what: string): AttemptFailure {
  const body = readErrorBody(response.body);
  const inner = body.status !== null && body.status >= 400 ? body.status : 0;
  const code = classify(inner, body);
  if (code) return toFailure(asked, response, body, code);
  return new AttemptFailure(
    new PromptgateError(
      'provider_protocol_error',
      `The provider "${asked.provider}" answered with HTTP ${response.status}, but ${what}.`,
      { cause: response.cause ?? response.body },
    ),
    { retryable: false, httpStatus: response.status, providerRequestId: readRequestId(response) },
  );
}

/** Classes a request that ended without a whole answer: no connection, a clock of ours, a broken body. */
export function fromTransport(
  asked: Asked,
  thrown: unknown,
  headers?: Headers,
  status?: number,
): AttemptFailure {
  const kind = findTransportError(thrown)?.kind ?? 'connection';
  const [code, retryable, what] = transportTable[kind];
  return new AttemptFailure(
    new PromptgateError(code, `The provider "${asked.provider}" ${what}.`, { cause: thrown }),
    {
      retryable,
      httpStatus: status ?? null,
      providerRequestId: headers ? readRequestId({ headers, body: null }) : null,
    },
  );
}

/** First byte, first token and stall are not retried: the provider may be working, and bills for what it does. */
const transportTable = {
  connection: ['provider_unavailable', true, 'could not be reached, or broke the connection'],
  connect_timeout: ['provider_unavailable', true, 'did not accept a connection in time'],
  first_byte: ['provider_timeout', false, 'did not begin to answer in time'],
  first_token: ['provider_timeout', false, 'sent no content in time'],
  stall: ['provider_timeout', false, 'stopped in the middle of its answer'],
  redirect: [
    'provider_misconfigured',
    false,
    'redirects elsewhere, which is not followed; check its base URL',
  ],
  too_large: ['provider_protocol_error', false, 'sent more than an answer may hold'],
} as const satisfies Record<TransportError['kind'], readonly [ErrorCode, boolean, string]>;

function findTransportError(thrown: unknown): TransportError | undefined {
  for (let error = thrown, depth = 0; error instanceof Error && depth < 5; error = error.cause, depth++) {
    if (error instanceof TransportError) return error;
  }
  return undefined;
}

/** The request id of an answer: the header, else what the body says. */
export function readRequestId(response: { headers: Headers; body: unknown }): string | null {
  const header = response.headers.get('x-request-id') ?? response.headers.get('request-id');
  if (header) return toName(header);
  if (!isRecord(response.body)) return null;
  return toName(text(response.body.request_id) ?? text(response.body.id));
}

/** Far above any real model name or request id, far below what an index entry of PostgreSQL holds. */
const nameLengthMax = 200;

/** An id or name that a provider made up, as the audit can hold it: a paid answer must not be lost for it. */
export function toName(sent: string | null): string | null {
  return sent === null ? null : toWritableText(sent.slice(0, nameLengthMax)).text;
}

type Verdict = ErrorCode | 'out_of_credit' | 'wrong_key' | 'wrong_model' | null;

function classify(status: number, body: ErrorBody): Verdict {
  const says = (set: ReadonlySet<string>) => set.has(body.code ?? '') || set.has(body.type ?? '');
  if (status === 402 || says(outOfCredit) || /credit balance is too low/i.test(body.message ?? '')) {
    return 'out_of_credit';
  }
  if (status === 401 || status === 403 || says(wrongKey)) return 'wrong_key';
  if (status === 404 || says(wrongModel)) return 'wrong_model';
  if (status === 429 || rateLimit.test(body.code ?? '') || rateLimit.test(body.type ?? ''))
    return 'rate_limited';
  if (status === 408 || status === 409 || status >= 500 || says(trouble)) return 'provider_unavailable';
  if (status >= 400 || rejection.test(body.code ?? body.type ?? '')) return 'provider_rejected';
  return status >= 300 ? 'provider_misconfigured' : null;
}

function toFailure(
  asked: Asked,
  response: FailedResponse,
  body: ErrorBody,
  verdict: Verdict,
): AttemptFailure {
  const [code, message] = sentence(asked, response.status, body, verdict);
  const retryAfterMs = readRetryAfter(response.headers);
  const mayRetry = code === 'rate_limited' || code === 'provider_unavailable';
  const told = response.headers.get('x-should-retry');
  return new AttemptFailure(
    new PromptgateError(code, message, {
      cause: response.cause ?? response.body,
      ...(retryAfterMs === null || !mayRetry ? {} : { retryAfterMs }),
    }),
    {
      // No provider knows better than we that an empty account stays empty for the next seconds.
      retryable: verdict !== 'out_of_credit' && (told === 'true' || (told !== 'false' && mayRetry)),
      httpStatus: response.status,
      providerRequestId: readRequestId(response),
    },
  );
}

function sentence(asked: Asked, status: number, body: ErrorBody, verdict: Verdict): [ErrorCode, string] {
  const who = `The provider "${asked.provider}"`;
  const http = `(HTTP ${status})`;
  switch (verdict) {
    case 'out_of_credit':
      return [
        'provider_misconfigured',
        `The gateway's account at "${asked.provider}" is out of quota or credit ${http}.`,
      ];
    case 'wrong_key':
      return ['provider_misconfigured', `${who} refused the gateway's key ${http}.`];
    case 'wrong_model':
      return [
        'provider_misconfigured',
        `${who} has no model "${asked.model}" for us at its base URL ${http}.`,
      ];
    case 'rate_limited':
      return ['rate_limited', `${who} limits the gateway's rate ${http}.`];
    case 'provider_unavailable':
      return ['provider_unavailable', `${who} is overloaded or failing ${http}.`];
    case 'provider_misconfigured':
      return ['provider_misconfigured', `${who} redirects elsewhere ${http}; check its base URL.`];
    default: {
      const said = redact(body.message ?? '', [asked.apiKey]);
      return ['provider_rejected', `${who} refused the request ${http}${said ? `: ${said}` : '.'}`];
    }
  }
}

/** `{error: {...}}`, `{error: "..."}`, `{message, code}` and plain text all occur. */
function readErrorBody(body: unknown): ErrorBody {
  if (!isRecord(body))
    return { message: typeof body === 'string' ? body : null, code: null, type: null, status: null };
  const inner = isRecord(body.error) ? body.error : body;
  return {
    message: text(inner.message) ?? text(body.error) ?? text(inner.detail),
    code: text(inner.code),
    type: text(inner.type),
    status: number(inner.code) ?? number(inner.status),
  };
}

export function isRecord(value: unknown): value is Record<string, Json | undefined> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) ? value : null;
}
