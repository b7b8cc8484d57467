/** OpenAI's Chat Completions API: prompts by name, answers and chunks in its shapes; and its list of models. */
import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import type { PromptEntry } from '../application/registry-snapshot.ts';
import { callPrompt } from './call-prompt.ts';
import { chatChunkSchema, chatCompletionSchema, createChatDialect } from './chat-dialect.ts';
import { chatBodySchema, howChatNames, toChatCall, toRawChatCall } from './chat-request.ts';
import type { HttpEnvironment } from './context.ts';
import type { ErrorLog } from './error-response.ts';
import { openaiErrorSchema } from './openai-error.ts';
import { findReference, readTarget, toModelReference } from './prompt-reference.ts';
import { addRoute, readBody } from './route.ts';

const modelSchema = z
  .object({
    id: z.string().openapi({ description: '`prompt/name@label`' }),
    object: z.literal('model'),
    created: z.number().int().openapi({ description: 'When the label came to what it holds; Unix seconds.' }),
    owned_by: z.string(),
  })
  .openapi('Model');

export function addChatRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway, log: ErrorLog): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/chat/completions',
      summary: "Execute a prompt in the shapes of OpenAI's Chat Completions API",
      tag: 'compatible',
      scope: 'execute',
      body: chatBodySchema,
      response: chatCompletionSchema,
      stream: chatChunkSchema,
      error: openaiErrorSchema,
    },
    async (c) => {
      const body = await readBody(c, chatBodySchema);
      const target = readTarget(c, gateway, findReference(body), { model: body.model, how: howChatNames });
      const call = target ? toChatCall(body, target) : toRawChatCall(body);
      const includeUsage = body.stream_options?.include_usage === true;
      return callPrompt(c, { gateway, log }, call, createChatDialect({ includeUsage }));
    },
  );
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/models',
      summary: "The prompts and labels that the key may use, as OpenAI's list of models",
      tag: 'compatible',
      scope: 'execute',
      response: z.object({ object: z.literal('list'), data: z.array(modelSchema) }),
      error: openaiErrorSchema,
    },
    (c) => c.json({ object: 'list', data: gateway.listPrompts(c.get('actor')).flatMap(toModels) }),
  );
}

function toModels({ name, labels }: PromptEntry): z.infer<typeof modelSchema>[] {
  return [...labels.values()].map(({ label, movedAt }) => ({
    id: toModelReference(name, label),
    object: 'model',
    created: Math.floor(movedAt.getTime() / 1000),
    owned_by: 'promptgate',
  }));
}
