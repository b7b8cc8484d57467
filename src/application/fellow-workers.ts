/** What a gateway that is one of several processes behind one address can learn of the others. */

/** What each worker can be asked for. */
export type WorkerQuestion = 'readiness' | 'metrics';

export interface WorkerAnswers {
  /** One of each worker that serves, the asking one among them; undefined: it did not answer in time. */
  readonly answers: readonly unknown[];
  /** Answers that outlive their workers, of places where none serves now. */
  readonly heirlooms: readonly unknown[];
  readonly wanted: number;
  /** Workers that ended unasked and were replaced, since the start. */
  readonly replaced: number;
}

export interface FellowWorkers {
  /** Place of this worker, from 1; it keeps it over generations. */
  readonly worker: number;
  readonly wanted: number;
  /** Gateway that had this place before and is known to be dead. */
  readonly predecessor: string | null;
  /** What the workers before this one in its place left of their metrics, as `answer` gave it. */
  readonly heirloom: unknown;
  /** Asks every worker. @throws Error — the process that holds them is gone */
  ask(question: WorkerQuestion): Promise<WorkerAnswers>;
  /** How this worker answers. */
  answer(question: WorkerQuestion, give: () => Promise<WorkerAnswer>): void;
}

export interface WorkerAnswer {
  readonly answer: unknown;
  /** What is still true when the worker is dead. */
  readonly heirloom?: unknown;
}
