/** Gates over HTTP: what a label asks of a version, and how what it holds stands to that. */
import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import { noRequirements } from '../domain/gate.ts';
import type { HttpEnvironment } from './context.ts';
import {
  fromRequirementsView,
  labelGateSchema,
  policySchema,
  requirementsSchema,
  toLabelGateView,
  toPolicyView,
  toRequirementsView,
} from './gate-view.ts';
import { reasonSchema } from './prompt-view.ts';
import { addRoute, pathParam, readBody } from './route.ts';

const gateBodySchema = z
  .strictObject({
    prompt: z.string().optional().openapi({ description: 'The policy of this prompt alone.' }),
    gated: z
      .boolean()
      .nullable()
      .optional()
      .openapi({ description: 'Null, of one prompt: as the label of every prompt.' }),
    requirements: requirementsSchema.partial().optional().openapi({
      description: 'What is left out stays as it is; null is not asked for any more.',
    }),
    keys: z.array(z.string().min(1).max(64)).max(100).nullable().optional().openapi({
      description: 'Names of the keys that alone may move the label; null: every key with the scope.',
    }),
    reason: reasonSchema.optional(),
  })
  .openapi('GateRequest');

const gateSchema = z
  .object({
    gated: z.boolean(),
    requirements: requirementsSchema,
    movers: z.array(z.string()).nullable(),
    labels: z.array(labelGateSchema).openapi({ description: 'The prompts that have the label.' }),
    data: z.array(policySchema).openapi({ description: 'Every change, newest first.' }),
  })
  .openapi('Gate');

const params = z.object({ label: z.string() });

export function addGateRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/labels/{label}/gate',
      summary: 'What a label asks of a version, who may move it, how what it holds stands to that',
      tag: 'labels',
      params,
      response: gateSchema,
    },
    async (c) => {
      const { policies, gates } = await gateway.readGate(c.get('actor'), pathParam(c, 'label'));
      const policy = policies.find(({ promptName }) => promptName === null);
      return c.json({
        gated: policy?.gated ?? false,
        requirements: toRequirementsView(policy?.requirements ?? noRequirements),
        movers: policy?.movers ?? null,
        labels: gates.map(toLabelGateView),
        data: policies.map(toPolicyView),
      });
    },
  );
  addRoute(
    app,
    {
      method: 'put',
      path: '/v1/labels/{label}/gate',
      summary: 'Gate a label or open it, say what it asks of a version and which keys may move it',
      tag: 'labels',
      scope: 'admin',
      params,
      body: gateBodySchema,
      response: z.object({ changed: z.boolean(), policy: policySchema.nullable() }),
    },
    async (c) => {
      const { prompt, gated, requirements, keys, reason = null } = await readBody(c, gateBodySchema);
      const policy = await gateway.gateLabel({
        actor: c.get('actor'),
        label: pathParam(c, 'label'),
        ...(prompt === undefined ? {} : { promptName: prompt }),
        ...(gated === undefined ? {} : { gated }),
        ...(requirements === undefined ? {} : { requirements: fromRequirementsView(requirements) }),
        ...(keys === undefined ? {} : { keys }),
        reason,
      });
      return c.json({ changed: policy !== null, policy: policy && toPolicyView(policy) });
    },
  );
}
