/** The wire form of suite files: what a sync is given, and what it made of them. */
import { z } from '@hono/zod-openapi';
import type { PlannedSuite, SyncedSuite } from '../application/sync-suites.ts';
import type { DefinitionIssue } from '../domain/definition.ts';
import { type Probe, probePolicies } from '../domain/probe.ts';

export function suitesSchema<Path extends z.ZodType<string>, Git extends z.ZodType>(path: Path, git: Git) {
  return z
    .array(
      z.strictObject({
        path,
        source: z.string(),
        files: z.record(z.string(), z.string()).default({}).openapi({
          description: 'Text of the files that it takes in, by path as seen from the suite.',
        }),
        git,
      }),
    )
    .max(10_000)
    .optional()
    .openapi({
      description:
        'All suites of the files: they are in force from the sync on. A probe whose suite is missing among them is ended; left out, nothing is said of suites.',
    });
}

export const positionSchema = z.object({
  file: z.string(),
  line: z.number().int(),
  column: z.number().int(),
  message: z.string(),
});

export function toPosition({ file, line, column, message }: DefinitionIssue): z.infer<typeof positionSchema> {
  return { file, line, column, message };
}

export const probeSchema = z
  .object({
    label: z.string(),
    schedule: z.string().openapi({ description: 'Cron, five fields, UTC.' }),
    budget: z.string().openapi({ description: 'The most that a run may cost.' }),
    daily_budget: z.string().nullable(),
    on_failure: z.enum(probePolicies),
  })
  .openapi('Probe');

export function toProbeView({
  label,
  schedule,
  budget,
  dailyBudget,
  onFailure,
}: Probe): z.infer<typeof probeSchema> {
  return { label, schedule, budget, daily_budget: dailyBudget, on_failure: onFailure };
}

const suiteShape = {
  path: z.string(),
  prompt: z.string().nullable(),
  suite: z.string().nullable(),
  checksum: z.string().nullable(),
  probe: probeSchema.nullable(),
  message: z.string().nullable(),
  issues: z.array(positionSchema),
  warnings: z.array(positionSchema),
};

export const plannedSuiteSchema = z
  .object({ ...suiteShape, state: z.enum(['new', 'unchanged', 'invalid', 'duplicate', 'forbidden']) })
  .openapi('PlannedSuite');

export const syncedSuiteSchema = z
  .object({
    ...suiteShape,
    outcome: z.enum(['synced', 'unchanged', 'failed']),
    error_code: z.string().nullable(),
  })
  .openapi('SyncedSuite');

export type PlannedSuiteView = z.infer<typeof plannedSuiteSchema>;
export type SyncedSuiteView = z.infer<typeof syncedSuiteSchema>;

export function toPlannedSuiteView({ state, ...planned }: PlannedSuite): PlannedSuiteView {
  return { ...toSuiteShape(planned), state };
}

export function toSyncedSuiteView({ outcome, errorCode, ...synced }: SyncedSuite): SyncedSuiteView {
  return { ...toSuiteShape(synced), outcome, error_code: errorCode };
}

function toSuiteShape({ file, suite, message, issues }: Omit<PlannedSuite, 'state'>) {
  return {
    path: file.path,
    prompt: suite?.promptName ?? null,
    suite: suite?.name ?? null,
    checksum: suite?.checksum ?? null,
    probe: suite?.probe ? toProbeView(suite.probe) : null,
    message,
    issues: issues.map(toPosition),
    warnings: (suite?.warnings ?? []).map(toPosition),
  };
}
