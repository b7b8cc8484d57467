/** Compares what the database says happened with what the provider's ledger and the callers know. */
import { createHash } from 'node:crypto';
import postgres from 'postgres';
import type { Call } from './gateway-process.ts';
import type { LedgerEntry } from './ledger-provider.ts';

export interface Trail {
  readonly executions: readonly {
    readonly id: string;
    readonly token: string;
    readonly status: string;
    readonly error_code: string | null;
    readonly raw_output: string | null;
    readonly response_hash: string | null;
    readonly attempts: number;
  }[];
  readonly intents: readonly { readonly id: string; readonly token: string; readonly attempt: number }[];
}

export async function readTrail(url: string): Promise<Trail> {
  const sql = postgres(url, { max: 1, fetch_types: false, onnotice: () => {} });
  try {
    const executions = await sql<Trail['executions'][number][]>`
      select id, status, error_code, raw_output, response_hash, json_array_length(attempts) as attempts,
             split_part(input_payload -> 'variables' ->> 'name', ' ', 1) as token
        from ai_executions`;
    const intents = await sql<Trail['intents'][number][]>`
      select id, attempt, split_part(input_payload -> 'variables' ->> 'name', ' ', 1) as token
        from ai_execution_intents`;
    return { executions: [...executions], intents: [...intents] };
  } finally {
    await sql.end();
  }
}

/** Everything that must not be. Each list is empty when the audit trail lost nothing, doubled nothing, invented nothing. */
interface Discrepancies {
  /** Requests that reached the provider without a record. */
  readonly unrecorded: string[];
  /** Calls with more than one outcome. */
  readonly doubled: string[];
  /** Calls with more requests at the provider than attempts in their record. */
  readonly overspent: string[];
  /** Answers that a caller was given and the trail does not hold, or holds otherwise. */
  readonly unkept: string[];
  /** Outcomes that say a provider answered which never was asked. */
  readonly invented: string[];
  /** Outcomes whose hash is not that of their output. */
  readonly altered: string[];
  /** Intents without an outcome. */
  readonly open: string[];
}

export const nothingWrong: Discrepancies = {
  unrecorded: [],
  doubled: [],
  overspent: [],
  unkept: [],
  invented: [],
  altered: [],
  open: [],
};

export function findDiscrepancies(
  trail: Trail,
  ledger: readonly LedgerEntry[],
  calls: readonly Call[],
): Discrepancies {
  const requests = Map.groupBy(ledger, ({ token }) => token);
  // A refusal without an attempt was never admitted: equal requests may be refused any number of times.
  const admitted = trail.executions.filter(({ status, attempts }) => status !== 'refused' || attempts > 0);
  const outcomes = Map.groupBy(admitted, ({ token }) => token);
  const intents = Map.groupBy(trail.intents, ({ token }) => token);
  const byId = new Map(trail.executions.map((execution) => [execution.id, execution]));
  const wrong = Object.fromEntries(Object.keys(nothingWrong).map((name) => [name, [] as string[]]));
  const note = (name: keyof Discrepancies, what: string) => wrong[name]?.push(what);

  for (const [token, sent] of requests) {
    const recorded = outcomes.get(token)?.[0];
    if (!recorded && !intents.has(token)) note('unrecorded', token);
    if (recorded && sent.length > recorded.attempts) {
      note('overspent', `${token}: ${sent.length} requests, ${recorded.status} with ${recorded.attempts}`);
    }
  }
  for (const [token, rows] of outcomes) {
    if (rows.length > 1) note('doubled', `${token}: ${rows.map(({ status }) => status).join(', ')}`);
    if (rows[0]?.status === 'succeeded' && !requests.has(token)) note('invented', token);
  }
  for (const { id, raw_output, response_hash } of trail.executions) {
    if (raw_output !== null && sha256(raw_output) !== response_hash) note('altered', id);
  }
  for (const { id, token, status, output } of calls) {
    const row = id === null ? undefined : byId.get(id);
    if (status === 200 && (row?.status !== 'succeeded' || row.raw_output !== output)) {
      note('unkept', `${token}: told ${status}, the trail says ${row?.status ?? 'nothing'}`);
    }
    if (status !== 200 && id !== null && !row && !intents.has(token))
      note('unkept', `${token}: told ${status}`);
  }
  for (const { token, attempt } of trail.intents) note('open', `${token} attempt ${attempt}`);
  return wrong as unknown as Discrepancies;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
