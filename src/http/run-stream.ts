/**
 * A run of many calls as server-sent events: `run`, `progress` for each call, then `report` or `error`. One that is gone on
 * with may begin with `waiting`.
 */
import { toPromptgateError } from '../domain/errors.ts';
import type { HttpContext } from './context.ts';
import { type ErrorLog, toErrorBody, toFailedRequest } from './error-response.ts';
import { createEventStream } from './event-stream.ts';

export interface RunEvents {
  /** Aborts when nobody listens any more. */
  readonly signal: AbortSignal;
  /** For so many calls of an earlier part. */
  waiting(calls: number): void;
  started(run: object): void;
  progressed(progress: object): void;
}

/** Proxies commonly cut a connection that is silent for 30 seconds or more. */
const keepAliveMs = 10_000;

/** What fails before the run begins is an ordinary answer. @param run resolves with the report */
export async function streamRun(
  c: HttpContext,
  log: ErrorLog,
  run: (events: RunEvents) => Promise<object>,
): Promise<Response> {
  const gone = new AbortController();
  const leave = () => gone.abort();
  c.req.raw.signal.addEventListener('abort', leave, { once: true });
  const stream = createEventStream({ keepAliveMs, onGone: leave });
  const opened = Promise.withResolvers<void>();
  let isOpen = false;
  const open = (event: string, data: object) => {
    isOpen = true;
    void stream.send({ event, data });
    opened.resolve();
  };
  const settled = run({
    signal: gone.signal,
    waiting: (calls) => open('waiting', { calls }),
    started: (run) => open('run', run),
    progressed: (data) => void stream.send({ event: 'progress', data }),
  })
    .then((data) => void stream.send({ event: 'report', data }))
    .catch((thrown: unknown) => {
      if (!isOpen) throw thrown;
      const error = toPromptgateError(thrown);
      log(error, toFailedRequest(c));
      void stream.send({ event: 'error', data: toErrorBody(error, c.get('requestId')) });
    })
    .finally(() => {
      c.req.raw.signal.removeEventListener('abort', leave);
      stream.end();
    });
  await Promise.race([settled, opened.promise]);
  return c.body(stream.body, 200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
  });
}
