/**
 * A run of many calls as server-sent events: `run`, `progress` for each call, then `report` or `error`. One that is gone on
 * with may begin with `waiting`.
 */
import { toPromptgateError } from '../domain/errors.ts';
import type { HttpContext } from './context.ts';
import { type ErrorLog, toErrorBody, toFailedRequest } from './error-response.ts';
import { EventStream } from './event-stream.ts';

export interface RunEvents {
  /** Aborts when nobody listens any more. */
  readonly signal: AbortSignal;
  /** For so many calls of an earlier part. */
  waiting(calls: number): void;
  started(run: object): void;
  progressed(progress: object): void;
}

/** What fails before the run begins is an ordinary answer. @param run resolves with the report */
export async function streamRun(
  c: HttpContext,
  log: ErrorLog,
  run: (events: RunEvents) => Promise<object>,
): Promise<Response> {
  const gone = new AbortController();
  const stream = new EventStream(c.env?.outgoing, () => gone.abort());
  const opened = Promise.withResolvers<Response>();
  let isOpen = false;
  const open = (event: string, data: object) => {
    if (!isOpen) opened.resolve(stream.begin(c));
    isOpen = true;
    void stream.send({ event, data });
  };
  run({
    signal: gone.signal,
    waiting: (calls) => open('waiting', { calls }),
    started: (run) => open('run', run),
    progressed: (data) => void stream.send({ event: 'progress', data }),
  })
    .then((data) => open('report', data))
    .catch((thrown: unknown) => {
      if (!isOpen) return opened.reject(thrown);
      const error = toPromptgateError(thrown);
      log(error, toFailedRequest(c));
      void stream.send({ event: 'error', data: toErrorBody(error, c.get('requestId')) });
    })
    .finally(() => stream.end())
    .catch(opened.reject);
  return opened.promise;
}
