import { z } from '@hono/zod-openapi';
import { HTTPException } from 'hono/http-exception';
import {
  type ErrorCode,
  errorTable,
  type FailedRequest,
  PromptgateError,
  toPromptgateError,
} from '../domain/errors.ts';
import type { HttpContext } from './context.ts';
import { describeLimit } from './execution-headers.ts';

export const errorBodySchema = z
  .object({
    error: z.object({
      code: z.enum(Object.keys(errorTable) as [ErrorCode, ...ErrorCode[]]),
      message: z.string(),
      issues: z.array(z.object({ path: z.string(), message: z.string() })),
      request_id: z.string(),
      execution_id: z.string().nullable(),
    }),
  })
  .openapi('Error');

/** Writes what the client may not see to where the platform team reads it. */
export type ErrorLog = (error: PromptgateError, request: FailedRequest) => void;

export function toFailedRequest(c: HttpContext): FailedRequest {
  return {
    requestId: c.get('requestId'),
    actor: c.get('actor')?.name ?? null,
    method: c.req.method,
    path: c.req.path.slice(0, 200),
  };
}

/** Turns whatever was thrown into the one error shape, after the refusal's row where one is owed. */
export function respondWithError(log: ErrorLog) {
  return async function respondWithError(thrown: unknown, c: HttpContext): Promise<Response> {
    let error = fromHttpException(thrown) ?? fromHangUp(thrown) ?? toPromptgateError(thrown);
    const recordRefusal = c.get('recordRefusal');
    if (recordRefusal && error.executionId === null && error.code !== 'audit_unavailable') {
      error = await recordRefusal(error);
    }
    log(error, toFailedRequest(c));
    if (error.retryAfterMs !== null) c.header('retry-after', String(Math.ceil(error.retryAfterMs / 1000)));
    if (error.limit !== null) {
      describeLimit(c, { limit: error.limit, remaining: 0, resetMs: error.retryAfterMs ?? 0 });
    }
    if (error.executionId) c.header('x-promptgate-execution-id', error.executionId);
    // After admission money may have been spent: an SDK that retries on its own would spend it again. An audit that
    // names a time to come back has admitted nothing.
    const admitted =
      error.code === 'audit_unavailable' ? error.retryAfterMs === null : error.auditStatus !== 'refused';
    if (error.replayed) c.header('idempotent-replayed', 'true');
    // The SDKs repeat every 409, and only one that names a time can end otherwise.
    const settled = error.code === 'conflict' && error.retryAfterMs === null;
    if (admitted || settled) c.header('x-should-retry', 'false');
    const body = (c.get('toErrorBody') ?? toErrorBody)(error, c.get('requestId'));
    return c.body(JSON.stringify(body), error.kind.httpStatus as 400, {
      'content-type': 'application/json',
    });
  };
}

export function toErrorBody(error: PromptgateError, requestId: string): z.infer<typeof errorBodySchema> {
  return {
    error: {
      code: error.code,
      message: error.message,
      issues: [...error.issues],
      request_id: requestId,
      execution_id: error.executionId,
    },
  };
}

/** What reading a body throws when the caller goes away in the middle of it. */
function fromHangUp(thrown: unknown): PromptgateError | undefined {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  if (code !== 'ECONNRESET') return undefined;
  return new PromptgateError('cancelled', 'The caller went away in the middle of the request.', {
    cause: thrown,
  });
}

function fromHttpException(thrown: unknown): PromptgateError | undefined {
  if (!(thrown instanceof HTTPException) || thrown.status >= 500) return undefined;
  return new PromptgateError('invalid_request', 'The request is malformed.', { cause: thrown });
}
