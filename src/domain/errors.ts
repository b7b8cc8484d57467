/**
 * The closed set of errors. One table gives each code its HTTP status, the status that its audit row gets, the exit
 * code of the CLI and the log level. Nothing else in the system maps errors.
 */

export interface ErrorKind {
  readonly httpStatus: number;
  /** Status of the audit row when an execution ends with this error. */
  readonly auditStatus: 'refused' | 'failed' | 'cancelled' | 'unknown';
  readonly exitCode: number;
  readonly logLevel: 'info' | 'warn' | 'error';
  /** One line for a person who meets this code: what it means and what to do. */
  readonly meaning: string;
}

export const errorTable = {
  invalid_request: {
    httpStatus: 400,
    auditStatus: 'refused',
    exitCode: 2,
    logLevel: 'info',
    meaning: 'The request is malformed. The message names the part to correct.',
  },
  unauthenticated: {
    httpStatus: 401,
    auditStatus: 'refused',
    exitCode: 3,
    logLevel: 'info',
    meaning: 'No valid key. Send `Authorization: Bearer <key>`; `promptgate keys create` makes one.',
  },
  forbidden: {
    httpStatus: 403,
    auditStatus: 'refused',
    exitCode: 4,
    logLevel: 'info',
    meaning: 'The key is valid but lacks the scope, the prompt or the label.',
  },
  not_found: {
    httpStatus: 404,
    auditStatus: 'refused',
    exitCode: 5,
    logLevel: 'info',
    meaning: 'No such prompt, version, label or execution. The message lists what exists.',
  },
  conflict: {
    httpStatus: 409,
    auditStatus: 'refused',
    exitCode: 6,
    logLevel: 'info',
    meaning: 'The state has changed or the number is taken. Read it again, then decide.',
  },
  invalid_variables: {
    httpStatus: 422,
    auditStatus: 'refused',
    exitCode: 7,
    logLevel: 'info',
    meaning: 'The variables do not fit the input schema of the prompt version.',
  },
  budget_exceeded: {
    httpStatus: 402,
    auditStatus: 'refused',
    exitCode: 8,
    logLevel: 'warn',
    meaning: 'A budget is spent, or held for calls in flight. Raise it, or wait as `Retry-After` says.',
  },
  rate_limited: {
    httpStatus: 429,
    auditStatus: 'refused',
    exitCode: 9,
    logLevel: 'warn',
    meaning: 'Too many requests for a limit of this gateway or of the provider. Wait as `Retry-After` says.',
  },
  provider_rejected: {
    httpStatus: 422,
    auditStatus: 'failed',
    exitCode: 10,
    logLevel: 'warn',
    meaning: 'The provider refused this request, for example as too long. Sending it again will not help.',
  },
  provider_misconfigured: {
    httpStatus: 502,
    auditStatus: 'failed',
    exitCode: 11,
    logLevel: 'error',
    meaning: "The gateway's provider key, model or base URL is wrong. The platform team has to act.",
  },
  provider_protocol_error: {
    httpStatus: 502,
    auditStatus: 'failed',
    exitCode: 12,
    logLevel: 'error',
    meaning: 'The provider answered something that is not an answer.',
  },
  invalid_output: {
    httpStatus: 502,
    auditStatus: 'failed',
    exitCode: 17,
    logLevel: 'warn',
    meaning: 'The answer is whole and billed, but not as the output schema demands. Its row keeps it.',
  },
  provider_unavailable: {
    httpStatus: 503,
    auditStatus: 'failed',
    exitCode: 13,
    logLevel: 'error',
    meaning: 'The provider could not be reached or is overloaded; every attempt allowed was made.',
  },
  provider_timeout: {
    httpStatus: 504,
    auditStatus: 'failed',
    exitCode: 14,
    logLevel: 'error',
    meaning: 'No complete answer within the deadline of the execution.',
  },
  cancelled: {
    httpStatus: 499,
    auditStatus: 'cancelled',
    exitCode: 15,
    logLevel: 'info',
    meaning: 'The caller went away before the answer.',
  },
  audit_unavailable: {
    httpStatus: 503,
    auditStatus: 'failed',
    exitCode: 16,
    logLevel: 'error',
    meaning: 'The audit record could not be written. Before a call this means that no provider was called.',
  },
  internal: {
    httpStatus: 500,
    auditStatus: 'failed',
    exitCode: 1,
    logLevel: 'error',
    meaning: 'A fault of the gateway itself. The request id finds it in the log.',
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorTable;

/** One thing that is wrong inside a request or a configuration. `path` is dotted, e.g. `variables.text`. */
export interface Issue {
  readonly path: string;
  readonly message: string;
}

export interface PromptgateErrorOptions {
  /** Everything that is wrong, when it is more than one sentence. Public. */
  readonly issues?: readonly Issue[];
  /** How long the caller should wait before asking again, in milliseconds. Public. */
  readonly retryAfterMs?: number;
  /** The limit that was reached. Public. */
  readonly limit?: string;
  /** For the log only: never sent to a client and never stored. */
  readonly cause?: unknown;
}

/** An error with a public message. Whatever is not public belongs in `cause`, which only the log reads. */
export class PromptgateError extends Error {
  readonly code: ErrorCode;
  readonly issues: readonly Issue[];
  readonly retryAfterMs: number | null;
  /** A limit of this gateway that was reached: nothing is left of it until the time to come back. */
  readonly limit: string | null;
  /** The audit row that records this error, once there is one. */
  executionId: string | null = null;
  /** True when an earlier execution ended so, and its Idempotency-Key was sent again. */
  replayed = false;
  /** True once a provider was asked: sending the same request again may be billed again. */
  providerAsked = false;

  constructor(code: ErrorCode, message: string, options: PromptgateErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'PromptgateError';
    this.code = code;
    this.issues = options.issues ?? [];
    this.retryAfterMs = options.retryAfterMs ?? null;
    this.limit = options.limit ?? null;
  }

  get kind(): ErrorKind {
    return errorTable[this.code];
  }

  /** Status of the audit row. What a provider refuses, a rate for example, has failed: only the gateway refuses. */
  get auditStatus(): ErrorKind['auditStatus'] {
    const { auditStatus } = this.kind;
    return auditStatus === 'refused' && this.providerAsked ? 'failed' : auditStatus;
  }
}

/** Who asked for what, of a request that failed: for the log. */
export interface FailedRequest {
  readonly requestId: string;
  /** Null before the key is known. */
  readonly actor: string | null;
  readonly method: string;
  readonly path: string;
}

/** Any thrown value as a PromptgateError; what was not one becomes `internal` with a message that leaks nothing. */
export function toPromptgateError(thrown: unknown): PromptgateError {
  if (thrown instanceof PromptgateError) return thrown;
  return new PromptgateError('internal', 'The gateway failed. The request id finds the cause in its log.', {
    cause: thrown,
  });
}
