/**
 * Variables of clients that can add a header to a call but no field to its body, as the AI SDK. JSON is percent-encoded
 * or plain ASCII: a header carries no more.
 */
import { PromptgateError } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import { jsonObjectSchema } from './route.ts';

export const variablesHeader = 'x-promptgate-variables';

/**
 * @param header what came under that name; undefined: nothing
 * @throws PromptgateError invalid_request — no JSON object, or variables in the body, too
 */
export function readVariables(header: string | undefined, inBody: JsonObject): JsonObject {
  if (header === undefined) return inBody;
  if (Object.keys(inBody).length > 0) throw refuse('the body has variables, too; send them in one place');
  const { success, data } = jsonObjectSchema.safeParse(parse(header));
  if (success) return data;
  throw refuse('send a JSON object, encoded as with `encodeURIComponent`');
}

/** Undefined when it is no JSON. Bytes beyond ASCII are refused: which letters they stand for is not said. */
function parse(header: string): unknown {
  try {
    const text = header.startsWith('{') ? header : decodeURIComponent(header);
    return /^[\x20-\x7e]*$/.test(header) ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}

function refuse(message: string): PromptgateError {
  const issues = [{ path: variablesHeader, message }];
  return new PromptgateError('invalid_request', `${variablesHeader}: ${message}.`, { issues });
}
