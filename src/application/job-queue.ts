/** A job that fell due, for whoever does it. */
export interface DueJob {
  /** Which of its schedule, where that has several; empty where it has one. */
  readonly key: string;
  /** When it fell due. However late it is done, and however often it is tried, this is its name. */
  readonly dueAt: Date;
}

/**
 * Port to the job library: what falls due is kept in the database, and each due job is given to one of all processes that
 * work on it. One that was not done to its end, because its process died or gave it back, is given to another.
 */
export interface JobQueue {
  /** Makes these the times of a schedule, by key; those of other keys are forgotten. Times are cron's, in UTC. */
  set(schedule: string, crons: ReadonlyMap<string, string>): Promise<void>;
  /** Gives these keys back to a schedule that somebody took them from; those that it has, at whatever times, are left. */
  restore(schedule: string, crons: ReadonlyMap<string, string>): Promise<void>;
  /** Does the jobs of a schedule here too, one at a time. A rejection gives the job back. */
  work(schedule: string, run: (job: DueJob) => Promise<void>): Promise<void>;
  /** Takes nothing more; resolves when the jobs under way have ended or `timeoutMs` are over, then they are given back. */
  stop(timeoutMs: number): Promise<void>;
}
