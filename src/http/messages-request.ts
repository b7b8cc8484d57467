/** A request to Anthropic's Messages API as the call of a prompt. */
import { z } from '@hono/zod-openapi';
import { type BodyKeys, refuseOtherKeys } from './body-keys.ts';
import type { PromptCall, PromptTarget } from './call-prompt.ts';
import { type PromptReference, readModelReference, refuseRawCall } from './prompt-reference.ts';
import { jsonObjectSchema } from './route.ts';
import { readTurns } from './turns.ts';

export const messagesBodySchema = z
  .looseObject({
    model: z.string().nullish().openapi({ description: '`prompt/name@label`' }),
    variables: jsonObjectSchema.nullish().openapi({ description: "The prompt's; Anthropic has none." }),
    messages: z.unknown().optional().openapi({ description: 'Fill {{history}}: messages.' }),
    max_tokens: z
      .number()
      .nullish()
      .openapi({ description: "Its clients demand one; the definition's limit holds." }),
    metadata: jsonObjectSchema.nullish(),
    stream: z.boolean().nullish(),
  })
  .openapi('MessagesRequest');

type MessagesBody = z.infer<typeof messagesBodySchema>;

const keys: BodyKeys = {
  // max_tokens: a client cannot leave it out, so a refusal would lock every one out.
  passes: ['model', 'variables', 'messages', 'max_tokens', 'metadata', 'stream'],
  governed: [
    ...['system', 'temperature', 'top_k', 'top_p', 'stop_sequences', 'thinking', 'tools', 'tool_choice'],
    ...['output_config', 'output_format', 'service_tier', 'inference_geo', 'speed', 'cache_control'],
    ...['container', 'context_management', 'mcp_servers'],
  ],
  unsupported: {},
  harmless: { service_tier: 'auto' },
};

/** @throws PromptgateError invalid_request — a raw call */
export function readMessagesReference(body: MessagesBody): PromptReference {
  const reference = readModelReference(body.model);
  if (!reference) throw refuseRawCall('model', '`model: "prompt/name@label"` with `variables`');
  return reference;
}

/** @throws PromptgateError invalid_request */
export function toMessagesCall(body: MessagesBody, target: PromptTarget): PromptCall {
  refuseOtherKeys(body, keys);
  return {
    ...target,
    variables: body.variables ?? {},
    messages: readTurns(body.messages, 'messages'),
    metadata: body.metadata ?? undefined,
    stream: body.stream ?? false,
  };
}
