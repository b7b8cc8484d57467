/**
 * Dotprompt's short schema form to JSON Schema. `field: type, description`; `field?` is optional and may be null;
 * `field(array)`, `field(object)`, `field(enum)`; `(*)` types the fields that are not named. Objects take no other
 * fields. What is JSON Schema already (a `type` it knows, or `properties`) passes through.
 */
import { isObject, type Json, type JsonObject } from './json.ts';
import { isPrototypeName, nearestName } from './names.ts';

const scalarTypes = ['string', 'number', 'integer', 'boolean', 'null', 'any'];
/** Of input only. As JSON Schema: what a value may be at all, and the keyword that says what it has to be. */
const mediaTypes = ['image', 'file'];
const containers = ['array', 'object', 'enum'];
const maxDepth = 32;

export interface SchemaIssue {
  /** Keys from the schema down to the place, as they are written, e.g. `['tags(array)', 'name']`. */
  readonly path: readonly string[];
  readonly message: string;
}

export interface SchemaResult {
  readonly schema: JsonObject;
  /** The source was the short form: without issues, its schema is valid by construction. */
  readonly converted: boolean;
  readonly issues: readonly SchemaIssue[];
}

/**
 * Never throws: what is wrong is in `issues`, and the schema is then not to be used.
 * @param options media: the types `image` and `file` are known, as in an input
 */
export function parsePicoschema(source: Json, { media = false } = {}): SchemaResult {
  if (isObject(source) && isJsonSchema(source)) {
    const schema = typeof source.type === 'string' ? source : { ...source, type: 'object' };
    return { schema, converted: false, issues: [] };
  }
  const reading: Reading = { issues: [], types: media ? [...scalarTypes, ...mediaTypes] : scalarTypes };
  const schema = convert(source, [], reading);
  return { schema, converted: true, issues: reading.issues };
}

interface Reading {
  readonly issues: SchemaIssue[];
  readonly types: readonly string[];
}

function isJsonSchema(source: JsonObject): boolean {
  if (typeof source.type === 'string' && [...scalarTypes, 'object', 'array'].includes(source.type))
    return true;
  return isObject(source.properties);
}

function convert(source: Json | undefined, path: readonly string[], reading: Reading): JsonObject {
  if (typeof source === 'string') return scalar(source, path, reading);
  if (!isObject(source)) {
    reading.issues.push({
      path,
      message: 'A type is a word such as `string`, or a mapping of fields to types.',
    });
    return {};
  }
  if (path.length >= maxDepth) {
    reading.issues.push({ path, message: `The schema is nested deeper than ${maxDepth} levels.` });
    return {};
  }
  return objectOf(source, path, reading);
}

function scalar(source: string, path: readonly string[], reading: Reading): JsonObject {
  const { head: type, description } = splitDescription(source);
  if (!reading.types.includes(type)) {
    const meant = nearestName(type, reading.types);
    const inInput = mediaTypes.includes(type)
      ? 'Only what a caller sends holds images and files.'
      : undefined;
    const hint =
      inInput ??
      (meant === undefined ? `The types are ${reading.types.join(', ')}.` : `Did you mean \`${meant}\`?`);
    reading.issues.push({ path, message: `There is no type \`${type}\`. ${hint}` });
  }
  const typed = mediaTypes.includes(type) ? { type: ['string', 'object'], media: type } : { type };
  return { ...(type === 'any' ? {} : typed), ...(description === '' ? {} : { description }) };
}

function objectOf(source: JsonObject, path: readonly string[], reading: Reading): JsonObject {
  const properties: JsonObject = {};
  const required: string[] = [];
  let additionalProperties: Json = false;
  for (const [key, value] of Object.entries(source)) {
    const at = [...path, key];
    if (key === '(*)') {
      additionalProperties = convert(value, at, reading);
      continue;
    }
    const field = parseField(key);
    const fault = fieldFault(field, properties);
    if (field === undefined || fault !== undefined) {
      reading.issues.push({ path: at, message: fault ?? fieldSyntax });
      continue;
    }
    if (!field.optional) required.push(field.name);
    properties[field.name] = fieldSchema(field, value, at, reading);
  }
  return {
    type: 'object',
    properties,
    ...(required.length === 0 ? {} : { required }),
    additionalProperties,
  };
}

const fieldSyntax =
  'A field is written `name`, `name?`, or with `(array)`, `(object)` or `(enum)` after it, optionally with a description.';

interface Field {
  readonly name: string;
  readonly optional: boolean;
  /** `array`, `object`, `enum`, or undefined when the value alone says the type. */
  readonly container: string | undefined;
  readonly description: string;
}

function parseField(key: string): Field | undefined {
  const match = /^\s*([^()?]*?)(\?)?\s*(?:\((.*)\))?\s*$/s.exec(key);
  if (match === null || match[1] === '') return undefined;
  const { head, description } = splitDescription(match[3] ?? '');
  return {
    name: match[1]!,
    optional: match[2] !== undefined,
    container: match[3] === undefined ? undefined : head,
    description,
  };
}

function fieldFault(field: Field | undefined, properties: JsonObject): string | undefined {
  if (field === undefined) return undefined;
  if (isPrototypeName(field.name)) return `\`${field.name}\` is a reserved name.`;
  if (Object.hasOwn(properties, field.name)) return `The field \`${field.name}\` is declared twice.`;
  if (field.container !== undefined && !containers.includes(field.container)) {
    return `In parentheses stands \`array\`, \`object\` or \`enum\`, not \`${field.container}\`.`;
  }
  return undefined;
}

function fieldSchema(
  field: Field,
  value: Json | undefined,
  path: readonly string[],
  reading: Reading,
): JsonObject {
  let schema: JsonObject;
  if (field.container === 'enum') schema = enumOf(field, value, path, reading);
  else if (field.container === 'array') schema = { type: 'array', items: convert(value, path, reading) };
  else schema = convert(value, path, reading);
  if (field.container === 'object' && schema.type !== 'object') {
    reading.issues.push({ path, message: 'After `(object)` stands a mapping of fields to types.' });
  }
  if (field.optional && schema.type !== undefined && schema.type !== 'null') {
    schema = { ...schema, type: [schema.type, 'null'].flat() };
  }
  return field.description === '' ? schema : { ...schema, description: field.description };
}

function enumOf(
  field: Field,
  value: Json | undefined,
  path: readonly string[],
  reading: Reading,
): JsonObject {
  if (!Array.isArray(value) || value.length === 0) {
    reading.issues.push({ path, message: 'After `(enum)` stands a list of values, e.g. `[low, high]`.' });
    return {};
  }
  return { enum: field.optional && !value.includes(null) ? [...value, null] : value };
}

function splitDescription(source: string): { head: string; description: string } {
  const comma = source.indexOf(',');
  if (comma === -1) return { head: source.trim(), description: '' };
  return { head: source.slice(0, comma).trim(), description: source.slice(comma + 1).trim() };
}
