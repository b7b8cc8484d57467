/** Anthropic's Messages API: prompts by name, answers and events in its shapes. */
import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import { anthropicErrorSchema } from './anthropic-error.ts';
import { callPrompt } from './call-prompt.ts';
import type { HttpEnvironment } from './context.ts';
import type { ErrorLog } from './error-response.ts';
import { messagesDialect } from './messages-dialect.ts';
import {
  howMessagesName,
  messagesBodySchema,
  toMessagesCall,
  toRawMessagesCall,
} from './messages-request.ts';
import { readModelReference, readTarget } from './prompt-reference.ts';
import { addRoute, readBody } from './route.ts';

const messageSchema = z.looseObject({ id: z.string(), type: z.literal('message') }).openapi('Message');
const eventSchema = z.looseObject({ type: z.string() }).openapi('MessageEvent');

export function addMessagesRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway, log: ErrorLog): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/messages',
      summary: "Execute a prompt in the shapes of Anthropic's Messages API",
      tag: 'compatible',
      scope: 'execute',
      body: messagesBodySchema,
      response: messageSchema,
      stream: eventSchema,
      error: anthropicErrorSchema,
    },
    async (c) => {
      // Its SDK looks for the request id under this name.
      c.header('request-id', c.get('requestId'));
      const body = await readBody(c, messagesBodySchema);
      const { model } = body;
      const target = readTarget(c, gateway, readModelReference(model), { model, how: howMessagesName });
      const call = target ? toMessagesCall(body, target) : toRawMessagesCall(body);
      return callPrompt(c, { gateway, log }, call, messagesDialect);
    },
  );
}
