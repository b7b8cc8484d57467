import { isObject, type Json, type JsonObject } from '../domain/json.ts';

/**
 * Whether OpenAI's strict mode takes this schema: every object closed, every property required. Asking for strict mode
 * with another schema would fail the call; without it the schema still guides the model and is checked by us.
 */
export function isStrictSchema(schema: JsonObject): boolean {
  return everyObject(schema, ({ properties, required, additionalProperties }) => {
    if (additionalProperties !== false) return false;
    const names = isObject(properties) ? Object.keys(properties) : [];
    return names.every((name) => Array.isArray(required) && required.includes(name));
  });
}

function everyObject(value: Json, holds: (schema: JsonObject) => boolean): boolean {
  if (Array.isArray(value)) return value.every((item) => everyObject(item, holds));
  if (!isObject(value)) return true;
  const types = Array.isArray(value.type) ? value.type : [value.type];
  if (types.includes('object') && !holds(value)) return false;
  return Object.values(value).every((child) => everyObject(child, holds));
}
