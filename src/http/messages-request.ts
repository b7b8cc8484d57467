/** A request to Anthropic's Messages API as the call of a prompt. */
import { z } from '@hono/zod-openapi';
import type { JsonObject } from '../domain/json.ts';
import { type BodyKeys, rawToolChoice, refuseOtherKeys, toRawKeys } from './body-keys.ts';
import type { PromptCall, PromptTarget } from './call-prompt.ts';
import { type OverrideKeys, readOverrides, topKeysOf } from './overrides.ts';
import { rawTarget } from './prompt-reference.ts';
import { jsonObjectSchema } from './route.ts';
import { readInstructions, readTurns } from './turns.ts';

export const messagesBodySchema = z
  .looseObject({
    model: z.string().nullish().openapi({ description: '`prompt/name@label`' }),
    variables: jsonObjectSchema.nullish().openapi({ description: "The prompt's; Anthropic has none." }),
    messages: z.unknown().optional().openapi({ description: 'Fill {{history}}: messages.' }),
    max_tokens: z.number().nullish().openapi({
      description:
        "Its clients demand one; the definition's limit holds, unless it lets callers override it.",
    }),
    metadata: jsonObjectSchema.nullish(),
    stream: z.boolean().nullish(),
  })
  .openapi('MessagesRequest');

type MessagesBody = z.infer<typeof messagesBodySchema>;

const overrideKeys: OverrideKeys = {
  parameters: {
    temperature: ['temperature'],
    maxOutputTokens: ['max_tokens'],
    topP: ['top_p'],
    topK: ['top_k'],
    stopSequences: ['stop_sequences'],
    reasoningEffort: ['output_config.effort'],
  },
  tools: 'tools',
  output: ['output_config.format', 'output_format'],
  // A client cannot leave it out, so a refusal would lock every one out.
  demanded: ['maxOutputTokens'],
};

const keys: BodyKeys = {
  passes: ['model', 'variables', 'messages', 'metadata', 'stream', ...topKeysOf(overrideKeys)],
  governed: [
    ...['system', 'thinking', 'tool_choice', 'service_tier', 'inference_geo', 'speed', 'cache_control'],
    ...['container', 'context_management', 'mcp_servers'],
  ],
  unsupported: {},
  // Some clients say so beside every list of tools.
  harmless: { service_tier: 'auto', tool_choice: { type: 'auto' } },
};

export const howMessagesName = '`model: "prompt/name@label"` with `variables`';

/** @throws PromptgateError invalid_request */
export function toMessagesCall(body: MessagesBody, target: PromptTarget): PromptCall {
  const { model: _named, ...asked } = body;
  refuseOtherKeys(asked, keys);
  return {
    ...target,
    variables: body.variables ?? {},
    messages: readTurns(body.messages, 'messages'),
    ...readOverrides(asked as JsonObject, overrideKeys),
    metadata: body.metadata ?? undefined,
    stream: body.stream ?? false,
  };
}

/** @throws PromptgateError invalid_request */
export function toRawMessagesCall(body: MessagesBody): PromptCall {
  const { system, ...rest } = body;
  refuseOtherKeys(rest, toRawKeys(keys));
  return {
    ...rawTarget,
    messages: [...readInstructions(system, 'system'), ...(readTurns(body.messages, 'messages') ?? [])],
    ...readOverrides(rest as JsonObject, { ...overrideKeys, toolChoice: rawToolChoice }),
    metadata: body.metadata ?? undefined,
    stream: body.stream ?? false,
  };
}
