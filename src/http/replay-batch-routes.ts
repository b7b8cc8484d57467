/** Batches of replays over HTTP, with their progress as events. */
import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import type { ReplayBatchRequest } from '../application/replay-executions.ts';
import { maxSample } from '../application/replay-run.ts';
import { maxVersionNumber } from '../domain/names.ts';
import { sampleStrata } from '../domain/replay-sample.ts';
import type { HttpContext, HttpEnvironment } from './context.ts';
import type { ErrorLog } from './error-response.ts';
import { replayBatchSchema, toReplayBatchView } from './replay-batch-view.ts';
import { replayTargetSchema, toTarget } from './replay-routes.ts';
import { addRoute, readBody, readQuery } from './route.ts';
import { readRunId, retryUnansweredSchema, runLimits, runProgress } from './run-request.ts';
import { streamRun } from './run-stream.ts';

const defaultSample = 200;
const weekMs = 7 * 86_400_000;

const suite = z.string().optional().openapi({
  description: 'A registered suite whose assertions judge both sides; default: `default`, if there is one.',
});

const limits = {
  suite,
  calls_per_minute: z.number().min(0.1).max(60_000).optional(),
  ...runLimits,
};

const beginSchema = z
  .strictObject({
    prompt: z.string(),
    from_label: z.string().min(1).max(64).optional(),
    from_version: z.number().int().min(1).max(maxVersionNumber).optional(),
    to: z.strictObject(replayTargetSchema).default({}).openapi({
      description: 'What runs instead; empty: the very same once more.',
    }),
    since: z.iso.datetime().optional().openapi({ description: 'Default: a week ago.' }),
    until: z.iso.datetime().optional(),
    sample: z.number().int().min(1).max(maxSample).default(defaultSample),
    seed: z.string().min(1).max(64).optional(),
    stratify: z.array(z.enum(sampleStrata)).default([]),
    dry_run: z.boolean().default(false).openapi({ description: 'Render only: no provider is called.' }),
    ...limits,
  })
  .openapi('ReplayBatchRequest');

const resumeSchema = z
  .strictObject({
    resume: z.uuid().openapi({ description: 'A batch to go on with: what was answered is not asked again.' }),
    retry_unanswered: retryUnansweredSchema,
    ...limits,
  })
  .openapi('ReplayBatchResumption');

const readQuerySchema = z.strictObject({ suite });

const anyBodySchema = z.union([beginSchema, resumeSchema]);

const pairProgressSchema = z.object({
  ...runProgress,
  same: z.number().int(),
  changed: z.number().int(),
  failed: z.number().int().openapi({ description: 'Without a new answer.' }),
});

export type PairProgressView = z.infer<typeof pairProgressSchema>;

export function addReplayBatchRoutes(
  app: OpenAPIHono<HttpEnvironment>,
  gateway: Gateway,
  log: ErrorLog,
): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/replays',
      summary: 'Run a sample of executions once more, and report how the answers moved',
      tag: 'executions',
      scope: 'publish',
      body: anyBodySchema,
      response: replayBatchSchema,
      stream: z.union([pairProgressSchema, replayBatchSchema]),
    },
    async (c) => {
      const body = await readBody(c, schemaOf);
      const request = toRequest(c, body);
      if (!body.stream) {
        const batch = await gateway.replayExecutions({ ...request, signal: c.req.raw.signal });
        return c.json(toReplayBatchView(batch));
      }
      return streamRun(c, log, async ({ signal, waiting, started, progressed }) => {
        const batch = await gateway.replayExecutions({
          ...request,
          signal,
          onWait: waiting,
          onStart: ({ runId, executionIds, population, question }) =>
            started({ run_id: runId, sample: executionIds.length, population, seed: question.seed }),
          onPair: progressed,
        });
        return toReplayBatchView(batch);
      });
    },
  );
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/replays/{run}',
      summary: 'What a batch of replays has come to, from its rows: nothing is called',
      tag: 'executions',
      scope: 'publish',
      params: z.object({ run: z.uuid() }),
      query: readQuerySchema,
      response: replayBatchSchema,
    },
    async (c) => {
      const { suite } = readQuery(c, readQuerySchema);
      const batch = await gateway.readReplays({
        actor: c.get('actor'),
        runId: readRunId(c),
        ...(suite === undefined ? {} : { suite }),
        requestId: c.get('requestId'),
        signal: c.req.raw.signal,
      });
      return c.json(toReplayBatchView(batch));
    },
  );
}

type Body = z.infer<typeof anyBodySchema>;

/** Each by its own schema, so that what is wrong is said of that one and not of both. */
function schemaOf(given: unknown): z.ZodType<Body> {
  const isResumed = typeof given === 'object' && given !== null && 'resume' in given;
  return isResumed ? resumeSchema : beginSchema;
}

function toRequest(c: HttpContext, body: Body): Omit<ReplayBatchRequest, 'signal'> {
  const { concurrency, budget, calls_per_minute, timeout_ms } = body;
  return {
    actor: c.get('actor'),
    draw: 'resume' in body ? { resume: body.resume } : toDraw(body),
    concurrency,
    ...(body.suite === undefined ? {} : { suite: body.suite }),
    ...(budget === undefined ? {} : { budget }),
    ...(calls_per_minute === undefined ? {} : { callsPerMinute: calls_per_minute }),
    ...(timeout_ms === undefined ? {} : { timeoutMs: timeout_ms }),
    ...('resume' in body ? { retryUnanswered: body.retry_unanswered } : { dryRun: body.dry_run }),
    requestId: c.get('requestId'),
  };
}

function toDraw(
  body: z.infer<typeof beginSchema>,
): Extract<ReplayBatchRequest['draw'], { promptName: string }> {
  const { from_label, from_version, since, until, seed } = body;
  return {
    promptName: body.prompt,
    from: {
      ...(from_label === undefined ? {} : { label: from_label }),
      ...(from_version === undefined ? {} : { version: from_version }),
    },
    instead: toTarget(body.to),
    since: since === undefined ? new Date(Date.now() - weekMs) : new Date(since),
    ...(until === undefined ? {} : { until: new Date(until) }),
    size: body.sample,
    ...(seed === undefined ? {} : { seed }),
    stratify: body.stratify,
  };
}
