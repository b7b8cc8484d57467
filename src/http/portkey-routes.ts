/** Portkey's prompt endpoints: a prompt in the path, answers in the shapes of OpenAI's chat. */
import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Gateway } from '../application/gateway.ts';
import type { Rendered } from '../application/render-version.ts';
import type { JsonObject } from '../domain/json.ts';
import { toSent } from '../domain/message.ts';
import { type BodyKeys, refuseOtherKeys } from './body-keys.ts';
import { callPrompt, readMetadata } from './call-prompt.ts';
import { chatChunkSchema, chatCompletionSchema, createChatDialect } from './chat-dialect.ts';
import { chatKeys, chatOverrides } from './chat-request.ts';
import type { HttpContext, HttpEnvironment } from './context.ts';
import type { Dialect } from './dialect.ts';
import type { ErrorLog } from './error-response.ts';
import { openaiErrorSchema, toOpenaiErrorBody } from './openai-error.ts';
import { type OverrideKeys, readOverrides, topKeysOf } from './overrides.ts';
import { resolveReference } from './prompt-reference.ts';
import { addRoute, jsonObjectSchema, pathParam, readBody } from './route.ts';
import { readTurns } from './turns.ts';

const bodySchema = z
  .looseObject({
    variables: jsonObjectSchema.nullish(),
    messages: z.unknown().optional().openapi({ description: 'Fill {{history}}: messages.' }),
    metadata: jsonObjectSchema.nullish(),
    stream: z.boolean().nullish(),
    stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  })
  .openapi('PortkeyRequest');

const overrideKeys: OverrideKeys = {
  ...chatOverrides,
  parameters: {
    ...chatOverrides.parameters,
    topK: ['top_k'],
    stopSequences: ['stop', 'stop_sequences'],
  },
};

const keys: BodyKeys = {
  ...chatKeys,
  // prompt_id: the client says it in the body of a rendering, too.
  passes: [
    ...['variables', 'messages', 'metadata', 'stream', 'stream_options', 'user', 'prompt_id', 'model'],
    ...topKeysOf(overrideKeys),
  ],
};

/** A failure in a stream is an event of that name here: what has none is taken for a piece of the answer. */
function createPortkeyDialect(includeUsage: boolean): Dialect {
  const chat = createChatDialect({ includeUsage });
  return {
    ...chat,
    createEvents: () => ({
      ...chat.createEvents(),
      fail: (error) => [{ event: 'error', data: toOpenaiErrorBody(error).error }],
    }),
  };
}

export function addPortkeyRoutes(app: OpenAPIHono<HttpEnvironment>, gateway: Gateway, log: ErrorLog): void {
  const shared = {
    method: 'post',
    tag: 'compatible',
    scope: 'execute',
    params: z.object({ name: z.string() }),
    body: bodySchema,
    error: openaiErrorSchema,
  } as const;

  async function readCall(c: HttpContext) {
    // Its client repeats what fails with 5xx unless it sees this, and a repeated call is bought twice.
    c.header('x-portkey-request-id', c.get('requestId'));
    const target = resolveReference(gateway, c.get('actor'), { path: 'name', id: pathParam(c, 'name') });
    c.set('promptName', target.promptName);
    const body = await readBody(c, bodySchema);
    refuseOtherKeys(body, keys);
    const call = {
      ...target,
      variables: body.variables ?? {},
      messages: readTurns(body.messages, 'messages'),
      ...readOverrides(body as JsonObject, overrideKeys),
      metadata: readMetadata(body),
      stream: body.stream ?? false,
    };
    return { call, includeUsage: body.stream_options?.include_usage === true };
  }

  addRoute(
    app,
    {
      ...shared,
      path: '/v1/prompts/{name}/completions',
      summary: "Execute a prompt in the shapes of Portkey's prompt API",
      response: chatCompletionSchema,
      stream: chatChunkSchema,
    },
    async (c) => {
      const { call, includeUsage } = await readCall(c);
      return callPrompt(c, { gateway, log }, call, createPortkeyDialect(includeUsage));
    },
  );
  addRoute(
    app,
    {
      ...shared,
      path: '/v1/prompts/{name}/render',
      summary: "Render a prompt in the shapes of Portkey's prompt API; no model is called",
      response: z.object({ success: z.boolean(), data: z.looseObject({}) }).openapi('PortkeyRendering'),
    },
    async (c) => {
      const { call } = await readCall(c);
      const rendered = gateway.renderVersion({ ...call, actor: c.get('actor') });
      return c.json({ success: true, data: toRendering(rendered) });
    },
  );
}

function toRendering({ definition, messages }: Rendered): JsonObject {
  const { temperature, topP, maxOutputTokens, stopSequences } = definition.parameters;
  return {
    model: definition.model,
    messages: messages.map(toSent),
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { top_p: topP }),
    ...(maxOutputTokens === undefined ? {} : { max_tokens: maxOutputTokens }),
    ...(stopSequences === undefined ? {} : { stop: [...stopSequences] }),
  };
}
