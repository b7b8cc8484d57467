/**
 * The contract of a prompt: what a caller may send and what it may rely on in the answer. A change breaks it when
 * a call that was accepted can now be refused (inputs may only widen), or when an answer can now be something that it
 * could not be (outputs may only narrow, fields added). Where two schemas cannot be compared by structure, any
 * difference counts as a break: a false alarm costs one line in a definition, a missed one costs an incident.
 */
import { canonicalJson } from './canonical-json.ts';
import { isObject, type Json, type JsonObject } from './json.ts';
import { type Overridable, toOverridableSchema } from './overridable.ts';

export interface Contract {
  readonly inputSchema: JsonObject;
  /** Values of variables that a caller may leave out. */
  readonly defaults: JsonObject;
  readonly acceptsHistory: boolean;
  /** What a caller may decide in place of the definition. */
  readonly overridable: Overridable;
  readonly outputFormat: 'text' | 'json';
  readonly outputSchema: JsonObject | null;
}

export interface ContractChange {
  /** `input.text`, `input.tags[].name`, `output`, `output.summary`. */
  readonly path: string;
  readonly change:
    | 'added'
    | 'removed'
    | 'required'
    | 'optional'
    | 'retyped'
    | 'narrowed'
    | 'widened'
    | 'changed';
  readonly breaking: boolean;
  /** A sentence for whoever reviews the change. */
  readonly message: string;
}

/** Every difference between two contracts, inputs first; none when they are equal. */
export function compareContracts(before: Contract, after: Contract): ContractChange[] {
  const changes = compareSchemas(
    'input',
    withOptionalDefaults(before.inputSchema, before.defaults),
    withOptionalDefaults(after.inputSchema, after.defaults),
  );
  if (before.acceptsHistory !== after.acceptsHistory) changes.push(historyChange(after.acceptsHistory));
  const [was, is] = [toOverridableSchema(before.overridable), toOverridableSchema(after.overridable)];
  changes.push(...compareSchemas('input', was, is, 'overridable'));
  if (before.outputFormat !== after.outputFormat) {
    const message = `The answer was ${before.outputFormat} and becomes ${after.outputFormat}.`;
    return [...changes, { path: 'output', change: 'retyped', breaking: true, message }];
  }
  if (before.outputSchema === null && after.outputSchema === null) return changes;
  if (after.outputSchema === null) {
    const message = 'The answer no longer has a schema: any JSON can come.';
    return [...changes, { path: 'output', change: 'widened', breaking: true, message }];
  }
  if (before.outputSchema === null) {
    const message = 'The answer gets a schema.';
    return [...changes, { path: 'output', change: 'narrowed', breaking: false, message }];
  }
  return [...changes, ...compareSchemas('output', before.outputSchema, after.outputSchema)];
}

function historyChange(accepted: boolean): ContractChange {
  return accepted
    ? { path: 'messages', change: 'added', breaking: false, message: 'Callers may send `messages`.' }
    : {
        path: 'messages',
        change: 'removed',
        breaking: true,
        message: 'Callers can no longer send `messages`.',
      };
}

/** A required variable that has a default is one that a caller may leave out. */
function withOptionalDefaults(schema: JsonObject, defaults: JsonObject): JsonObject {
  if (!Array.isArray(schema.required)) return schema;
  return { ...schema, required: schema.required.filter((name) => !Object.hasOwn(defaults, String(name))) };
}

type Direction = 'input' | 'output';

function compareSchemas(
  direction: Direction,
  before: JsonObject,
  after: JsonObject,
  root: string = direction,
): ContractChange[] {
  const changes: ContractChange[] = [];
  compareAt(root, before, after);
  return changes;

  function report(path: string, change: ContractChange['change'], breaking: boolean, message: string): void {
    changes.push({ path, change, breaking, message });
  }

  function reportRange(path: string, narrows: boolean, widens: boolean, message: string): void {
    const change = narrows && widens ? 'retyped' : narrows ? 'narrowed' : 'widened';
    report(path, change, direction === 'input' ? narrows : widens, message);
  }

  function compareAt(path: string, one: Json | undefined, two: Json | undefined): void {
    const from = toSchema(one);
    const to = toSchema(two);
    if (canonicalJson(from) === canonicalJson(to)) return;
    if (listedValues(from) && listedValues(to)) compareLists(path, from, to);
    else compareTypes(path, from, to);
    compareBounds(path, from, to);
    if (describesObject(from) || describesObject(to)) compareMembers(path, from, to);
    if (from.items !== undefined || to.items !== undefined) compareAt(`${path}[]`, from.items, to.items);
    for (const keyword of new Set([...Object.keys(from), ...Object.keys(to)])) {
      if (understood.has(keyword) || same(from[keyword], to[keyword])) continue;
      report(path, 'changed', true, `\`${keyword}\` changed in a way that only a person can judge.`);
    }
  }

  function compareLists(path: string, from: JsonObject, to: JsonObject): void {
    const [before, after] = [listedValues(from) ?? [], listedValues(to) ?? []];
    const lost = before.filter((value) => !after.includes(value));
    const gained = after.filter((value) => !before.includes(value));
    if (lost.length + gained.length === 0) return;
    const parts = [
      ...(lost.length > 0 ? [`no longer ${lost.join(', ')}`] : []),
      ...(gained.length > 0 ? [`now also ${gained.join(', ')}`] : []),
    ];
    reportRange(path, lost.length > 0, gained.length > 0, `Its values: ${parts.join('; ')}.`);
  }

  function compareTypes(path: string, from: JsonObject, to: JsonObject): void {
    const [before, after] = [typesOf(from), typesOf(to)];
    const narrows = before.some((type) => !after.includes(type)) || listedValues(to) !== undefined;
    const widens = after.some((type) => !before.includes(type)) || listedValues(from) !== undefined;
    if (!narrows && !widens) return;
    reportRange(path, narrows, widens, `It was ${showType(from)} and becomes ${showType(to)}.`);
  }

  function compareBounds(path: string, from: JsonObject, to: JsonObject): void {
    for (const [keyword, narrowsWhen] of Object.entries(bounds)) {
      const [was, is] = [from[keyword], to[keyword]];
      if (same(was, is)) continue;
      const narrows =
        is !== undefined && (was === undefined || Number(is) > Number(was) === (narrowsWhen === 'rises'));
      reportRange(path, narrows, !narrows, `\`${keyword}\` was ${show(was)} and becomes ${show(is)}.`);
    }
  }

  function compareMembers(path: string, from: JsonObject, to: JsonObject): void {
    const [before, after] = [membersOf(from), membersOf(to)];
    const [requiredBefore, requiredAfter] = [requiredOf(from), requiredOf(to)];
    for (const name of Object.keys(before)) {
      const at = `${path}.${name}`;
      if (!Object.hasOwn(after, name)) {
        removedMember(at, to);
        continue;
      }
      const [was, is] = [requiredBefore.has(name), requiredAfter.has(name)];
      if (was !== is) requirednessChange(at, is);
      // `field?` is both optional and nullable: one change of the author, told once.
      const shown = was === is ? (schema: Json | undefined) => schema : withoutNull;
      compareAt(at, shown(before[name]), shown(after[name]));
    }
    for (const name of Object.keys(after)) {
      if (!Object.hasOwn(before, name)) addedMember(`${path}.${name}`, requiredAfter.has(name));
    }
    compareRest(path, from, to);
  }

  function removedMember(at: string, to: JsonObject): void {
    const open = direction === 'input' && isOpen(to);
    const told = direction === 'input' ? 'Callers that send it are refused.' : 'The answer no longer has it.';
    report(at, 'removed', !open, open ? 'It is no longer declared.' : told);
  }

  function addedMember(at: string, required: boolean): void {
    const told = required ? 'New and required: callers have to send it.' : 'New and optional.';
    report(
      at,
      'added',
      direction === 'input' && required,
      direction === 'input' ? told : 'The answer gets it.',
    );
  }

  function requirednessChange(at: string, required: boolean): void {
    const input = required ? 'Callers have to send it now.' : 'Callers may leave it out.';
    const output = required ? 'The answer always has it.' : 'The answer may lack it now.';
    const breaking = required === (direction === 'input');
    report(at, required ? 'required' : 'optional', breaking, direction === 'input' ? input : output);
  }

  /** A consumer ignores fields that it does not know, whether they are added by name or come undeclared. */
  function compareRest(path: string, from: JsonObject, to: JsonObject): void {
    const [was, is] = [from.additionalProperties ?? true, to.additionalProperties ?? true];
    if (same(was, is)) return;
    if (was !== false && is !== false) compareAt(`${path}.*`, was, is);
    else if (is === false) reportRange(path, true, false, 'It takes no further fields now.');
    else report(path, 'widened', false, 'It takes further fields now.');
  }
}

/** What each keyword does to the set of values when its number rises. */
const bounds: Readonly<Record<string, 'rises' | 'falls'>> = {
  minimum: 'rises',
  exclusiveMinimum: 'rises',
  minLength: 'rises',
  minItems: 'rises',
  minProperties: 'rises',
  maximum: 'falls',
  exclusiveMaximum: 'falls',
  maxLength: 'falls',
  maxItems: 'falls',
  maxProperties: 'falls',
};

/** Compared above, or saying nothing about which values are valid. */
const understood = new Set([
  ...Object.keys(bounds),
  ...['type', 'enum', 'const', 'properties', 'required', 'additionalProperties', 'items', 'media'],
  ...['title', 'description', 'examples', 'default', 'format', 'deprecated', '$comment', '$id', '$schema'],
]);

const allTypes = ['string', 'integer', 'fraction', 'boolean', 'null', 'object', 'array'];

/** `true` and nothing at all admit any value; `false` is told as a keyword of its own. */
function toSchema(schema: Json | undefined): JsonObject {
  if (schema === false) return { not: {} };
  return isObject(schema) ? schema : {};
}

/** The types that a schema admits; a number is an integer or a fraction, so that `integer` is a part of `number`. */
function typesOf(schema: JsonObject): string[] {
  const listed = schema.enum ?? (schema.const === undefined ? undefined : [schema.const]);
  const written = Array.isArray(schema.type) ? schema.type : schema.type === undefined ? [] : [schema.type];
  const types =
    schema.media !== undefined
      ? [String(schema.media), ...written.filter((type) => type === 'null').map(String)]
      : written.length > 0
        ? written.map(String)
        : Array.isArray(listed)
          ? listed.map(typeOfValue)
          : isObject(schema.properties)
            ? ['object']
            : allTypes;
  return [...new Set(types.flatMap((type) => (type === 'number' ? ['integer', 'fraction'] : [type])))];
}

function typeOfValue(value: Json): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'number' ? (Number.isInteger(value) ? 'integer' : 'fraction') : typeof value;
}

function listedValues(schema: JsonObject): string[] | undefined {
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => canonicalJson(value));
  return schema.const === undefined ? undefined : [canonicalJson(schema.const)];
}

/** A schema without the null that an optional field of the short form admits. */
function withoutNull(schema: Json | undefined): Json | undefined {
  if (!isObject(schema)) return schema;
  const { type, enum: values, ...rest } = schema;
  const types = Array.isArray(type) ? type.filter((item) => item !== 'null') : type;
  return {
    ...rest,
    ...(types === undefined ? {} : { type: Array.isArray(types) && types.length === 1 ? types[0]! : types }),
    ...(values === undefined
      ? {}
      : { enum: Array.isArray(values) ? values.filter((value) => value !== null) : values }),
  };
}

function showType(schema: JsonObject): string {
  const listed = listedValues(schema);
  if (listed) return `one of ${listed.join(', ')}`;
  if (schema.media !== undefined) return typesOf(schema).join(' or ');
  if (schema.type === undefined) return isObject(schema.properties) ? 'object' : 'anything';
  return Array.isArray(schema.type) ? schema.type.join(' or ') : String(schema.type);
}

function show(value: Json | undefined): string {
  return value === undefined ? 'not set' : canonicalJson(value);
}

function same(a: Json | undefined, b: Json | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return canonicalJson(a) === canonicalJson(b);
}

function describesObject(schema: JsonObject): boolean {
  return isObject(schema.properties) || schema.additionalProperties !== undefined;
}

function membersOf(schema: JsonObject): JsonObject {
  return isObject(schema.properties) ? schema.properties : {};
}

function requiredOf(schema: JsonObject): ReadonlySet<Json> {
  return new Set(Array.isArray(schema.required) ? schema.required : []);
}

function isOpen(schema: JsonObject): boolean {
  return schema.additionalProperties !== false && schema.unevaluatedProperties !== false;
}
