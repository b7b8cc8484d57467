/** Probes: what is in force, and a run now. */
import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import type { ProbeRequest } from '../application/run-probe.ts';
import { PromptgateError } from '../domain/errors.ts';
import { defaultSuiteName } from '../domain/evaluation-suite.ts';
import type { HttpEnvironment } from './context.ts';
import type { ErrorLog } from './error-response.ts';
import { trialProgressSchema } from './evaluation-view.ts';
import {
  type ProbeRunView,
  probeRunSchema,
  probeStateSchema,
  toProbeRunView,
  toProbeStateView,
} from './probe-view.ts';
import { addRoute, readBody } from './route.ts';
import { streamRun } from './run-stream.ts';

const runRequestSchema = z
  .strictObject({
    prompt: z.string().min(1).max(200),
    suite: z.string().min(1).max(200).default(defaultSuiteName),
    stream: z.boolean().default(false),
  })
  .openapi('ProbeRunRequest');

export function addProbesRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway, log: ErrorLog): void {
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
      stream: z.union([trialProgressSchema, probeRunSchema]),
    },
    async (c) => {
      const { prompt: promptName, suite, stream } = await readBody(c, runRequestSchema);
      const asked = { actor: c.get('actor'), promptName, suite, requestId: c.get('requestId') };
      if (!stream) return c.json(await runNow(gateway, { ...asked, signal: c.req.raw.signal }));
      return streamRun(c, log, ({ signal, started, progressed }) =>
        runNow(gateway, {
          ...asked,
          signal,
          onStart: ({ run, trials }) => started({ run_id: run.runId, trials }),
          onTrial: progressed,
        }),
      );
    },
  );
}

async function runNow(gateway: Gateway, request: Omit<ProbeRequest, 'dueAt'>): Promise<ProbeRunView> {
  const report = await gateway.runProbe({ ...request, dueAt: null });
  if (!report) throw new PromptgateError('internal', 'The run has no outcome.');
  return toProbeRunView(report);
}
