/** Evaluations over HTTP: run a suite on a version, with its progress as events, and read what runs came to. */
import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { EvaluateRequest } from '../application/evaluate-version.ts';
import type { Gateway } from '../application/gateway.ts';
import { maxVersionNumber } from '../domain/names.ts';
import { maxRepeats } from '../domain/suite-keys.ts';
import type { HttpContext, HttpEnvironment } from './context.ts';
import type { ErrorLog } from './error-response.ts';
import {
  evaluationDetailSchema,
  evaluationReportSchema,
  evaluationSchema,
  toEvaluationDetail,
  toEvaluationView,
  toReportView,
  trialProgressSchema,
} from './evaluation-view.ts';
import { addRoute, pathParam, readBody, readQuery } from './route.ts';
import { readRunId, retryUnansweredSchema, runLimits } from './run-request.ts';
import { streamRun } from './run-stream.ts';

const version = z.number().int().min(1).max(maxVersionNumber);
const texts = z.record(z.string(), z.string());

const bodySchema = z
  .strictObject({
    suite: z
      .union([
        z.string(),
        z.strictObject({ path: z.string().max(500), source: z.string(), files: texts.default({}) }),
      ])
      .optional()
      .openapi({
        description: 'Name of a registered suite, default `default`; or the text of one with its files.',
      }),
    label: z.string().optional(),
    version: version.optional(),
    definition: z
      .strictObject({ path: z.string().max(500), source: z.string(), partials: texts.default({}) })
      .optional()
      .openapi({ description: 'Run this instead of a version; no evidence is recorded.' }),
    judge: z
      .string()
      .regex(/^[a-z0-9][a-z0-9._-]*@\d+$/, 'is a prompt and its version, e.g. grade-answer@3')
      .optional(),
    repeats: z.number().int().min(1).max(maxRepeats).optional(),
    against: z.string().optional().openapi({ description: 'Label whose version is run beside it.' }),
    gate: z.string().optional().openapi({
      description:
        'Label whose gate is to be satisfied: its suite as registered, its tries, and what it holds beside it.',
    }),
    resume: z.uuid().optional().openapi({ description: 'Id of a run to go on with.' }),
    retry_unanswered: retryUnansweredSchema,
    ...runLimits,
  })
  .openapi('EvaluateRequest');

const listQuerySchema = z.strictObject({
  version: z.coerce.number().int().min(1).optional(),
  suite: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(200).default(20),
  cursor: z.coerce.number().int().min(1).optional(),
});

export function addEvaluationRoutes(
  app: OpenAPIHono<HttpEnvironment>,
  gateway: Gateway,
  log: ErrorLog,
): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/prompts/{name}/evaluations',
      summary: 'Run a suite on a version, and record what it came to as evidence',
      tag: 'evaluations',
      scope: 'execute',
      params: z.object({ name: z.string() }),
      body: bodySchema,
      response: evaluationReportSchema,
      stream: z.union([trialProgressSchema, evaluationReportSchema]),
    },
    async (c) => {
      const body = await readBody(c, bodySchema);
      const request = toRequest(c, body);
      if (!body.stream) {
        return c.json(toReportView(await gateway.evaluateVersion({ ...request, signal: c.req.raw.signal })));
      }
      return streamRun(c, log, async ({ signal, waiting, started, progressed }) => {
        const report = await gateway.evaluateVersion({
          ...request,
          signal,
          onWait: waiting,
          onStart: ({ runId, trials, warnings }) =>
            started({ run_id: runId, trials, warnings: warnings.map(toWarning) }),
          onTrial: progressed,
        });
        return toReportView(report);
      });
    },
  );
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/prompts/{name}/evaluations',
      summary: 'What runs of suites said about the versions of a prompt, newest first',
      tag: 'evaluations',
      params: z.object({ name: z.string() }),
      query: listQuerySchema,
      response: z.object({ data: z.array(evaluationSchema), next_cursor: z.number().int().nullable() }),
    },
    async (c) => {
      const { limit, cursor, version, suite } = readQuery(c, listQuerySchema);
      const filter = {
        ...(version === undefined ? {} : { version }),
        ...(suite === undefined ? {} : { suite }),
      };
      const page = { limit: limit + 1, ...(cursor === undefined ? {} : { before: cursor }) };
      const found = await gateway.listEvaluations(c.get('actor'), pathParam(c, 'name'), filter, page);
      const data = found.slice(0, limit);
      return c.json({
        data: data.map(toEvaluationView),
        next_cursor: found.length > limit ? data.at(-1)!.id : null,
      });
    },
  );
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/evaluations/{run}',
      summary: 'One recorded run with its cases',
      tag: 'evaluations',
      params: z.object({ run: z.uuid() }),
      response: evaluationDetailSchema,
    },
    async (c) => {
      return c.json(toEvaluationDetail(await gateway.getEvaluation(c.get('actor'), readRunId(c))));
    },
  );
}

type Unsignalled = Omit<EvaluateRequest, 'signal'>;

function toRequest(c: HttpContext, body: z.infer<typeof bodySchema>): Unsignalled {
  const { definition, timeout_ms, retry_unanswered, stream: _, ...rest } = body;
  return {
    ...dropUndefined(rest),
    actor: c.get('actor'),
    promptName: pathParam(c, 'name'),
    ...(definition ? { draft: definition } : {}),
    ...(timeout_ms === undefined ? {} : { timeoutMs: timeout_ms }),
    retryUnanswered: retry_unanswered,
    requestId: c.get('requestId'),
  } as Unsignalled;
}

function dropUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}

function toWarning({ path, message }: { readonly path: string; readonly message: string }) {
  return { path, message };
}
