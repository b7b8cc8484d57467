import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import type { PromptEntry } from '../application/registry-snapshot.ts';
import type { SyncReport } from '../application/sync-prompts.ts';
import { PromptgateError } from '../domain/errors.ts';
import type { Deployment, PromptVersion } from '../domain/prompt-version.ts';
import { requireScope } from './authenticate.ts';
import type { HttpEnvironment } from './context.ts';
import { addRoute, readBody } from './route.ts';

const promptSchema = z
  .object({
    name: z.string(),
    latest_version: z.number().int(),
    description: z.string().nullable(),
    model: z.string(),
    labels: z.record(z.string(), z.number().int()),
  })
  .openapi('Prompt');

const versionSchema = z
  .object({
    version: z.number().int(),
    model: z.string(),
    parameters: z.record(z.string(), z.unknown()),
    messages: z.array(z.object({ role: z.string(), template: z.string() })),
    input_schema: z.record(z.string(), z.unknown()),
    output_format: z.enum(['text', 'json']),
    output_schema: z.record(z.string(), z.unknown()).nullable(),
    checksum: z.string(),
    description: z.string().nullable(),
    author: z.string().nullable(),
    path: z.string().nullable(),
    git_commit: z.string().nullable(),
    created_at: z.iso.datetime(),
  })
  .openapi('PromptVersion');

const promptDetailSchema = promptSchema.extend({ versions: z.array(versionSchema) }).openapi('PromptDetail');

const deploymentSchema = z
  .object({
    id: z.number().int(),
    prompt: z.string(),
    label: z.string(),
    kind: z.enum(['deploy', 'rollback', 'sync']),
    from_version: z.number().int().nullable(),
    to_version: z.number().int(),
    actor: z.string(),
    reason: z.string().nullable(),
    created_at: z.iso.datetime(),
  })
  .openapi('Deployment');

const moveBodySchema = z
  .strictObject({
    version: z.number().int().min(1),
    expected_version: z
      .number()
      .int()
      .min(1)
      .nullable()
      .optional()
      .openapi({ description: 'Version you believe the label holds; a conflict when it holds another.' }),
    reason: z.string().max(2_000).optional(),
  })
  .openapi('MoveLabelRequest');

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
    (c) => c.json({ data: gateway.listPrompts().map(toPromptView) }),
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
      const entry = gateway.findPrompt(c.req.param('name') ?? '');
      if (!entry) throw new PromptgateError('not_found', 'There is no prompt of that name.');
      const versions = [...entry.versions.values()].sort((a, b) => b.version - a.version);
      return c.json({ ...toPromptView(entry), versions: versions.map(toVersionView) });
    },
  );
  addRoute(
    app,
    {
      method: 'put',
      path: '/v1/prompts/{name}/labels/{label}',
      summary: 'Point a label at a version',
      tag: 'prompts',
      params: nameParam.extend({ label: z.string() }),
      body: moveBodySchema,
      response: z.object({ moved: z.boolean(), deployment: deploymentSchema.nullable() }),
    },
    async (c) => {
      requireScope(c.get('actor'), 'admin');
      const body = await readBody(c, moveBodySchema);
      const deployment = await gateway.moveLabel({
        actor: c.get('actor'),
        promptName: c.req.param('name') ?? '',
        label: c.req.param('label') ?? '',
        version: body.version,
        ...(body.expected_version === undefined ? {} : { expectedVersion: body.expected_version }),
        reason: body.reason ?? null,
      });
      return c.json({ moved: deployment !== null, deployment: deployment && toDeploymentView(deployment) });
    },
  );
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/sync',
      summary: 'Turn definition files into versions',
      tag: 'prompts',
      body: syncBodySchema,
      response: syncReportSchema,
    },
    async (c) => {
      requireScope(c.get('actor'), 'admin');
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

function toPromptView(entry: PromptEntry): z.infer<typeof promptSchema> {
  const latest = entry.versions.get(entry.latestVersion);
  return {
    name: entry.name,
    latest_version: entry.latestVersion,
    description: latest?.description ?? null,
    model: latest?.model ?? '',
    labels: Object.fromEntries([...entry.labels.values()].map((label) => [label.label, label.version])),
  };
}

function toVersionView(version: PromptVersion): z.infer<typeof versionSchema> {
  return {
    version: version.version,
    model: version.model,
    parameters: { ...version.parameters },
    messages: [...version.messages],
    input_schema: version.inputSchema,
    output_format: version.outputFormat,
    output_schema: version.outputSchema,
    checksum: version.checksum,
    description: version.description,
    author: version.author,
    path: version.path,
    git_commit: version.gitCommit,
    created_at: version.createdAt.toISOString(),
  };
}

function toDeploymentView(deployment: Deployment): z.infer<typeof deploymentSchema> {
  return {
    id: deployment.id,
    prompt: deployment.promptName,
    label: deployment.label,
    kind: deployment.kind,
    from_version: deployment.fromVersion,
    to_version: deployment.toVersion,
    actor: deployment.actor,
    reason: deployment.reason,
    created_at: deployment.createdAt.toISOString(),
  };
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
