/** What an earlier part of a run has left: its rows are all there is to go on from, and all that is needed. */
import type { Execution, StoredExecution } from '../domain/execution.ts';
import type { AuditStore } from './audit-store.ts';

/** A row may hold megabytes of variables and output, so few are read at once. */
const rowsAtOnce = 25;
const askAgainMs = 500;
/** The lease of a gateway that died, and the time until another one looks: then recovery has said what became of its calls. */
const recoveredAfterMs = 30_000;

/** A call that an earlier part of the run made: what decides whether it is made again, and what it cost. Its row has the rest. */
export interface EarlierCall
  extends Pick<Execution, 'id' | 'replayOf' | 'status' | 'errorCode' | 'price' | 'simulated' | 'attempts'> {
  readonly createdAt: Date;
  /** The most that it can have cost, where it does not say what it cost; null: nobody knows. */
  readonly most: bigint | null;
}

export interface EarlierCallsDependencies {
  readonly audit: Pick<AuditStore, 'listExecutions' | 'countCallsInFlight'>;
  /** Epoch in milliseconds. */
  readonly now: () => number;
  readonly wait: (milliseconds: number) => Promise<void>;
}

/** How whoever goes on with a run waits for what is in flight. */
export interface Patience {
  readonly signal: AbortSignal;
  /** Hears of so many calls that are waited for, whenever it was looked. */
  readonly onWait?: ((calls: number) => void) | undefined;
}

/**
 * Waits until no call of the run is in flight: what its gateway died with has no row before recovery, and would be taken
 * for a call that was never made. Where another part of the run lives, it has not ended then: its claims hold.
 * @param keyId of one key; null: of all
 */
export async function awaitCallsInFlight(
  { audit, now, wait }: EarlierCallsDependencies,
  runId: string,
  keyId: string | null,
  { signal, onWait }: Patience,
): Promise<void> {
  for (const until = now() + recoveredAfterMs; now() < until && !signal.aborted; await wait(askAgainMs)) {
    const calls = await audit.countCallsInFlight(runId, keyId);
    if (calls === 0) return;
    onWait?.(calls);
  }
}

/** Every execution of a run, newest first. Of each only what `read` makes of it is kept. */
export async function readRunRows<T>(
  audit: Pick<AuditStore, 'listExecutions'>,
  runId: string,
  read: (row: StoredExecution) => T,
): Promise<T[]> {
  const rows: T[] = [];
  for (let before: string | undefined; ; ) {
    const page = await audit.listExecutions({ runId }, { limit: rowsAtOnce, ...(before ? { before } : {}) });
    for (const row of page) rows.push(read(row));
    if (page.length < rowsAtOnce) return rows;
    before = page.at(-1)!.id;
  }
}

/** @param most what the call of a row costs at most */
export function toEarlierCall(
  row: StoredExecution,
  most: (row: StoredExecution) => bigint | null,
): EarlierCall {
  const { id, replayOf, status, errorCode, price, simulated, attempts, createdAt } = row;
  return { id, replayOf, status, errorCode, price, simulated, attempts, createdAt, most: most(row) };
}

/** Those that were made, and may have been paid for, oldest first: what was refused before any call may be tried again. */
export function keepCalled<T extends Pick<EarlierCall, 'attempts' | 'status'>>(rows: readonly T[]): T[] {
  return rows.filter(({ attempts, status }) => attempts.length > 0 || status === 'unknown').reverse();
}
