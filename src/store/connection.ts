/**
 * Connections and what can go wrong with them. The one place that knows the options of the client, and the one door
 * through which its errors leave: a driver's message can echo the values of a row, so none of it becomes public.
 */
import postgres from 'postgres';
import { PromptgateError } from '../domain/errors.ts';
import { createDialer } from './database-socket.ts';

export interface ConnectOptions {
  /** Most connections of the pool. */
  readonly max?: number;
  /** The server stops a statement that takes longer, in milliseconds. */
  readonly statementTimeoutMs?: number;
  readonly connectTimeoutMs?: number;
  /**
   * A prepared statement is planned once for a connection and not for each of its arguments, and looks rows up in an index
   * wherever there is one, however small the table is at that moment.
   */
  readonly planOnce?: boolean;
  /** Called for every notification that a connection of this pool listens to. */
  readonly onNotify?: () => void;
  /** Called when a connection of this pool was lost or closed, or could not be opened. */
  readonly onClose?: () => void;
  /** Called when one ended that had been a session; never under TLS. */
  readonly onLost?: () => void;
}

export const defaultStatementTimeoutMs = 10_000;
/** Longer than any statement of a pool may take. */
const retireMs = 15_000;

/** Opens no connection yet: the first query does. @throws PromptgateError invalid_request — the URL cannot be read */
export function connect(url: string, options: ConnectOptions = {}): postgres.Sql {
  try {
    const pooler = poolerOf(url);
    return postgres(pooler ?? url, clientOptions(options, pooler !== undefined));
  } catch (cause) {
    throw new PromptgateError('invalid_request', 'The database URL cannot be read.', { cause: scrub(cause) });
  }
}

/**
 * `?pgbouncer=true` says that a transaction pooler stands before the server: between two transactions everything of a
 * session is lost or somebody else's, so no statement is prepared and nothing is set on the connection. The server's own
 * `synchronous_commit` and `statement_timeout` hold then; what writes the audit trail sets the former by statement.
 * @returns the URL without the parameter, or undefined where there is none
 */
export function poolerOf(url: string): string | undefined {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.searchParams.get('pgbouncer') !== 'true') return undefined;
  parsed.searchParams.delete('pgbouncer');
  return parsed.href;
}

/** A pool whose connections can be given up together. */
export interface Pool {
  readonly sql: postgres.Sql;
  /**
   * Opens new connections from now on and drops the old ones. For a server that does not answer: a connection that hangs
   * is never returned to its pool, and the client has no other way to end it.
   */
  renew?(): void;
}

/**
 * A client that lost a session gets no more work: postgres.js keeps the object for its next connection, and with it what
 * was left to be sent, or the error, of the last one. What it has begun it may end in `retireMs`.
 */
export function createPool(url: string, options: ConnectOptions): Pool & { end(): Promise<void> } {
  const retired = new Set<postgres.Sql>();
  let ended = false;
  let sql = open();

  function open(): postgres.Sql {
    const opened: postgres.Sql = connect(url, {
      ...options,
      onLost() {
        if (sql === opened) replace(retireMs);
      },
    });
    return opened;
  }

  function replace(ms: number): void {
    if (ended) return;
    const old = sql;
    sql = open();
    retired.add(old);
    setTimeout(() => void drop(old, 0), ms).unref();
  }

  async function drop(old: postgres.Sql, seconds: number): Promise<void> {
    retired.delete(old);
    await old.end({ timeout: seconds }).catch(() => {});
  }

  return {
    get sql() {
      return sql;
    },
    renew: () => replace(0),
    async end() {
      ended = true;
      await Promise.all([...[...retired].map((old) => drop(old, 0)), drop(sql, 5)]);
    },
  };
}

function clientOptions(
  options: ConnectOptions,
  pooled: boolean,
): postgres.Options<Record<string, postgres.PostgresType>> {
  const onNotify = options.onNotify;
  const onClose = options.onClose;
  const settings = {
    max: options.max ?? 10,
    // In seconds, unlike everything else here.
    connect_timeout: (options.connectTimeoutMs ?? 5_000) / 1000,
    // In seconds too. The client's own waits grow to 20 s; a database that is back is to be noticed sooner.
    backoff: (tries: number) => Math.min(0.5, 0.02 * 2 ** tries),
    // Saves a round trip on every new connection; no query of ours returns an array.
    fetch_types: false,
    onnotice: () => {},
    socket: createDialer(options.onLost),
    prepare: !pooled,
    connection: pooled
      ? { application_name: 'promptgate' }
      : {
          application_name: 'promptgate',
          statement_timeout: options.statementTimeoutMs ?? defaultStatementTimeoutMs,
          // We act on the commit (a call goes out, an answer is given), so it has to be on disk, whatever the server's default.
          synchronous_commit: 'on',
          ...(options.planOnce ? { plan_cache_mode: 'force_generic_plan', enable_seqscan: 'off' } : {}),
        },
    types: { bigint: { to: 20, from: [20], serialize: String, parse: parseInt8 } },
    ...(onNotify ? { onnotify: () => onNotify() } : {}),
    ...(onClose ? { onclose: () => onClose() } : {}),
  };
  return settings as postgres.Options<Record<string, postgres.PostgresType>>;
}

function parseInt8(text: string): number | string {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : text;
}

class DeadlinePassed extends Error {
  override name = 'DeadlinePassed';
}

/**
 * Rejects when the promise has not settled after `ms` milliseconds. The client has no query timeout, and
 * `statement_timeout` needs a server that is alive: against a frozen one a query hung for ever. The query itself is
 * left to its fate, so its outcome is in doubt.
 */
export function withDeadline<T>(promise: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new DeadlinePassed(`no answer from the database in ${ms} ms`)), ms);
    const clearing =
      <V>(end: (value: V) => void) =>
      (value: V) => {
        clearTimeout(timer);
        end(value);
      };
    promise.then(clearing(resolve), clearing(reject));
  });
}

/** `withDeadline` for work on a pool; one that ran out of time has its pool renewed. */
export async function withinPool<T>(
  pool: Pool,
  ms: number,
  work: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  const used = pool.sql;
  try {
    return await withDeadline(work(used), ms);
  } catch (error) {
    // Of several that hang on the same connections the first renews them.
    if (error instanceof DeadlinePassed && pool.sql === used) pool.renew?.();
    throw error;
  }
}

/**
 * What a group may take beyond the deadline of a small one: a large output is slow, and a deadline that it can never meet
 * would lose it. Assumes 2 MB a second. In steps, for Node keeps a list of its own for each duration of a timer.
 */
export function transferMs(length: number): number {
  return Math.floor(length / 200_000) * 100;
}

/** Codes with which Node and postgres.js say that there is no usable connection. */
const connectionCodes =
  /^(CONNECT|CONNECTION)_|^E(CONN|PIPE|TIMEDOUT|HOSTUNREACH|NETUNREACH|NOTFOUND|AI_AGAIN|PROTO)|^ENOTFOUND|^EAI_/;

/**
 * SQLSTATEs that say "not now" or "not here": connection (08), log-in refused (28), no such database (3D), transaction
 * rolled back (40), resources (53), no connections allowed (55000), lock not available (55P03), operator intervention and
 * statement_timeout (57), read-only server (25006), system error (58).
 */
const unavailableStates = /^(08|28|3D|40|53|57|58)|^55000$|^55P03$|^25006$/;

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** True when the same work may succeed later: the database was not reached, was too slow, or asked to try again. */
function isUnavailable(error: unknown): boolean {
  if (error instanceof DeadlinePassed) return true;
  const code = codeOf(error);
  return error instanceof postgres.PostgresError ? unavailableStates.test(code) : connectionCodes.test(code);
}

/** True when the connection of a statement is gone, or is about to be: it was reset, or the server ended it. */
export function isConnectionLost(error: unknown): boolean {
  if (error instanceof postgres.PostgresError) return /^(FATAL|PANIC)$/.test(error.severity);
  const code = codeOf(error);
  // One that the client itself has given up it does not use again.
  return connectionCodes.test(code) && code !== 'CONNECTION_DESTROYED';
}

/** What the log may see of a driver's error: state and place, never a value, a statement or the URL. */
function scrub(error: unknown): Error {
  if (error instanceof postgres.PostgresError) {
    const where = [error.table_name, error.constraint_name, error.routine].filter(Boolean).join(', ');
    return new Error(`PostgreSQL error ${error.code}${where ? ` (${where})` : ''}`);
  }
  const code = codeOf(error);
  if (error instanceof DeadlinePassed) return error;
  return new Error(`database client error ${code || (error instanceof Error ? error.name : typeof error)}`);
}

/**
 * Any error of the store as one that may leave it. While writing the audit trail an unavailable database is
 * `audit_unavailable`, and the write may be repeated: every write is idempotent. A record that the database refuses as
 * such is `internal`: repeating it will not help. Elsewhere a value that it refuses (SQLSTATE 22) came from the caller.
 */
export function toStoreError(error: unknown, doing: 'auditing' | 'reading' | 'registering'): PromptgateError {
  if (error instanceof PromptgateError) return error;
  const cause = scrub(error);
  if (doing !== 'auditing' && sqlStateOf(error).startsWith('22')) {
    const message =
      'A value is not one that the database can hold: a NUL character, or a number or time out of range.';
    return new PromptgateError('invalid_request', message, { cause });
  }
  if (!isUnavailable(error)) {
    return new PromptgateError('internal', 'The database refused what the gateway asked of it.', { cause });
  }
  return doing === 'auditing'
    ? new PromptgateError(
        'audit_unavailable',
        'The audit record could not be written: the database is not available.',
        { cause },
      )
    : new PromptgateError('internal', 'The database is not available.', { cause });
}

/** An error of the first contact, which is about the address and not about the work: it says what to correct. */
export function toContactError(error: unknown): unknown {
  const state = sqlStateOf(error);
  const why = state.startsWith('28')
    ? 'refuses the user or the password'
    : state === '3D000'
      ? 'has no database of that name'
      : connectionCodes.test(codeOf(error))
        ? `cannot be reached (${codeOf(error)})`
        : undefined;
  if (why === undefined) return error;
  return new PromptgateError('invalid_request', `The server that DATABASE_URL names ${why}.`, {
    cause: scrub(error),
  });
}

/** SQLSTATE of a driver's error, e.g. `23505`; empty for any other. */
export function sqlStateOf(error: unknown): string {
  return error instanceof postgres.PostgresError ? error.code : '';
}

/**
 * How a store runs its work: within the pool's deadline, and with every failure as a store tells it.
 * @param deadlineMs past the server's own timeout, which says more; this is for a server that says nothing
 */
export function bindGuard(pool: Pool, deadlineMs: number = defaultStatementTimeoutMs + 2_000) {
  return async function guard<T>(
    doing: Parameters<typeof toStoreError>[1],
    work: () => Promise<T>,
    length = 0,
  ): Promise<T> {
    try {
      return await withinPool(pool, deadlineMs + transferMs(length), work);
    } catch (error) {
      throw toStoreError(error, doing);
    }
  };
}
