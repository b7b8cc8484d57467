/** Labels over HTTP: move, roll back, what they hold and held, their ledger. */
import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import { maxVersionNumber } from '../domain/names.ts';
import { requireScope } from './authenticate.ts';
import type { HttpEnvironment } from './context.ts';
import { deploymentSchema, labelSchema, reasonSchema, toDeploymentView, toLabelView } from './prompt-view.ts';
import { addRoute, pathParam, readBody, readQuery } from './route.ts';

const version = z.number().int().min(1).max(maxVersionNumber);

const moveBodySchema = z
  .strictObject({
    version,
    expected_version: version
      .nullable()
      .optional()
      .openapi({ description: 'Version you believe the label holds; a conflict when it holds another.' }),
    reason: reasonSchema.optional(),
    breaking: z.boolean().default(false).openapi({
      description: 'Move although the contract breaks: callers of the version that the label holds may fail.',
    }),
    break_glass: z.boolean().default(false).openapi({
      description:
        'Move past a gate that has no evidence; wants a reason and the scope `break_glass`, and shows until the version has passed.',
    }),
    git_commit: z.string().max(64).optional(),
  })
  .openapi('MoveLabelRequest');

const rollbackBodySchema = z
  .strictObject({
    version: version
      .optional()
      .openapi({ description: 'A version that the label held; default: what ran before.' }),
    expected_version: version.optional().openapi({
      description: 'Version you want to get away from; a conflict when the label holds another.',
    }),
    reason: reasonSchema.optional(),
  })
  .openapi('RollbackRequest');

const labelsQuerySchema = z.strictObject({
  at: z.iso
    .datetime({ offset: true })
    .optional()
    .openapi({ description: 'What labels held then; default: now.' }),
  prompt: z.string().optional(),
});

const historyQuerySchema = z.strictObject({
  label: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.coerce.number().int().min(1).optional(),
});

export function addLabelRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  addMoves(app, gateway);
  addReads(app, gateway);
}

const labelParams = z.object({ name: z.string(), label: z.string() });

function addMoves(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  addRoute(
    app,
    {
      method: 'put',
      path: '/v1/prompts/{name}/labels/{label}',
      summary: 'Point a label at a version',
      tag: 'labels',
      scope: 'deploy',
      params: labelParams,
      body: moveBodySchema,
      response: z.object({ moved: z.boolean(), deployment: deploymentSchema.nullable() }),
    },
    async (c) => {
      const body = await readBody(c, moveBodySchema);
      if (body.break_glass) requireScope(c.get('actor'), 'break_glass');
      const deployment = await gateway.moveLabel({
        actor: c.get('actor'),
        promptName: pathParam(c, 'name'),
        label: pathParam(c, 'label'),
        version: body.version,
        ...(body.expected_version === undefined ? {} : { expectedVersion: body.expected_version }),
        breaking: body.breaking,
        breakGlass: body.break_glass,
        reason: body.reason ?? null,
        gitCommit: body.git_commit ?? null,
      });
      return c.json({ moved: deployment !== null, deployment: deployment && toDeploymentView(deployment) });
    },
  );
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/prompts/{name}/labels/{label}/rollback',
      summary: 'Put a label back to what its ledger says ran before',
      tag: 'labels',
      scope: 'deploy',
      params: labelParams,
      body: rollbackBodySchema,
      response: z.object({ deployment: deploymentSchema }),
    },
    async (c) => {
      const body = await readBody(c, rollbackBodySchema);
      const deployment = await gateway.rollBack({
        actor: c.get('actor'),
        promptName: pathParam(c, 'name'),
        label: pathParam(c, 'label'),
        ...(body.version === undefined ? {} : { version: body.version }),
        ...(body.expected_version === undefined ? {} : { expectedVersion: body.expected_version }),
        reason: body.reason ?? null,
      });
      return c.json({ deployment: toDeploymentView(deployment) });
    },
  );
}

function addReads(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/labels',
      summary: 'What every label holds, or held at a time: since when, who, why',
      tag: 'labels',
      query: labelsQuerySchema,
      response: z.object({ at: z.iso.datetime(), data: z.array(labelSchema) }),
    },
    async (c) => {
      const query = readQuery(c, labelsQuerySchema);
      const at = query.at === undefined ? null : new Date(query.at);
      const held = await gateway.labelsAt(c.get('actor'), {
        at,
        ...(query.prompt === undefined ? {} : { promptName: query.prompt }),
      });
      return c.json({ at: (at ?? new Date()).toISOString(), data: held.map(toLabelView) });
    },
  );
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/prompts/{name}/history',
      summary: 'Every move of the labels of a prompt, newest first',
      tag: 'labels',
      params: z.object({ name: z.string() }),
      query: historyQuerySchema,
      response: z.object({ data: z.array(deploymentSchema), next_cursor: z.number().int().nullable() }),
    },
    async (c) => {
      const { label, limit, cursor } = readQuery(c, historyQuerySchema);
      const { deployments, nextCursor } = await gateway.labelHistory(c.get('actor'), {
        promptName: pathParam(c, 'name'),
        ...(label === undefined ? {} : { label }),
        limit,
        ...(cursor === undefined ? {} : { before: cursor }),
      });
      return c.json({ data: deployments.map(toDeploymentView), next_cursor: nextCursor });
    },
  );
}
