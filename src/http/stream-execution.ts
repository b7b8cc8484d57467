/**
 * An execution as server-sent events: `execution` (what runs), `delta` … (its pieces), then `done` with the execution or
 * `error` with the error body. Until the first piece, or the first keep-alive, nothing is sent: what fails before that
 * is an ordinary error response with its status.
 */
import { z } from '@hono/zod-openapi';
import type { StreamReader } from '../application/delivery.ts';
import type { Executed } from '../application/execute-prompt.ts';
import { toPromptgateError } from '../domain/errors.ts';
import type { Admission } from '../domain/execution.ts';
import type { HttpContext } from './context.ts';
import { type ErrorLog, errorBodySchema, toErrorBody } from './error-response.ts';
import { createEventStream } from './event-stream.ts';
import { executionSchema, toExecutionView } from './execution-view.ts';

const deltaSchema = z
  .union([
    z.object({ type: z.enum(['text', 'refusal', 'reasoning']), text: z.string() }),
    z.object({
      type: z.literal('tool_call'),
      index: z.number().int(),
      id: z.string(),
      name: z.string(),
      arguments: z.string(),
    }),
  ])
  .openapi('Delta');

const headSchema = z
  .object({ id: z.string(), prompt: z.string(), version: z.number().int().nullable() })
  .openapi('ExecutionHead');

export const streamEventSchema = z
  .union([headSchema, deltaSchema, executionSchema, errorBodySchema])
  .openapi('ExecutionEvent', {
    description: 'Data of the events `execution`, `delta`, `done` and `error`, in this order.',
  });

/** Proxies commonly cut a connection that is silent for 30 seconds or more. */
const keepAliveMs = 10_000;

/** @throws PromptgateError — what `execute` throws before the stream has begun */
export async function respondWithStream(
  c: HttpContext,
  log: ErrorLog,
  execute: (reader: StreamReader) => Promise<Executed>,
): Promise<Response> {
  const gone = new AbortController();
  const leave = () => gone.abort();
  const connection = c.req.raw.signal;
  if (connection.aborted) leave();
  else connection.addEventListener('abort', leave, { once: true });
  const events = createEventStream({ keepAliveMs, onGone: leave });
  const { promise: opened, resolve: markOpened } = Promise.withResolvers<void>();
  let isOpen = false;
  let head: Admission | undefined;
  let firstSign: NodeJS.Timeout | undefined;

  function open(execution: Admission | undefined): void {
    if (isOpen || !execution) return;
    isOpen = true;
    clearTimeout(firstSign);
    const { id, promptName, promptVersion } = execution;
    c.header('x-promptgate-execution-id', id);
    void events.send('execution', { id, prompt: promptName, version: promptVersion });
    markOpened();
  }

  const reader: StreamReader = {
    gone: gone.signal,
    admitted(admission) {
      head = admission;
      firstSign = setTimeout(() => open(head), keepAliveMs);
    },
    write(delta) {
      open(head);
      return events.send('delta', delta);
    },
    drop: () => c.env?.outgoing?.destroy(),
  };

  const settled = execute(reader)
    .then((execution) => {
      if (execution.replayed) c.header('idempotent-replayed', 'true');
      open(execution);
      // The pieces of an earlier request with the same key are long gone.
      if (execution.replayed && execution.rawOutput) {
        void events.send('delta', { type: 'text', text: execution.rawOutput });
      }
      void events.send('done', toExecutionView(execution));
    })
    .catch((thrown: unknown) => {
      // Not begun: the failure is an ordinary response.
      if (!isOpen) throw thrown;
      const error = toPromptgateError(thrown);
      log(error, c.get('requestId'));
      void events.send('error', toErrorBody(error, c.get('requestId')));
    })
    .finally(() => {
      clearTimeout(firstSign);
      connection.removeEventListener('abort', leave);
      events.end();
    });
  await Promise.race([settled, opened]);
  // no-transform: a proxy that compresses would hold events back; x-accel-buffering tells nginx the same.
  return c.body(events.body, 200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
  });
}
