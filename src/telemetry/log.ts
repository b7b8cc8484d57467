import { writeSync } from 'node:fs';
import pino from 'pino';
import type { FailedRequest, PromptgateError } from '../domain/errors.ts';
import type { Execution } from '../domain/execution.ts';

/** One JSON line per fact, allow-listed fields only: no variables, no output, no keys. */
export interface Log {
  info(message: string, fields?: Record<string, string | number | boolean | null>): void;
  warn(message: string, fields?: Record<string, string | number | boolean | null>): void;
  execution(execution: Execution): void;
  /** An error with its private cause, found by the request id that the client was given. */
  error(error: PromptgateError, request: FailedRequest | null): void;
}

/** @param worker its place, where there are several; every line carries it */
export function createLog(level: string, worker?: number): Log {
  const base = worker === undefined ? null : { worker };
  stderr ??= createDestination();
  const logger = pino({ level, base, timestamp: pino.stdTimeFunctions.isoTime }, stderr);
  return {
    info: (message, fields = {}) => logger.info(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    execution(execution) {
      logger.info(toFields(execution), 'execution');
    },
    error(error, request) {
      logger[error.kind.logLevel](
        {
          request_id: request?.requestId ?? null,
          actor: request?.actor ?? null,
          method: request?.method ?? null,
          path: request?.path ?? null,
          error_code: error.code,
          cause: describeCause(error.cause),
        },
        // A provider's refusal is quoted for its caller, and may quote in turn what the caller sent.
        error.code === 'provider_rejected' ? 'The provider refused the request.' : error.message,
      );
    },
  };
}

/** One for the process, however many logs it opens. */
let stderr: pino.DestinationStream | undefined;

/** A pipe takes so much at once: lines of several workers do not mix. In bytes; a line that is longer goes alone. */
const writeMax = 4_096;

/** What one turn of the event loop logs is written together at its end: a write costs more than all that makes a line. */
function createDestination(): pino.DestinationStream {
  const file = pino.destination({ dest: 2, maxWrite: writeMax });
  let lines = '';
  function flush(): void {
    const due = lines;
    lines = '';
    if (due !== '') file.write(due);
  }
  process.on('exit', () => {
    // Nothing that is only begun now would end. What waits behind a write under way is pino's to write.
    try {
      writeSync(2, lines);
    } catch {}
  });
  return {
    write(line) {
      if (lines.length + line.length > writeMax) flush();
      if (lines === '') setImmediate(flush);
      lines += line;
    },
  };
}

/** What a line says of an execution: nothing that its caller sent, nothing that a model answered. */
export function toFields(execution: Execution) {
  const { cost, currency } = execution.price;
  return {
    execution_id: execution.id,
    request_id: execution.requestId,
    trace_id: execution.traceId,
    prompt: execution.promptName,
    version: execution.promptVersion,
    label: execution.label,
    status: execution.status,
    error_code: execution.errorCode,
    provider: execution.provider,
    model: execution.model,
    simulated: execution.simulated,
    attempts: execution.attempts.length,
    prompt_tokens: execution.promptTokens,
    completion_tokens: execution.completionTokens,
    cost,
    currency: cost === null ? null : currency,
    latency_ms: execution.latencyMs,
    overhead_ms: execution.overheadMs,
    actor: execution.actor,
  };
}

/** Name, code and stack of a cause; never its message, which may echo values, SQL or keys. */
function describeCause(cause: unknown): string | null {
  if (!(cause instanceof Error)) return cause === undefined ? null : typeof cause;
  const code = (cause as { code?: unknown }).code;
  const frames = cause.stack?.split('\n').filter((line) => line.startsWith('    at ')) ?? [];
  const inner = cause.cause === undefined ? '' : `; caused by ${describeCause(cause.cause)}`;
  return `${cause.name}${typeof code === 'string' ? ` ${code}` : ''}\n${frames.slice(0, 8).join('\n')}${inner}`;
}
