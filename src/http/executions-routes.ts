import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { ExecutionFilter } from '../application/audit-store.ts';
import type { Gateway } from '../application/gateway.ts';
import { parameterNames } from '../domain/definition-keys.ts';
import { PromptgateError } from '../domain/errors.ts';
import { executionPurposes, executionStatuses } from '../domain/execution.ts';
import type { JsonObject } from '../domain/json.ts';
import { callPrompt } from './call-prompt.ts';
import type { HttpEnvironment } from './context.ts';
import type { ErrorLog } from './error-response.ts';
import { executionDialect, streamEventSchema } from './execution-dialect.ts';
import {
  executionDetailSchema,
  executionSchema,
  toExecutionDetail,
  toExecutionView,
} from './execution-view.ts';
import { messageSchema, toMessage } from './message-schema.ts';
import { type OverrideKeys, readOverrides } from './overrides.ts';
import { addRoute, jsonObjectSchema, pathParam, readBody, readQuery } from './route.ts';

const executeBodySchema = z
  .strictObject({
    variables: jsonObjectSchema.default({}),
    label: z.string().min(1).max(64).optional().openapi({ description: 'Default: `production`.' }),
    version: z.number().int().min(1).max(2_147_483_647).optional(),
    messages: z
      .array(messageSchema)
      .max(1_000)
      .optional()
      .openapi({ description: "Earlier turns; they take the place of the definition's {{history}}." }),
    model: z.string().optional().openapi({ description: 'Where the definition lets callers override it.' }),
    parameters: jsonObjectSchema.optional().openapi({
      description: 'The same, by the names of `config` in a definition: `{temperature: 0}`.',
    }),
    tools: z
      .array(z.unknown())
      .optional()
      .openapi({ description: 'The same: `{name, description?, input_schema?}` for each.' }),
    output: jsonObjectSchema
      .optional()
      .openapi({ description: 'The same: `{format: "text" | "json", schema?}`, in JSON Schema.' }),
    metadata: jsonObjectSchema.optional(),
    stream: z
      .boolean()
      .default(false)
      .openapi({ description: 'Server-sent events: `execution`, `delta` …, `done` or `error`.' }),
  })
  .openapi('ExecuteRequest');

/** Our own spelling is the definition's. */
const executionOverrides: OverrideKeys = {
  parameters: Object.fromEntries(parameterNames.map((name) => [name, [`parameters.${name}`]])),
  tools: 'tools',
  output: ['output'],
};

const listQuerySchema = z.strictObject({
  prompt: z.string().optional(),
  version: z.coerce.number().int().min(1).optional(),
  label: z.string().optional(),
  status: z.enum(executionStatuses).optional(),
  key: z.uuid().optional().openapi({ description: 'Id of an API key.' }),
  purpose: z.enum(executionPurposes).optional(),
  run: z.uuid().optional().openapi({ description: 'Id of an evaluation, batch or probe.' }),
  trace_id: z.string().max(64).optional(),
  provider_request_id: z
    .string()
    .max(200)
    .optional()
    .openapi({ description: 'As the provider named the request in its answer.' }),
  request_id: z
    .string()
    .max(128)
    .optional()
    .openapi({ description: 'Ours, from `x-request-id`. Looks at the last day unless `since` says more.' }),
  since: z.iso.datetime({ offset: true }).optional(),
  until: z.iso.datetime({ offset: true }).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50).openapi({
    description: 'A page of large executions is shorter; `next_cursor` tells whether more follow.',
  }),
  cursor: z.uuid().optional(),
});

export function addExecutionRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway, log: ErrorLog): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/prompts/{name}/executions',
      summary: 'Execute a prompt by name',
      tag: 'executions',
      scope: 'execute',
      params: z.object({ name: z.string() }),
      body: executeBodySchema,
      response: executionSchema,
      stream: streamEventSchema,
    },
    async (c) => {
      const body = await readBody(c, executeBodySchema);
      const call = {
        ...body,
        ...readOverrides(body as JsonObject, executionOverrides),
        messages: body.messages?.map(toMessage),
        promptName: pathParam(c, 'name'),
      };
      return callPrompt(c, { gateway, log }, call, executionDialect);
    },
  );
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/executions',
      summary: 'List executions, newest first',
      tag: 'executions',
      scope: 'execute',
      query: listQuerySchema,
      response: z.object({ data: z.array(executionSchema), next_cursor: z.string().nullable() }),
    },
    async (c) => {
      const query = readQuery(c, listQuerySchema);
      const page = { limit: query.limit, ...(query.cursor ? { before: query.cursor } : {}) };
      const { executions, nextCursor } = await gateway.listExecutions(c.get('actor'), toFilter(query), page);
      return c.json({ data: executions.map(toExecutionView), next_cursor: nextCursor });
    },
  );
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/executions/{id}',
      summary: 'Read one execution with everything that explains it',
      tag: 'executions',
      scope: 'execute',
      params: z.object({ id: z.uuid() }),
      response: executionDetailSchema,
    },
    async (c) => {
      const id = z.uuid().safeParse(c.req.param('id'));
      if (!id.success) throw new PromptgateError('invalid_request', 'An execution id is a UUID.');
      return c.json(toExecutionDetail(await gateway.getExecution(c.get('actor'), id.data)));
    },
  );
}

function toFilter(query: z.infer<typeof listQuerySchema>): ExecutionFilter {
  return {
    ...(query.prompt ? { promptName: query.prompt } : {}),
    ...(query.version ? { promptVersion: query.version } : {}),
    ...(query.label ? { label: query.label } : {}),
    ...(query.status ? { status: query.status } : {}),
    ...(query.key ? { keyId: query.key } : {}),
    ...(query.purpose ? { purpose: query.purpose } : {}),
    ...(query.trace_id ? { traceId: query.trace_id } : {}),
    ...(query.provider_request_id ? { providerRequestId: query.provider_request_id } : {}),
    ...(query.request_id ? { requestId: query.request_id } : {}),
    ...(query.run ? { runId: query.run } : {}),
    ...sinceOf(query),
    ...(query.until ? { until: new Date(query.until) } : {}),
  };
}

/** No index knows our request ids, which cost every call one: without a time the last day is looked at. */
function sinceOf({ since, request_id }: z.infer<typeof listQuerySchema>): { since?: Date } {
  if (since) return { since: new Date(since) };
  return request_id ? { since: new Date(Date.now() - 86_400_000) } : {};
}
