/** A request to OpenAI's Responses API as the call of a prompt. */
import { z } from '@hono/zod-openapi';
import type { Json, JsonObject } from '../domain/json.ts';
import { toMediaValue } from '../domain/media.ts';
import { type BodyKeys, rawToolChoice, readOneOf, refuseOtherKeys, toRawKeys } from './body-keys.ts';
import { type PromptCall, type PromptTarget, readMetadata } from './call-prompt.ts';
import { type OverrideKeys, readOverrides, topKeysOf } from './overrides.ts';
import { findReference, type PromptReference, rawTarget, readModelReference } from './prompt-reference.ts';
import { jsonObjectSchema } from './route.ts';
import { readMediaPart } from './turn-parts.ts';
import { readInstructions, readTurns } from './turns.ts';

const versionSchema = z.union([z.string(), z.number()]).nullish();

export const responsesBodySchema = z
  .looseObject({
    prompt: z
      .strictObject({
        id: z.string().openapi({ description: '`name`, `name@label` or an imported `pmpt_…`' }),
        version: versionSchema,
        variables: jsonObjectSchema.nullish(),
      })
      .nullish(),
    prompt_id: z.string().nullish(),
    prompt_version: versionSchema,
    prompt_variables: jsonObjectSchema.nullish(),
    variables: jsonObjectSchema.nullish(),
    input: z.unknown().optional().openapi({ description: 'Fills {{history}}: a text or messages.' }),
    metadata: jsonObjectSchema.nullish(),
    user: z.string().nullish(),
    stream: z.boolean().nullish(),
  })
  .openapi('ResponsesRequest');

type ResponsesBody = z.infer<typeof responsesBodySchema>;

const overrideKeys: OverrideKeys = {
  parameters: {
    temperature: ['temperature'],
    maxOutputTokens: ['max_output_tokens'],
    topP: ['top_p'],
    reasoningEffort: ['reasoning.effort'],
  },
  tools: 'tools',
  output: ['text.format'],
};

const keys: BodyKeys = {
  passes: [
    'model',
    ...topKeysOf(overrideKeys),
    ...['prompt', 'prompt_id', 'prompt_version', 'prompt_variables', 'variables', 'input'],
    ...['metadata', 'user', 'stream', 'stream_options', 'safety_identifier', 'prompt_cache_key'],
  ],
  governed: [
    ...['instructions', 'top_logprobs', 'tool_choice', 'max_tool_calls', 'parallel_tool_calls'],
    ...['service_tier'],
    ...['context_management', 'prompt_cache_retention', 'prompt_cache_options', 'verbosity'],
  ],
  unsupported: {
    store: 'answers are kept in the audit trail (GET /v1/executions), not for later requests; leave it out.',
    background: 'answers are given at once or streamed; leave it out.',
    previous_response_id: 'no conversation is kept here; send the earlier turns as `input`.',
    conversation: 'no conversation is kept here; send the earlier turns as `input`.',
    include: 'an answer holds everything there is; leave it out.',
    truncation: 'the input is never cut; leave it out.',
  },
  harmless: { truncation: 'disabled', parallel_tool_calls: true, tool_choice: 'auto', service_tier: 'auto' },
};

export const howResponsesName = '`prompt: { id: "name@label", variables }`, or `model: "prompt/name@label"`';

/** Undefined: the body names no prompt. @throws PromptgateError invalid_request — it names two, or two versions */
export function findResponsesReference(body: ResponsesBody): PromptReference | undefined {
  const { prompt, prompt_id, prompt_version } = body;
  readOneOf({ prompt, prompt_id });
  readOneOf({ prompt, prompt_version });
  if (prompt) return { path: 'prompt.id', id: prompt.id, version: prompt.version ?? undefined };
  return findReference(body);
}

/** @throws PromptgateError invalid_request */
export function toResponsesCall(body: ResponsesBody, target: PromptTarget): PromptCall {
  const { model, ...rest } = body;
  const named = !body.prompt && !body.prompt_id && readModelReference(model);
  const asked = (named ? rest : body) as JsonObject;
  refuseOtherKeys(asked, keys);
  return {
    ...target,
    variables: readVariables(body),
    messages: readTurns(body.input, 'input'),
    ...readOverrides(asked, overrideKeys),
    metadata: readMetadata(body),
    stream: body.stream ?? false,
  };
}

/** @throws PromptgateError invalid_request */
export function toRawResponsesCall(body: ResponsesBody): PromptCall {
  const { instructions, ...rest } = body;
  refuseOtherKeys(rest, toRawKeys(keys));
  return {
    ...rawTarget,
    messages: [
      ...readInstructions(instructions, 'instructions'),
      ...(readTurns(body.input, 'input', { system: true }) ?? []),
    ],
    ...readOverrides(rest as JsonObject, { ...overrideKeys, toolChoice: rawToolChoice }),
    metadata: readMetadata(body),
    stream: body.stream ?? false,
  };
}

/** OpenAI wraps texts, images and files as `{type: "input_…"}`; every other value is taken as it is. */
function readVariables({ prompt, prompt_variables, variables }: ResponsesBody): JsonObject {
  const { path, value } =
    readOneOf({ 'prompt.variables': prompt?.variables, prompt_variables, variables }) ?? {};
  return Object.fromEntries(
    Object.entries(value ?? {}).map(([name, value]) => [
      name,
      unwrap(value, `${path}.${name.slice(0, 100)}`),
    ]),
  );
}

function unwrap(value: Json, path: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  if (value.type === 'input_text' && typeof value.text === 'string') return value.text;
  if (value.type !== 'input_image' && value.type !== 'input_file') return value;
  const part = readMediaPart(value, path);
  return part ? toMediaValue(part) : value;
}
