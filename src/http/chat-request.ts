/** A request to OpenAI's Chat Completions API as the call of a prompt. */
import { z } from '@hono/zod-openapi';
import type { JsonObject } from '../domain/json.ts';
import { type BodyKeys, rawToolChoice, readOneOf, refuseOtherKeys, toRawKeys } from './body-keys.ts';
import { type PromptCall, type PromptTarget, readMetadata } from './call-prompt.ts';
import { type OverrideKeys, readOverrides, topKeysOf } from './overrides.ts';
import { rawTarget } from './prompt-reference.ts';
import { jsonObjectSchema } from './route.ts';
import { readTurns } from './turns.ts';

export const chatBodySchema = z
  .looseObject({
    model: z.string().nullish().openapi({ description: '`prompt/name@label`' }),
    variables: jsonObjectSchema.nullish().openapi({ description: "The prompt's; OpenAI has none." }),
    prompt_id: z.string().nullish().openapi({ description: "LiteLLM's; then without `model`." }),
    prompt_version: z.union([z.string(), z.number()]).nullish(),
    prompt_variables: jsonObjectSchema.nullish(),
    messages: z.unknown().optional().openapi({ description: 'Fill {{history}}: messages.' }),
    metadata: jsonObjectSchema.nullish(),
    user: z.string().nullish(),
    safety_identifier: z.string().nullish(),
    stream: z.boolean().nullish(),
    stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  })
  .openapi('ChatRequest');

type ChatBody = z.infer<typeof chatBodySchema>;

export const chatOverrides: OverrideKeys = {
  parameters: {
    temperature: ['temperature'],
    maxOutputTokens: ['max_completion_tokens', 'max_tokens'],
    topP: ['top_p'],
    stopSequences: ['stop'],
    frequencyPenalty: ['frequency_penalty'],
    presencePenalty: ['presence_penalty'],
    seed: ['seed'],
    reasoningEffort: ['reasoning_effort'],
  },
  tools: 'tools',
  output: ['response_format'],
};

export const chatKeys: BodyKeys = {
  passes: [
    'model',
    ...topKeysOf(chatOverrides),
    ...['prompt_id', 'prompt_version', 'prompt_variables', 'variables', 'messages', 'metadata', 'user'],
    ...['stream', 'stream_options', 'safety_identifier', 'prompt_cache_key'],
  ],
  governed: [
    ...['verbosity', 'logit_bias', 'logprobs', 'top_logprobs', 'service_tier', 'tool_choice'],
    ...['parallel_tool_calls', 'functions', 'function_call', 'modalities', 'audio', 'prediction'],
    ...['web_search_options', 'moderation', 'prompt_cache_retention', 'prompt_cache_options'],
  ],
  unsupported: {
    n: 'an execution has one answer; leave it out, and call again for another.',
    store: 'answers are kept in the audit trail (GET /v1/executions), not for later requests; leave it out.',
  },
  harmless: { n: 1, parallel_tool_calls: true, tool_choice: 'auto', service_tier: 'auto' },
};

export const howChatNames =
  '`model: "prompt/name@label"` with `variables`, or `prompt_id` with `prompt_variables`';

/** @throws PromptgateError invalid_request */
export function toChatCall(body: ChatBody, target: PromptTarget): PromptCall {
  const { model: _named, ...rest } = body;
  const asked = (body.prompt_id ? body : rest) as JsonObject;
  refuseOtherKeys(asked, chatKeys);
  return {
    ...target,
    variables: readOneOf({ prompt_variables: body.prompt_variables, variables: body.variables })?.value ?? {},
    messages: readTurns(body.messages, 'messages'),
    ...readOverrides(asked, chatOverrides),
    metadata: readMetadata(body),
    stream: body.stream ?? false,
  };
}

/** @throws PromptgateError invalid_request */
export function toRawChatCall(body: ChatBody): PromptCall {
  refuseOtherKeys(body, toRawKeys(chatKeys));
  return {
    ...rawTarget,
    messages: readTurns(body.messages, 'messages', { system: true }),
    ...readOverrides(body as JsonObject, { ...chatOverrides, toolChoice: rawToolChoice }),
    metadata: readMetadata(body),
    stream: body.stream ?? false,
  };
}
