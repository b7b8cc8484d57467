/** What drift reads of `ai_executions`, and what it writes beside it. */
import { z } from 'zod';
import type { DriftRun, DriftStore, StoredDriftFinding } from '../application/drift-store.ts';
import { hashJson } from '../domain/canonical-json.ts';
import type { DriftCoverage, DriftFinding } from '../domain/drift.ts';
import { type DriftSample, describeOutput } from '../domain/drift-sample.ts';
import { driftDetectors } from '../domain/drift-signal.ts';
import { type ErrorCode, errorTable } from '../domain/errors.ts';
import { executionStatuses, finishReasons } from '../domain/execution.ts';
import { bindGuard, type Pool } from './connection.ts';
import { priceSchema } from './execution-rows.ts';
import type { QueryCatalog, Row } from './query-catalog.ts';
import { inTransaction } from './transaction.ts';

/** Of a window at most slices × perSlice executions are read. */
const slices = 24;
const perSlice = 40;

const text = z.string().nullable();
const count = z.union([z.number(), z.string().transform(Number)]).nullable();
const subjectColumns = {
  prompt_name: z.string(),
  prompt_version: z.number(),
  purpose: z.enum(['call', 'probe']),
  simulated: z.boolean(),
  provider: z.string(),
  model: z.string(),
};

const sampleSchema = z.object({
  ...subjectColumns,
  id: z.string(),
  started_at: z.date(),
  status: z.enum(executionStatuses),
  error_code: z.enum(Object.keys(errorTable) as [ErrorCode, ...ErrorCode[]]).nullable(),
  variables_hash: text,
  rendered_hash: text,
  parameters: z.record(z.string(), z.unknown()),
  response_hash: text,
  response_model: text,
  system_fingerprint: text,
  finish_reason: z.enum(finishReasons).nullable(),
  prompt_tokens: count,
  completion_tokens: count,
  latency_ms: z.number(),
  cost: z.number().nullable(),
  currency: z.string(),
  price: priceSchema,
  output_length: z.number().nullable(),
  whole: z.boolean().nullable(),
  output: text,
});

const findingSchema = z.object({
  ...subjectColumns,
  id: z.number(),
  run_id: z.string(),
  detector: z.enum(driftDetectors),
  measure: z.string(),
  p_value: z.number().nullable(),
  corrected_p: z.number().nullable(),
  effect: z.number(),
  baseline_count: z.number(),
  now_count: z.number(),
  before: z.string(),
  after: z.string(),
  evidence_before: text,
  evidence_after: text,
  known_since: z.date().nullable(),
  created_at: z.date(),
});

const runSchema = z.object({
  id: z.string(),
  actor: z.string(),
  due_at: z.date().nullable(),
  prompt_name: text,
  baseline_since: z.date(),
  since: z.date(),
  until: z.date(),
  tests: z.number(),
  compared: z.array(z.custom<DriftCoverage>()),
});

export function createDriftStore(pool: Pool, queries: QueryCatalog): DriftStore {
  const sampleDrift = queries.bind('sampleDrift');
  const insertRun = queries.bind('insertDriftRun');
  const insertFindings = queries.bind('insertDriftFindings');
  const listFindings = queries.bind('listDriftFindings');
  const listUntakenRuns = queries.bind('listUntakenDriftRuns');
  const listFindingsOf = queries.bind('listDriftFindingsOfRun');
  const guard = bindGuard(pool);

  return {
    sample: (promptName, since, until) =>
      guard('reading', async () =>
        (await sampleDrift(pool.sql, promptName, since, until, slices, perSlice)).map(toSample),
      ),
    record: (run, findings) =>
      guard('auditing', async () => {
        const { baselineSince, since, until } = run;
        const rows: Row[] | null = await inTransaction(pool.sql, async (tx) => {
          const [isNew] = await insertRun(
            tx,
            ...[run.id, run.actor, run.promptName, baselineSince, since, until, run.tests],
            ...[JSON.stringify(run.compared), run.dueAt],
          );
          if (!isNew) return null;
          return insertFindings(tx, run.id, JSON.stringify(findings.map(fromFinding)));
        });
        return rows && [...rows].map(toFinding).sort((a, b) => a.id - b.id);
      }),
    listUntaken: (afterMs) =>
      guard('reading', async () => {
        const runs = (await listUntakenRuns(pool.sql, afterMs / 1_000)).map(toRun);
        return Promise.all(
          runs.map(async (run) => ({
            run,
            findings: (await listFindingsOf(pool.sql, run.id)).map(toFinding),
          })),
        );
      }),
    listFindings: ({ promptName, since }, { limit, before }) =>
      guard('reading', async () =>
        (await listFindings(pool.sql, promptName ?? null, since ?? null, before ?? null, limit)).map(
          toFinding,
        ),
      ),
  };
}

function toSample(row: Row): DriftSample {
  const read = sampleSchema.parse(row);
  const {
    prompt_name: promptName,
    prompt_version: promptVersion,
    purpose,
    simulated,
    provider,
    model,
  } = read;
  return {
    ...{ id: read.id, promptName, promptVersion, purpose, simulated, provider, model },
    startedAt: read.started_at,
    status: read.status,
    errorCode: read.error_code,
    // The rendered hash has the messages that were sent; the same text may come of other variables.
    inputHash: hashJson([read.variables_hash, read.rendered_hash, read.parameters]),
    deterministic: read.parameters.temperature === 0,
    responseHash: read.response_hash,
    responseModel: read.response_model,
    systemFingerprint: read.system_fingerprint,
    finishReason: read.finish_reason,
    promptTokens: read.prompt_tokens,
    completionTokens: read.completion_tokens,
    latencyMs: read.latency_ms,
    cost: read.cost,
    currency: read.currency,
    unitPrices: read.cost === null ? null : flatten(read.price.unitPrices),
    outputLength: read.output_length,
    ...describeOutput(read.finish_reason, read.whole ? read.output : null, read.output ?? ''),
  };
}

/** Unit prices stand by kind, or by model and then by kind; another name of the model alone is no other price. */
function flatten(prices: unknown, kind = ''): Record<string, string> {
  if (typeof prices !== 'object' || prices === null) return kind === '' ? {} : { [kind]: String(prices) };
  const parts = Object.entries(prices).map(([key, value]) => flatten(value, key));
  return Object.assign({}, ...parts) as Record<string, string>;
}

function fromFinding(finding: DriftFinding): Row {
  return {
    prompt_name: finding.promptName,
    prompt_version: finding.promptVersion,
    purpose: finding.purpose,
    simulated: finding.simulated,
    provider: finding.provider,
    model: finding.model,
    detector: finding.detector,
    measure: finding.measure,
    p_value: finding.pValue,
    corrected_p: finding.correctedP,
    effect: finding.effect,
    baseline_count: finding.baselineCount,
    now_count: finding.nowCount,
    before: finding.before,
    after: finding.after,
    evidence_before: finding.evidence.before,
    evidence_after: finding.evidence.after,
    new_values: finding.newValues ?? null,
  };
}

function toRun(row: Row): DriftRun {
  const { due_at, prompt_name, baseline_since, ...read } = runSchema.parse(row);
  return { ...read, dueAt: due_at, promptName: prompt_name, baselineSince: baseline_since };
}

function toFinding(row: Row): StoredDriftFinding {
  const read = findingSchema.parse(row);
  return {
    id: read.id,
    runId: read.run_id,
    promptName: read.prompt_name,
    promptVersion: read.prompt_version,
    purpose: read.purpose,
    simulated: read.simulated,
    provider: read.provider,
    model: read.model,
    detector: read.detector,
    measure: read.measure,
    pValue: read.p_value,
    correctedP: read.corrected_p,
    effect: read.effect,
    baselineCount: read.baseline_count,
    nowCount: read.now_count,
    before: read.before,
    after: read.after,
    evidence: { before: read.evidence_before, after: read.evidence_after },
    knownSince: read.known_since,
    createdAt: read.created_at,
  };
}
