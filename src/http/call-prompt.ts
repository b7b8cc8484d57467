/**
 * One call of a prompt over HTTP, whatever the dialect: what the request says → the verb → the answer, whole or streamed.
 * A route reads its body into a PromptCall; everything else about a call is here once.
 */
import type { MiddlewareHandler } from 'hono';
import type { Gateway } from '../application/gateway.ts';
import type { LimitStanding } from '../domain/budget.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Message } from '../domain/message.ts';
import type { HttpContext, HttpEnvironment } from './context.ts';
import type { Dialect } from './dialect.ts';
import type { ErrorLog } from './error-response.ts';
import { describeExecution, describeLimit } from './execution-headers.ts';
import type { AskedOverrides } from './overrides.ts';
import { respondWithStream } from './stream-execution.ts';
import { readVariables, variablesHeader } from './variables-header.ts';

/** How a caller names what to run: a label or a version, or neither for the default label. */
export interface PromptTarget {
  readonly promptName: string;
  readonly label?: string | undefined;
  readonly version?: number | undefined;
}

export interface PromptCall extends PromptTarget, AskedOverrides {
  readonly variables: JsonObject;
  readonly messages?: readonly Message[] | undefined;
  readonly metadata?: JsonObject | undefined;
  readonly stream: boolean;
}

export async function callPrompt(
  c: HttpContext,
  { gateway, log }: { gateway: Gateway; log: ErrorLog },
  call: PromptCall,
  dialect: Dialect,
): Promise<Response> {
  c.set('promptName', call.promptName);
  const { label, version, messages, overrides, wording, metadata } = call;
  let unsent: HttpContext | undefined = c;
  const request = {
    ...callerOf(c),
    variables: readVariables(c.req.header(variablesHeader), call.variables),
    ...(label === undefined ? {} : { label }),
    ...(version === undefined ? {} : { version }),
    ...(messages === undefined ? {} : { messages }),
    ...(overrides === undefined ? {} : { overrides }),
    ...(wording === undefined ? {} : { wording }),
    ...(metadata === undefined ? {} : { metadata }),
    ...readIdempotencyKey(c),
    onLimit: (standing: LimitStanding) => unsent && describeLimit(unsent, standing),
  };
  if (call.stream) {
    const events = dialect.createEvents();
    const response = await respondWithStream(c, log, events, (reader) =>
      gateway.executePrompt({ ...request, reader }),
    );
    // The call goes on, and need not hold what was only there for its headers.
    unsent = undefined;
    return response;
  }
  const execution = await gateway.executePrompt({ ...request, signal: c.req.raw.signal });
  describeExecution(c, execution);
  return c.json(dialect.toAnswer(execution));
}

/** Who the caller says it acts for belongs into the row. */
export function readMetadata(body: {
  readonly metadata?: JsonObject | null | undefined;
  readonly user?: unknown;
  readonly safety_identifier?: unknown;
}): JsonObject | undefined {
  const { metadata, user, safety_identifier } = body;
  const acting = {
    ...(typeof user === 'string' && user ? { user } : {}),
    ...(typeof safety_identifier === 'string' ? { safety_identifier } : {}),
  };
  if (!metadata) return Object.keys(acting).length > 0 ? acting : undefined;
  // A copy by entries: an own `__proto__` stays a member, and is refused.
  return Object.fromEntries([...Object.entries(acting), ...Object.entries(metadata)]);
}

/** From here on a refusal is an execution that was refused, and owes a row. Comes before whatever may refuse. */
export function auditRefusals(gateway: Gateway): MiddlewareHandler<HttpEnvironment> {
  return async function auditRefusals(c, next) {
    c.set('recordRefusal', (error) => gateway.refuseExecution(callerOf(c), error));
    await next();
  };
}

function callerOf(c: HttpContext) {
  return {
    actor: c.get('actor'),
    promptName: c.get('promptName') ?? c.req.param('name') ?? '',
    requestId: c.get('requestId'),
    trace: c.get('trace'),
    ...(c.get('raw') ? { raw: true } : {}),
  };
}

/** @throws PromptgateError invalid_request — a key that cannot be kept as it is */
function readIdempotencyKey(c: HttpContext): { idempotencyKey?: string } {
  const key = c.req.header('idempotency-key');
  if (key === undefined) return {};
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw new PromptgateError(
      'invalid_request',
      'Idempotency-Key has 1 to 255 visible ASCII characters without spaces, for example a UUID.',
    );
  }
  return { idempotencyKey: key };
}
