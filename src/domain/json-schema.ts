/**
 * JSON Schema (draft 2020-12) compiled once and applied many times. The problems come out as sentences that never
 * repeat a value: what a caller sent may be secret, and messages reach logs and other people.
 */
import { Ajv2020, type AnySchemaObject, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import type { Issue } from './errors.ts';
import type { Json, JsonObject } from './json.ts';
import { appendPart, formatPath, jsonKind, type PathPart, showKey } from './json-path.ts';
import { type MediaKind, readMedia } from './media.ts';
import { nearestName } from './names.ts';

/** More problems than this are counted, not listed. */
const maxIssues = 20;
/** A value of more nodes is checked up to its first problem only, so that listing them all cannot be made expensive. */
const maxNodesForAllIssues = 5_000;

const options = {
  strict: true,
  strictTypes: false,
  strictTuples: false,
  strictRequired: false,
  // Formats are annotations in this draft, and a word such as `date` in a schema is no error.
  validateFormats: false,
  // Gives the errors their data, for its type and for its length; the data itself is never shown.
  verbose: true,
} as const;

interface Validators {
  readonly firstIssue: Ajv2020;
  readonly everyIssue: Ajv2020;
}

const plain: Validators = {
  firstIssue: new Ajv2020({ ...options, allErrors: false }),
  everyIssue: new Ajv2020({ ...options, allErrors: true }),
};
/** With the keyword `media: image` or `media: file`, for what callers send. */
const withMedia: Validators = {
  firstIssue: addMedia(new Ajv2020({ ...options, allErrors: false })),
  everyIssue: addMedia(new Ajv2020({ ...options, allErrors: true })),
};

interface MediaCheck {
  (kind: MediaKind, data: Json, parent?: AnySchemaObject): boolean;
  errors?: Partial<ErrorObject>[];
}

function addMedia(ajv: Ajv2020): Ajv2020 {
  const validate: MediaCheck = (kind, data, parent) => {
    // With a `type` beside it, that one judges what is neither text nor an object.
    if (parent?.type !== undefined && typeof data !== 'string' && jsonKind(data) !== 'object') return true;
    const media = readMedia(data, kind);
    if (!('fault' in media)) return true;
    validate.errors = [{ keyword: 'media', message: media.fault, params: {} }];
    return false;
  };
  return ajv.addKeyword({
    keyword: 'media',
    schemaType: 'string',
    metaSchema: { enum: ['image', 'file'] },
    errors: true,
    validate,
  });
}

export interface CompiledSchema {
  /** Throws an Error whose message says in one line what is wrong with the schema. */
  prove(): void;
  /**
   * Problems of a value, with paths below `base`; none when it fits. Never repeats a value. Throws only what `prove`
   * would have thrown.
   */
  validate(value: Json, base: string): readonly Issue[];
}

/**
 * Compiled at the first need: most schemas of a directory of definitions never meet a value, and this is what takes time.
 * @param options media: the schema may say `media`, which only an input has
 */
export function compileSchema(schema: JsonObject, { media = false } = {}): CompiledSchema {
  const { firstIssue, everyIssue } = media ? withMedia : plain;
  let compiled: ValidateFunction | undefined;
  let listIssues: ValidateFunction | undefined;
  const compile = () => {
    compiled ??= compileWith(firstIssue, schema);
    return compiled;
  };
  return {
    prove: () => void compile(),
    validate(value, base) {
      const fits = compile();
      if (fits(value)) return [];
      if (countNodes(value, maxNodesForAllIssues) === 0) return toIssues(fits.errors ?? [], value, base);
      listIssues ??= compileWith(everyIssue, schema);
      listIssues(value);
      return toIssues(listIssues.errors ?? [], value, base);
    },
  };
}

function compileWith(ajv: Ajv2020, schema: JsonObject): ValidateFunction {
  try {
    return ajv.compile(schema);
  } finally {
    // Versions come and go: the shared instance must keep neither them nor their `$id`.
    ajv.removeSchema(schema);
  }
}

/** What is left of the budget after visiting every node of a value; 0 when it is larger. */
function countNodes(value: Json, budget: number): number {
  let left = budget - 1;
  if (typeof value === 'object' && value !== null) {
    for (const member of Array.isArray(value) ? value : Object.values(value)) {
      if (left <= 0) return 0;
      left = countNodes(member, left);
    }
  }
  return Math.max(left, 0);
}

function toIssues(errors: readonly ErrorObject[], value: Json, base: string): Issue[] {
  const unions = errors.filter(({ keyword }) => keyword === 'anyOf' || keyword === 'oneOf');
  const shown = errors.filter(
    (error) =>
      error.keyword !== 'if' &&
      !unions.some((union) => error !== union && error.schemaPath.startsWith(`${union.schemaPath}/`)),
  );
  const issues = (shown.length === 0 ? errors : shown)
    .slice(0, maxIssues)
    .map((error) => toIssue(error, value, base));
  const hidden = shown.length - issues.length;
  if (hidden > 0) issues.push({ path: base, message: `There are ${hidden} more problems.` });
  return issues;
}

function toIssue(error: ErrorObject, value: Json, base: string): Issue {
  const path = formatPath(toParts(error.instancePath, value), base);
  const params = error.params as Record<string, unknown>;
  if (error.keyword === 'required') {
    return { path: appendPart(path, String(params.missingProperty)), message: 'is missing' };
  }
  const unknown = params.additionalProperty ?? params.unevaluatedProperty;
  if (typeof unknown === 'string') return unknownMember(error, unknown, path);
  return { path, message: sentence(error, params) };
}

function unknownMember(error: ErrorObject, name: string, path: string): Issue {
  const properties = Object.keys((error.parentSchema?.properties as JsonObject | undefined) ?? {});
  const meant = nearestName(name, properties);
  const known = properties.length > 12 ? [...properties.slice(0, 12), '…'] : properties;
  const hint = meant === undefined ? `declared: ${known.join(', ') || 'none'}` : `did you mean ${meant}?`;
  return { path: appendPart(path, showKey(name)), message: `is not declared; ${hint}` };
}

function sentence(error: ErrorObject, params: Record<string, unknown>): string {
  switch (error.keyword) {
    case 'type': {
      const kind: MediaKind | undefined = error.parentSchema?.media;
      const media = kind && readMedia(error.data as Json, kind);
      if (media && 'fault' in media) return media.fault;
      const types = Array.isArray(params.type) ? params.type : [params.type];
      return `expected ${types.join(' or ')}, got ${numberKind(error.data, types)}`;
    }
    case 'enum': {
      const allowed = JSON.stringify(params.allowedValues);
      return allowed.length > 200
        ? 'is not one of the allowed values'
        : `must be one of ${allowed.slice(1, -1)}`;
    }
    case 'anyOf':
    case 'oneOf':
      return `fits ${params.passingSchemas ? 'several' : 'none'} of the alternatives of its schema`;
    default:
      return error.message ?? `does not satisfy ${error.keyword}`;
  }
}

function numberKind(data: unknown, types: readonly unknown[]): string {
  const kind = jsonKind(data as Json);
  return kind === 'number' && types.includes('integer') ? 'a number with a fraction' : kind;
}

/** A JSON pointer as path parts; an index is a number where the value has an array. */
function toParts(pointer: string, value: Json): PathPart[] {
  let current: Json | undefined = value;
  return pointer
    .split('/')
    .slice(1)
    .map((escaped) => {
      const key = escaped.replaceAll('~1', '/').replaceAll('~0', '~');
      const part = Array.isArray(current) ? Number(key) : key;
      current = Array.isArray(current) ? current[Number(key)] : (current as JsonObject | undefined)?.[key];
      return part;
    });
}
