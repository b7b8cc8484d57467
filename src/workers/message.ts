/** What the process that owns the workers and a worker say to each other. */
import type { WorkerAnswer, WorkerAnswers, WorkerQuestion } from '../application/fellow-workers.ts';
import type { ErrorCode, Issue } from '../domain/errors.ts';

/** The first thing that a worker hears. */
export interface Begin {
  readonly worker: number;
  readonly wanted: number;
  readonly predecessor: string | null;
  readonly heirloom: unknown;
}

export type ToWorker =
  | ({ readonly type: 'begin' } & Begin)
  | { readonly type: 'question'; readonly id: number; readonly question: WorkerQuestion }
  | ({ readonly type: 'answers'; readonly id: number } & WorkerAnswers)
  | { readonly type: 'stop' }
  | { readonly type: 'hurry' };

export type FromWorker =
  | { readonly type: 'ready'; readonly url: string; readonly gatewayId: string }
  | { readonly type: 'failed'; readonly failure: StartFailure }
  | ({ readonly type: 'answer'; readonly id: number } & WorkerAnswer)
  | { readonly type: 'ask'; readonly id: number; readonly question: WorkerQuestion };

/** An error as it is told between processes. Its cause stays in the log of the worker. */
export interface StartFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly issues: readonly Issue[];
}
