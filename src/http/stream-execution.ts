/**
 * An execution as server-sent events, in whichever dialect. Until the first piece, or the first keep-alive, nothing is
 * sent: what fails before that is an ordinary error response with its status.
 */
import type { StreamReader } from '../application/delivery.ts';
import type { Executed } from '../application/execute-prompt.ts';
import { piecesOf } from '../application/partial-answer.ts';
import { toPromptgateError } from '../domain/errors.ts';
import type { Admission } from '../domain/execution.ts';
import type { Usage } from '../domain/usage.ts';
import type { HttpContext } from './context.ts';
import type { AnswerEvents } from './dialect.ts';
import { type ErrorLog, toFailedRequest } from './error-response.ts';
import { EventStream, keepAliveMs, type ServerSentEvent } from './event-stream.ts';
import { describeAdmission } from './execution-headers.ts';

/** @throws PromptgateError — what `execute` throws before the stream has begun */
export async function respondWithStream(
  c: HttpContext,
  log: ErrorLog,
  events: AnswerEvents,
  execute: (reader: StreamReader) => Promise<Executed>,
): Promise<Response> {
  // What its headers are made with; let go once they are sent: thousands of open answers need not hold their requests.
  let unsent: HttpContext | undefined = c;
  const request = toFailedRequest(c);
  const outgoing = c.env?.outgoing;
  let isGone = false;
  let leave: (() => void) | undefined;
  const stream = new EventStream(outgoing, () => {
    isGone = true;
    leave?.();
  });
  const opened = Promise.withResolvers<Response>();
  let head: Admission | undefined;
  let counted: Usage | undefined;
  let firstSign: NodeJS.Timeout | undefined;

  /** @returns what the last one returned: room for it is room for all */
  function send(list: readonly ServerSentEvent[]): Promise<void> | undefined {
    let room: Promise<void> | undefined;
    for (const event of list) room = stream.send(event);
    return room;
  }

  function open(execution: Admission | Executed | undefined): void {
    if (!unsent || !execution) return;
    clearTimeout(firstSign);
    describeAdmission(unsent, execution);
    opened.resolve(stream.begin(unsent));
    unsent = undefined;
    void send(events.begin(execution, 'promptTokens' in execution ? execution : counted));
  }

  const reader: StreamReader = {
    onGone(told) {
      leave = told;
      if (isGone) told();
    },
    admitted(admission) {
      head = admission;
      firstSign = setTimeout(() => {
        open(head);
        // Not every wire has an event to begin with.
        stream.keepAlive();
      }, keepAliveMs);
    },
    counted(usage) {
      counted = usage;
    },
    write(delta) {
      open(head);
      return send(events.piece(delta));
    },
    drop: () => void outgoing?.destroy(),
  };

  execute(reader)
    .then((execution) => {
      if (execution.replayed) unsent?.header('idempotent-replayed', 'true');
      open(execution);
      // The pieces of an earlier request with the same key are long gone.
      if (execution.replayed) {
        for (const piece of piecesOf({ ...execution, output: execution.rawOutput ?? '' }))
          void send(events.piece(piece));
      }
      void send(events.finish(execution));
    })
    .catch((thrown: unknown) => {
      // Not begun: the failure is an ordinary response.
      if (unsent) return opened.reject(thrown);
      const error = toPromptgateError(thrown);
      log(error, request);
      void send(events.fail(error, request.requestId));
    })
    .finally(() => {
      clearTimeout(firstSign);
      stream.end();
    })
    .catch(opened.reject);
  return opened.promise;
}
