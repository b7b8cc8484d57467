/** Failures as Anthropic's clients read them, with the gateway's code beside its type. */
import { z } from '@hono/zod-openapi';
import type { PromptgateError } from '../domain/errors.ts';

export const anthropicErrorSchema = z
  .object({
    type: z.literal('error'),
    error: z.object({
      type: z.string(),
      message: z.string(),
      code: z.string().openapi({ description: 'A code of the error table.' }),
      execution_id: z.string().nullable(),
    }),
    request_id: z.string(),
  })
  .openapi('AnthropicError');

export function toAnthropicErrorBody(
  error: PromptgateError,
  requestId: string,
): z.infer<typeof anthropicErrorSchema> {
  return {
    type: 'error',
    error: {
      type: toType(error.kind.httpStatus),
      message: error.message,
      code: error.code,
      execution_id: error.executionId,
    },
    request_id: requestId,
  };
}

function toType(status: number): string {
  return types[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error');
}

const types: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
};
