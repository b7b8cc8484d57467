/** OpenAI's Responses API: prompts by name, answers and events in its shapes. */
import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import { callPrompt } from './call-prompt.ts';
import type { HttpEnvironment } from './context.ts';
import type { ErrorLog } from './error-response.ts';
import { openaiErrorSchema } from './openai-error.ts';
import { readTarget } from './prompt-reference.ts';
import { createResponsesDialect } from './responses-dialect.ts';
import {
  findResponsesReference,
  howResponsesName,
  responsesBodySchema,
  toRawResponsesCall,
  toResponsesCall,
} from './responses-request.ts';
import { addRoute, readBody } from './route.ts';

const responseSchema = z.looseObject({ id: z.string(), object: z.literal('response') }).openapi('Response');
const eventSchema = z
  .looseObject({ type: z.string(), sequence_number: z.number().int() })
  .openapi('ResponseEvent');

export function addResponsesRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway, log: ErrorLog): void {
  const dialect = createResponsesDialect((call) => gateway.findTools(call));
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/responses',
      summary: "Execute a prompt in the shapes of OpenAI's Responses API",
      tag: 'compatible',
      scope: 'execute',
      body: responsesBodySchema,
      response: responseSchema,
      stream: eventSchema,
      error: openaiErrorSchema,
    },
    async (c) => {
      const body = await readBody(c, responsesBodySchema);
      const raw = { model: body.model, how: howResponsesName, path: 'prompt' };
      const target = readTarget(c, gateway, findResponsesReference(body), raw);
      const call = target ? toResponsesCall(body, target) : toRawResponsesCall(body);
      return callPrompt(c, { gateway, log }, call, dialect);
    },
  );
}
