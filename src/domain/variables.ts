/** The variables of a call: checked against the input schema, and filled in from the definition's defaults. */
import type { Issue } from './errors.ts';
import type { Json, JsonObject } from './json.ts';
import { formatPath, jsonKind } from './json-path.ts';
import type { CompiledSchema } from './json-schema.ts';
import { findJsonFault } from './writable-text.ts';

export type VariablesResult =
  | { readonly valid: true; readonly variables: JsonObject }
  | { readonly valid: false; readonly issues: readonly Issue[] };

/**
 * Checks what a caller sent. Paths start with `variables`; messages never repeat a value. A valid answer carries the
 * variables with the defaults filled in, which is what is rendered, hashed and recorded.
 */
export type ValidateVariables = (sent: unknown) => VariablesResult;

export function compileVariables(compiled: CompiledSchema, defaults: JsonObject): ValidateVariables {
  return function validateVariables(sent) {
    const variables = fillIn(sent, defaults);
    if (variables === undefined) {
      const message = `expected an object of variables, got ${jsonKind(sent as Json | undefined)}`;
      return { valid: false, issues: [{ path: 'variables', message }] };
    }
    const fault = findJsonFault(variables, { prototypeNames: false });
    if (fault !== undefined) {
      return {
        valid: false,
        issues: [{ path: formatPath(fault.path, 'variables'), message: fault.message }],
      };
    }
    const issues = compiled.validate(variables, 'variables');
    return issues.length === 0 ? { valid: true, variables } : { valid: false, issues };
  };
}

/** Default values fill in what is missing, at the top level only, as Dotprompt does. */
function fillIn(sent: unknown, defaults: JsonObject): JsonObject | undefined {
  if (typeof sent !== 'object' || sent === null || Array.isArray(sent)) return undefined;
  // Object.entries and fromEntries keep an own `__proto__` a member, which is then refused, and never a prototype.
  const given = Object.entries(sent).filter(([, value]) => value !== undefined) as [string, Json][];
  return Object.fromEntries([...Object.entries(defaults), ...given]);
}

/**
 * The input schema as it is enforced: an object that takes no other variables than it declares, unless it says
 * otherwise itself.
 */
export function closeInputSchema(schema: JsonObject): JsonObject {
  const open = ['additionalProperties', 'unevaluatedProperties', 'patternProperties'];
  if (open.some((keyword) => Object.hasOwn(schema, keyword))) return schema;
  const combined = ['$ref', 'allOf', 'anyOf', 'oneOf', 'if'].some((keyword) =>
    Object.hasOwn(schema, keyword),
  );
  return combined ? { ...schema, unevaluatedProperties: false } : { ...schema, additionalProperties: false };
}

/** The schema without the demand that variables be present: what a set of defaults has to fit. */
export function withoutRequired(schema: JsonObject): JsonObject {
  const { required: _required, ...rest } = schema;
  return rest;
}
