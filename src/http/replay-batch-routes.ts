/** Batches of replays over HTTP, with their progress as events. */
import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import type { ReplayBatchRequest } from '../application/replay-executions.ts';
import { maxSample } from '../application/replay-run.ts';
import { parseMoney } from '../domain/money.ts';
import { maxVersionNumber } from '../domain/names.ts';
import { sampleStrata } from '../domain/replay-sample.ts';
import type { HttpContext, HttpEnvironment } from './context.ts';
import type { ErrorLog } from './error-response.ts';
import { maxConcurrency } from './evaluations-routes.ts';
import { replayBatchSchema, toReplayBatchView } from './replay-batch-view.ts';
import { replayTargetSchema, toTarget } from './replay-routes.ts';
import { addRoute, readBody } from './route.ts';
import { streamRun } from './run-stream.ts';

const defaultConcurrency = 4;
const defaultSample = 200;
const weekMs = 7 * 86_400_000;

const limits = {
  suite: z.string().optional().openapi({
    description: 'A registered suite whose assertions judge both sides; default: `default`, if there is one.',
  }),
  concurrency: z.number().int().min(1).max(maxConcurrency).default(defaultConcurrency),
  budget: z
    .string()
    .refine((text) => parseMoney(text) !== undefined, 'is a decimal, e.g. "0.50"')
    .optional()
    .openapi({ description: 'The most that the batch may cost.' }),
  calls_per_minute: z.number().min(0.1).max(60_000).optional(),
  timeout_ms: z.number().int().min(1).max(86_400_000).optional(),
  stream: z.boolean().default(false),
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
    retry_unanswered: z.boolean().default(false).openapi({
      description: 'Make calls again that got no answer. They may be paid for twice.',
    }),
    ...limits,
  })
  .openapi('ReplayBatchResumption');

const anyBodySchema = z.union([beginSchema, resumeSchema]);

const progressSchema = z.object({
  done: z.number().int(),
  trials: z.number().int(),
  same: z.number().int(),
  changed: z.number().int(),
  failed: z.number().int().openapi({ description: 'Without a new answer.' }),
  spent: z.string(),
});

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
      stream: z.union([progressSchema, replayBatchSchema]),
    },
    async (c) => {
      const body = await readAnyBody(c);
      const request = toRequest(c, body);
      if (!body.stream) {
        const batch = await gateway.replayExecutions({ ...request, signal: c.req.raw.signal });
        return c.json(toReplayBatchView(batch));
      }
      return streamRun(c, log, async ({ signal, started, progressed }) => {
        const batch = await gateway.replayExecutions({
          ...request,
          signal,
          onStart: ({ runId, executionIds, population, question }) =>
            started({ run_id: runId, sample: executionIds.length, population, seed: question.seed }),
          onPair: progressed,
        });
        return toReplayBatchView(batch);
      });
    },
  );
}

type Body = z.infer<typeof anyBodySchema>;

/** Each by its own schema, so that what is wrong is said of that one and not of both. */
async function readAnyBody(c: HttpContext): Promise<Body> {
  const isResumed = z.looseObject({ resume: z.unknown().refine((id) => id !== undefined) });
  const given: unknown = await c.req.json().catch(() => undefined);
  return isResumed.safeParse(given).success ? readBody(c, resumeSchema) : readBody(c, beginSchema);
}

function toRequest(c: HttpContext, body: Body): Omit<ReplayBatchRequest, 'signal'> {
  const { suite, concurrency, budget, calls_per_minute, timeout_ms } = body;
  return {
    actor: c.get('actor'),
    draw: 'resume' in body ? { resume: body.resume } : toDraw(body),
    concurrency,
    ...(suite === undefined ? {} : { suite }),
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
