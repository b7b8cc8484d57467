/** Failures as OpenAI's clients read them, with the gateway's codes. */
import { z } from '@hono/zod-openapi';
import type { PromptgateError } from '../domain/errors.ts';

export const openaiErrorSchema = z
  .object({
    error: z.object({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable().openapi({ description: 'The first place that is wrong.' }),
      code: z.string().openapi({ description: 'A code of the error table.' }),
      execution_id: z.string().nullable(),
    }),
  })
  .openapi('OpenaiError');

export function toOpenaiErrorBody(error: PromptgateError): z.infer<typeof openaiErrorSchema> {
  return {
    error: {
      message: error.message,
      type: toType(error.kind.httpStatus),
      param: error.issues[0]?.path ?? null,
      code: error.code,
      execution_id: error.executionId,
    },
  };
}

/** OpenAI tells by the type whose turn it is. */
function toType(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}
