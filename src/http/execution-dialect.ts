/** The gateway's own answers: `execution`, `delta` …, then `done` with the execution or `error` with the error body. */
import { z } from '@hono/zod-openapi';
import type { Dialect } from './dialect.ts';
import { errorBodySchema, toErrorBody } from './error-response.ts';
import { executionSchema, toExecutionView } from './execution-view.ts';

const deltaSchema = z
  .union([
    z.object({ type: z.enum(['text', 'refusal', 'reasoning']), text: z.string() }),
    z
      .object({
        type: z.literal('reasoning_end'),
        signature: z.string().optional(),
        encrypted: z.string().optional(),
        id: z.string().optional(),
      })
      .openapi({ description: 'Ends a block of reasoning; without text before it, it is the whole block.' }),
    z.object({
      type: z.literal('tool_call'),
      index: z.number().int(),
      id: z.string(),
      name: z.string(),
      arguments: z.string(),
    }),
  ])
  .openapi('Delta');

const headSchema = z
  .object({ id: z.string(), prompt: z.string(), version: z.number().int().nullable() })
  .openapi('ExecutionHead');

export const streamEventSchema = z
  .union([headSchema, deltaSchema, executionSchema, errorBodySchema])
  .openapi('ExecutionEvent', {
    description: 'Data of the events `execution`, `delta`, `done` and `error`, in this order.',
  });

export const executionDialect: Dialect = {
  toAnswer: toExecutionView,
  createEvents: () => ({
    begin: ({ id, promptName, promptVersion }) => [
      { event: 'execution', data: { id, prompt: promptName, version: promptVersion } },
    ],
    piece: (delta) => [{ event: 'delta', data: delta }],
    finish: (execution) => [{ event: 'done', data: toExecutionView(execution) }],
    fail: (error, requestId) => [{ event: 'error', data: toErrorBody(error, requestId) }],
  }),
};
