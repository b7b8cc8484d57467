import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import type { SyncReport } from '../application/sync-prompts.ts';
import type { HttpEnvironment } from './context.ts';
import {
  deploymentSchema,
  promptSchema,
  toDeploymentView,
  toPromptView,
  toVersionView,
  versionSchema,
} from './prompt-view.ts';
import { addRoute, pathParam, readBody } from './route.ts';

const promptDetailSchema = promptSchema.extend({ versions: z.array(versionSchema) }).openapi('PromptDetail');

const position = z.object({
  file: z.string(),
  line: z.number().int(),
  column: z.number().int(),
  message: z.string(),
});

const syncBodySchema = z
  .strictObject({
    files: z.array(z.strictObject({ path: z.string().min(1).max(1_000), source: z.string() })).max(10_000),
    git_commit: z.string().max(64).nullable().optional(),
  })
  .openapi('SyncRequest');

export const syncReportSchema = z
  .object({
    files: z.array(
      z.object({
        path: z.string(),
        name: z.string().nullable(),
        version: z.number().int().nullable(),
        outcome: z.enum(['synced', 'unchanged', 'failed']),
        message: z.string().nullable(),
        issues: z.array(position),
        warnings: z.array(position),
      }),
    ),
    deployments: z.array(deploymentSchema),
  })
  .openapi('SyncReport');

export function addPromptRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  const nameParam = z.object({ name: z.string() });
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/prompts',
      summary: 'List prompts with their labels',
      tag: 'prompts',
      response: z.object({ data: z.array(promptSchema) }),
    },
    (c) => c.json({ data: gateway.listPrompts(c.get('actor')).map(toPromptView) }),
  );
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/prompts/{name}',
      summary: 'Read one prompt and its versions, newest first',
      tag: 'prompts',
      params: nameParam,
      response: promptDetailSchema,
    },
    (c) => {
      const entry = gateway.getPrompt(c.get('actor'), pathParam(c, 'name'));
      const versions = [...entry.versions.values()].sort((a, b) => b.version - a.version);
      return c.json({
        ...toPromptView(entry),
        versions: versions.map((version) => toVersionView(version, entry)),
      });
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
      const body = await readBody(c, syncBodySchema);
      const report = await gateway.syncPrompts({
        files: body.files,
        actor: c.get('actor'),
        gitCommit: body.git_commit ?? null,
      });
      return c.json(toSyncReportView(report));
    },
  );
}

export function toSyncReportView(report: SyncReport): z.infer<typeof syncReportSchema> {
  return {
    files: report.files.map((file) => ({
      path: file.path,
      name: file.name,
      version: file.version,
      outcome: file.outcome,
      message: file.message,
      issues: [...file.issues],
      warnings: [...file.warnings],
    })),
    deployments: report.deployments.map(toDeploymentView),
  };
}
