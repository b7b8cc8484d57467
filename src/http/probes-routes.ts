/** Probes: what is in force, and a run now. */
import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import { PromptgateError } from '../domain/errors.ts';
import { defaultSuiteName } from '../domain/evaluation-suite.ts';
import type { HttpEnvironment } from './context.ts';
import { probeRunSchema, probeStateSchema, toProbeRunView, toProbeStateView } from './probe-view.ts';
import { addRoute, readBody } from './route.ts';

const runRequestSchema = z
  .strictObject({
    prompt: z.string().min(1).max(200),
    suite: z.string().min(1).max(200).default(defaultSuiteName),
  })
  .openapi('ProbeRunRequest');

export function addProbesRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/probes',
      summary: 'Probes in force, each with its last run',
      tag: 'probes',
      scope: 'admin',
      response: z.object({ data: z.array(probeStateSchema) }),
    },
    async (c) => c.json({ data: (await gateway.listProbeStates()).map(toProbeStateView) }),
  );
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/probes/runs',
      summary: 'Runs a probe now, whatever its schedule says',
      tag: 'probes',
      scope: 'admin',
      body: runRequestSchema,
      response: probeRunSchema,
    },
    async (c) => {
      const { prompt, suite } = await readBody(c, runRequestSchema);
      const report = await gateway.runProbe({
        actor: c.get('actor'),
        promptName: prompt,
        suite,
        dueAt: null,
        requestId: c.get('requestId'),
        signal: c.req.raw.signal,
      });
      if (!report) throw new PromptgateError('internal', 'The run has no outcome.');
      return c.json(toProbeRunView(report));
    },
  );
}
