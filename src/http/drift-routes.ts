/** Drift: a run over the trail, and what runs found. */
import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import type { HttpEnvironment } from './context.ts';
import { findingSchema, runSchema, toFindingView, toRunView } from './drift-view.ts';
import { addRoute, readBody, readQuery } from './route.ts';

const time = z.iso.datetime({ offset: true });
const name = z.string().min(1).max(200);

const runRequestSchema = z
  .strictObject({
    prompt: name.optional().openapi({ description: 'Default: every prompt.' }),
    since: time.optional().openapi({ description: 'Default: a day before the end.' }),
    until: time.optional().openapi({ description: 'Default: now.' }),
    baseline_since: time.optional().openapi({ description: 'Default: 7 days before `since`.' }),
  })
  .openapi('DriftRunRequest');

const querySchema = z.strictObject({
  prompt: name.optional(),
  since: time.optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  before: z.coerce.number().int().min(1).optional().openapi({ description: 'Findings before this id.' }),
});

const listSchema = z.object({ data: z.array(findingSchema) });

export function addDriftRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/drift/runs',
      summary: 'Compares what prompts did lately with what they did before, and records what it found',
      tag: 'drift',
      scope: 'admin',
      body: runRequestSchema,
      response: runSchema,
    },
    async (c) => {
      const { prompt, since, until, baseline_since } = await readBody(c, runRequestSchema);
      const report = await gateway.detectDrift({
        actor: c.get('actor'),
        ...(prompt === undefined ? {} : { promptName: prompt }),
        ...(since === undefined ? {} : { since: new Date(since) }),
        ...(until === undefined ? {} : { until: new Date(until) }),
        ...(baseline_since === undefined ? {} : { baselineSince: new Date(baseline_since) }),
      });
      return c.json(toRunView(report));
    },
  );
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/drift/findings',
      summary: 'What runs of drift detection found, newest first',
      tag: 'drift',
      scope: 'admin',
      query: querySchema,
      response: listSchema,
    },
    async (c) => {
      const { prompt, since, limit, before } = readQuery(c, querySchema);
      const findings = await gateway.listDriftFindings(
        {
          ...(prompt === undefined ? {} : { promptName: prompt }),
          ...(since === undefined ? {} : { since: new Date(since) }),
        },
        { limit, ...(before === undefined ? {} : { before }) },
      );
      return c.json({ data: findings.map(toFindingView) });
    },
  );
}
