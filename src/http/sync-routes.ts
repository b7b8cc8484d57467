import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { FileCommit } from '../application/definition-set.ts';
import type { Gateway } from '../application/gateway.ts';
import type { PlannedMove, SyncPlan } from '../application/plan-sync.ts';
import type { SyncReport } from '../application/sync-prompts.ts';
import type { DefinitionDiff } from '../domain/definition-diff.ts';
import { labelGrammar, labelPattern } from '../domain/names.ts';
import { requireScope } from './authenticate.ts';
import type { HttpEnvironment } from './context.ts';
import { deploymentSchema, reasonSchema, toDeploymentView } from './prompt-view.ts';
import { addRoute, readBody } from './route.ts';
import {
  plannedSuiteSchema,
  positionSchema,
  suitesSchema,
  syncedSuiteSchema,
  toPlannedSuiteView,
  toPosition,
  toSyncedSuiteView,
} from './suite-view.ts';

const gitSchema = z
  .strictObject({
    commit: z.string().regex(/^[0-9a-f]{7,64}$/),
    message: z.string().max(10_000),
    author: z.string().max(1_000),
  })
  .optional()
  .openapi({ description: 'The commit that the file is from as it is.' });

const path = z.string().min(1).max(1_000);
const filesSchema = z.array(z.strictObject({ path, source: z.string(), git: gitSchema })).max(10_000);

const label = z.string().regex(labelPattern, labelGrammar);

const planBodySchema = z
  .strictObject({
    files: filesSchema,
    suites: suitesSchema(path, gitSchema),
    allow_backfill: z.boolean().optional(),
    deploy: z.strictObject({ label }).optional(),
  })
  .openapi('PlanRequest');

const syncBodySchema = z
  .strictObject({
    files: filesSchema,
    suites: suitesSchema(path, gitSchema),
    git_commit: z
      .string()
      .max(64)
      .nullable()
      .optional()
      .openapi({ description: 'Commit that the whole tree is at; it goes into the ledger.' }),
    allow_backfill: z
      .boolean()
      .optional()
      .openapi({ description: 'Takes new versions with an older number than the newest.' }),
    deploy: z
      .strictObject({ label, reason: reasonSchema.optional() })
      .optional()
      .openapi({ description: 'Moves the label to the highest version of each prompt in the files.' }),
  })
  .openapi('SyncRequest');

export const differenceSchema = z
  .object({
    identical: z.boolean(),
    texts: z.array(
      z.object({
        title: z.string(),
        segments: z.array(z.object({ kind: z.enum(['same', 'removed', 'added']), text: z.string() })),
      }),
    ),
    parameters: z.array(z.object({ name: z.string(), before: z.unknown(), after: z.unknown() })),
    contract: z.array(
      z.object({ path: z.string(), change: z.string(), breaking: z.boolean(), message: z.string() }),
    ),
  })
  .openapi('DefinitionDiff');

const moveSchema = z.object({
  prompt: z.string(),
  label: z.string(),
  from_version: z.number().int().nullable(),
  to_version: z.number().int(),
});

const fileShape = {
  path: z.string(),
  name: z.string().nullable(),
  version: z.number().int().nullable(),
  message: z.string().nullable(),
  issues: z.array(positionSchema),
  warnings: z.array(positionSchema),
  difference: differenceSchema.nullable(),
};

const planSchema = z
  .object({
    files: z.array(
      z.object({
        ...fileShape,
        checksum: z.string().nullable(),
        state: z.enum(['new', 'unchanged', 'modified', 'backfill', 'invalid', 'duplicate', 'forbidden']),
      }),
    ),
    prompts: z.array(
      z.object({
        name: z.string(),
        newest_in_files: z.number().int().nullable(),
        newest_registered: z.number().int().nullable(),
        gaps: z.array(z.number().int()),
      }),
    ),
    moves: z.array(
      moveSchema.extend({
        message: z
          .string()
          .nullable()
          .openapi({ description: 'Why the label would stay; null: it would move.' }),
      }),
    ),
    suites: z.array(plannedSuiteSchema),
  })
  .openapi('SyncPlan');

const syncReportSchema = z
  .object({
    files: z.array(
      z.object({
        ...fileShape,
        outcome: z.enum(['synced', 'unchanged', 'skipped', 'failed']),
        error_code: z.string().nullable(),
      }),
    ),
    deployments: z.array(deploymentSchema),
    refusals: z.array(moveSchema.extend({ message: z.string() })),
    suites: z.array(syncedSuiteSchema),
    retired_probes: z.array(z.string()),
  })
  .openapi('SyncReport');

export type SyncPlanView = z.infer<typeof planSchema>;
export type SyncReportView = z.infer<typeof syncReportSchema>;
export type DifferenceView = z.infer<typeof differenceSchema>;

export function addSyncRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/plan',
      summary: 'Say what a sync of these files would do, and where files and registry differ',
      tag: 'prompts',
      scope: 'publish',
      body: planBodySchema,
      response: planSchema,
    },
    async (c) => {
      const body = await readBody(c, planBodySchema);
      const plan = await gateway.planSync({
        actor: c.get('actor'),
        files: toFiles(body.files),
        ...(body.suites ? { suites: toFiles(body.suites) } : {}),
        allowBackfill: body.allow_backfill ?? false,
        ...(body.deploy ? { deploy: body.deploy.label } : {}),
      });
      return c.json(toPlanView(plan));
    },
  );
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/sync',
      summary: 'Turn definition files into versions',
      tag: 'prompts',
      scope: 'publish',
      body: syncBodySchema,
      response: syncReportSchema,
    },
    async (c) => {
      const actor = c.get('actor');
      const body = await readBody(c, syncBodySchema);
      if (body.deploy) requireScope(actor, 'deploy');
      const report = await gateway.syncPrompts({
        files: toFiles(body.files),
        ...(body.suites ? { suites: toFiles(body.suites) } : {}),
        actor,
        gitCommit: body.git_commit ?? null,
        allowBackfill: body.allow_backfill ?? false,
        ...(body.deploy ? { deploy: { label: body.deploy.label, reason: body.deploy.reason ?? null } } : {}),
      });
      return c.json(toSyncReportView(report));
    },
  );
}

/** Absent and `undefined` are one thing on the wire. */
function toFiles<T extends { git?: FileCommit | undefined }>(
  files: readonly T[],
): (Omit<T, 'git'> & { git?: FileCommit })[] {
  return files.map(({ git, ...file }) => ({ ...file, ...(git ? { git } : {}) }));
}

function toPlanView(plan: SyncPlan): SyncPlanView {
  return {
    files: plan.files.map(({ entry, state, message, issues, warnings, difference }) => ({
      path: entry.file.path,
      name: entry.identity?.name ?? null,
      version: entry.identity?.version ?? null,
      checksum: entry.identity?.checksum ?? null,
      state,
      message,
      issues: issues.map(toPosition),
      warnings: warnings.map(toPosition),
      difference: toDifferenceView(difference),
    })),
    prompts: plan.prompts.map((prompt) => ({
      name: prompt.name,
      newest_in_files: prompt.newestInFiles,
      newest_registered: prompt.newestRegistered,
      gaps: [...prompt.gaps],
    })),
    moves: plan.moves.map((move) => ({ ...toMoveView(move), message: move.message })),
    suites: plan.suites.map(toPlannedSuiteView),
  };
}

export function toSyncReportView(report: SyncReport): SyncReportView {
  return {
    files: report.files.map(({ errorCode, ...file }) => ({
      ...file,
      error_code: errorCode,
      issues: file.issues.map(toPosition),
      warnings: file.warnings.map(toPosition),
      difference: toDifferenceView(file.difference),
    })),
    deployments: report.deployments.map(toDeploymentView),
    refusals: report.refusals.map((refusal) => ({ ...toMoveView(refusal), message: refusal.message })),
    suites: report.suites.map(toSyncedSuiteView),
    retired_probes: [...report.retiredProbes],
  };
}

function toMoveView(move: PlannedMove): z.infer<typeof moveSchema> {
  return {
    prompt: move.promptName,
    label: move.label,
    from_version: move.fromVersion,
    to_version: move.toVersion,
  };
}

export function toDifferenceView(difference: DefinitionDiff | null): DifferenceView | null {
  return (
    difference && {
      identical: difference.identical,
      texts: difference.texts.map(({ title, segments }) => ({ title, segments: [...segments] })),
      parameters: [...difference.parameters],
      contract: [...difference.contract],
    }
  );
}
