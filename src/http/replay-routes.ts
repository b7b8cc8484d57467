/** Replays over HTTP: one execution once more, beside what it said then. */
import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import type { Replay, ReplayTarget } from '../application/replay-execution.ts';
import { toSent } from '../domain/message.ts';
import { maxVersionNumber } from '../domain/names.ts';
import { readParameters } from '../domain/overrides.ts';
import type { HttpEnvironment } from './context.ts';
import { executionSchema, toExecutionView } from './execution-view.ts';
import { addRoute, jsonObjectSchema, pathParam, readBody } from './route.ts';

/** What runs instead of what was. */
export const replayTargetSchema = {
  version: z.number().int().min(1).max(maxVersionNumber).optional(),
  label: z.string().min(1).max(64).optional(),
  definition: z
    .strictObject({ source: z.string(), partials: z.record(z.string(), z.string()).default({}) })
    .optional()
    .openapi({ description: 'A definition that is no version of the registry.' }),
  model: z.string().min(1).max(256).optional(),
  parameters: jsonObjectSchema
    .optional()
    .openapi({ description: 'By the names of `config` in a definition: `{temperature: 0}`.' }),
};

const replayBodySchema = z
  .strictObject({
    ...replayTargetSchema,
    dry_run: z
      .boolean()
      .default(false)
      .openapi({ description: 'Render only: no provider is called and no row is written.' }),
  })
  .openapi('ReplayRequest');

const changeSchema = z.object({ before: z.unknown(), after: z.unknown() });

const comparisonSchema = z
  .object({
    equal: z
      .boolean()
      .nullable()
      .openapi({ description: 'By hash; null where one of the answers is missing.' }),
    segments: z
      .array(z.object({ kind: z.enum(['same', 'removed', 'added']), text: z.string() }))
      .nullable()
      .openapi({ description: 'The answers by word; null where they are the same text.' }),
    json: z
      .array(changeSchema.extend({ path: z.string() }))
      .nullable()
      .openapi({ description: 'Members that differ; null where one of the answers is no JSON.' }),
    changes: z.array(changeSchema.extend({ name: z.string() })),
  })
  .openapi('AnswerComparison');

const replaySchema = z
  .object({
    original: executionSchema,
    departures: z.array(z.object({ part: z.string(), reason: z.string() })).openapi({
      description: 'What is not as it was when the original ran; empty: exactly the same is asked.',
    }),
    messages: z.array(z.looseObject({ role: z.string() })),
    rendered_hash: z.string(),
    reproduced: z.boolean().openapi({ description: 'Whether the messages are those that were sent then.' }),
    execution: executionSchema.nullable().openapi({ description: 'Null after a dry run.' }),
    comparison: comparisonSchema.nullable(),
  })
  .openapi('Replay');

export function addReplayRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/executions/{id}/replays',
      summary: 'Run an execution once more: the same, or on another version, label, model or definition',
      tag: 'executions',
      scope: 'publish',
      params: z.object({ id: z.string() }),
      body: replayBodySchema,
      response: replaySchema,
    },
    async (c) => {
      const { dry_run, ...target } = await readBody(c, replayBodySchema);
      const replay = await gateway.replayExecution({
        actor: c.get('actor'),
        executionId: pathParam(c, 'id'),
        instead: toTarget(target),
        dryRun: dry_run,
        requestId: c.get('requestId'),
        trace: c.get('trace'),
        signal: c.req.raw.signal,
      });
      return c.json(toReplayView(replay));
    },
  );
}

export function toTarget({
  parameters,
  ...rest
}: Omit<z.infer<typeof replayBodySchema>, 'dry_run'>): ReplayTarget {
  const named = Object.entries(rest).filter(([, value]) => value !== undefined);
  return {
    ...Object.fromEntries(named),
    ...(parameters === undefined ? {} : { parameters: readParameters(parameters, {}) }),
  };
}

function toReplayView(replay: Replay): z.infer<typeof replaySchema> {
  const { original, execution, comparison } = replay;
  return {
    original: toExecutionView(original),
    departures: [...replay.departures],
    messages: replay.messages.map((message) => toSent(message) as { role: string }),
    rendered_hash: replay.renderedHash,
    reproduced: replay.renderedHash === original.renderedHash,
    execution: execution && toExecutionView(execution),
    comparison: comparison && {
      equal: comparison.equal,
      segments: comparison.segments && [...comparison.segments],
      json: comparison.json && [...comparison.json],
      changes: [...comparison.changes],
    },
  };
}
