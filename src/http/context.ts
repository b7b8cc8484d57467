import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Context, MiddlewareHandler } from 'hono';
import type { Actor } from '../domain/api-key.ts';
import type { PromptgateError } from '../domain/errors.ts';
import { parseTraceparent, type TraceContext } from '../domain/trace-context.ts';

export interface HttpEnvironment {
  Bindings: {
    /** Set only by callers inside this process (the CLI); a request from the network cannot carry it. */
    actor?: Actor;
    /** The side of the connection that answers go out by; absent when the caller is inside this process. */
    outgoing?: ServerResponse;
  };
  Variables: {
    requestId: string;
    trace: TraceContext | null;
    actor: Actor;
    /** How this route's clients read failures; absent: the gateway's own shape. */
    toErrorBody?: (error: PromptgateError, requestId: string) => object;
    /** The prompt that the body names, on routes whose path does not. */
    promptName?: string;
    /** The request brings its own prompt. */
    raw?: boolean;
    /** Writes the audit row of a refusal, on routes whose refusals are executions. */
    recordRefusal?: (error: PromptgateError) => Promise<PromptgateError>;
  };
}

export type HttpContext = Context<HttpEnvironment>;

/**
 * Takes over the caller's request id and trace where they are well-formed, and answers the request id.
 * @param beginTrace for a caller that has no trace of its own; null where traces are not exported
 */
export function identifyRequest(beginTrace: (() => TraceContext) | null): MiddlewareHandler<HttpEnvironment> {
  return async function identifyRequest(c, next) {
    const given = c.req.header('x-request-id');
    const requestId = given && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
    c.set('requestId', requestId);
    c.set('trace', parseTraceparent(c.req.header('traceparent')) ?? beginTrace?.() ?? null);
    c.header('x-request-id', requestId);
    await next();
  };
}
