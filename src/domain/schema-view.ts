/**
 * What a JSON Schema says about a place inside a value, for checking a template before any value exists. A view is the
 * list of alternatives that may describe the place (unions, references and combinations are flattened); it errs
 * towards "perhaps", because the schema itself is enforced on every call.
 */
import { isObject, type Json, type JsonObject } from './json.ts';
import type { MediaKind } from './media.ts';

type Alternative = JsonObject | true;
export type SchemaView = readonly Alternative[];

const anything: SchemaView = [true];
const allKinds = ['string', 'number', 'boolean', 'null', 'object', 'array'] as const;
type Kind = (typeof allKinds)[number];

export interface SchemaReader {
  readonly root: SchemaView;
  /** The view of a member, or an empty list when no alternative declares it. */
  member(view: SchemaView, name: string): SchemaView;
  /** The view of what `{{#each}}` iterates over. */
  items(view: SchemaView): SchemaView;
  /** Kinds of value that the view admits. */
  kinds(view: SchemaView): ReadonlySet<Kind>;
  /** The kind of image or file that every value of the view is, null aside; undefined when that is not sure. */
  media(view: SchemaView): MediaKind | undefined;
  /** Names that the view declares. */
  names(view: SchemaView): readonly string[];
  /** True when a value may lack the member. */
  optional(view: SchemaView, name: string): boolean;
}

export function createSchemaReader(schema: JsonObject): SchemaReader {
  const views = new Map<Json, SchemaView>();

  function expand(part: Json | undefined): SchemaView {
    if (part === undefined) return anything;
    let view = views.get(part);
    if (view === undefined) {
      view = flatten(part, schema);
      if (isObject(part)) views.set(part, view);
    }
    return view;
  }

  function member(view: SchemaView, name: string): SchemaView {
    return unique(view.flatMap((alternative) => memberOf(alternative, name)));
  }

  function memberOf(alternative: Alternative, name: string): SchemaView {
    if (alternative === true) return anything;
    if (alternative.media !== undefined) return [];
    const admitted = kindsOf(alternative);
    const inArray = admitted.includes('array') && /^(0|[1-9]\d*)$/.test(name) ? itemsOf(alternative) : [];
    if (!admitted.includes('object')) return inArray;
    const properties = isObject(alternative.properties) ? alternative.properties : undefined;
    if (properties !== undefined && Object.hasOwn(properties, name)) return expand(properties[name]);
    const pattern = patternOf(alternative, name);
    if (pattern !== undefined) return expand(pattern);
    // Strict where JSON Schema is open: a schema that lists properties declares these and no others.
    if (alternative.additionalProperties === undefined && properties !== undefined) return inArray;
    return [...inArray, ...expand(alternative.additionalProperties)];
  }

  function itemsOf(alternative: JsonObject): SchemaView {
    const tuple = Array.isArray(alternative.prefixItems) ? alternative.prefixItems : [];
    return [...tuple.flatMap((item) => expand(item)), ...expand(alternative.items)];
  }

  function items(view: SchemaView): SchemaView {
    const found = view.flatMap((alternative): SchemaView => {
      if (alternative === true) return anything;
      const admitted = kindsOf(alternative);
      const values = isObject(alternative.properties) ? Object.values(alternative.properties) : [];
      const closed = alternative.additionalProperties === undefined && values.length > 0;
      return [
        ...(admitted.includes('array') ? itemsOf(alternative) : []),
        ...(admitted.includes('object') ? values.flatMap((value) => expand(value)) : []),
        ...(admitted.includes('object') && !closed ? expand(alternative.additionalProperties) : []),
      ];
    });
    return unique(found);
  }

  return {
    root: expand(schema),
    member,
    items,
    kinds: (view) => new Set(view.flatMap((part) => (part === true ? allKinds : kindsOf(part)))),
    media: mediaOf,
    names: (view) =>
      view.flatMap((part) =>
        part !== true && isObject(part.properties) ? Object.keys(part.properties) : [],
      ),
    optional: (view, name) =>
      view.every((part) => part === true || !Array.isArray(part.required) || !part.required.includes(name)),
  };
}

function mediaOf(view: SchemaView): MediaKind | undefined {
  const found = new Set(
    view.flatMap((part) => {
      if (part === true) return [undefined];
      return part.type === 'null' || part.const === null ? [] : [part.media as MediaKind | undefined];
    }),
  );
  return found.size === 1 ? [...found][0] : undefined;
}

/** The alternatives of a schema: references followed, `anyOf`, `oneOf`, `allOf`, `then` and `else` side by side. */
function flatten(schema: Json, root: JsonObject): SchemaView {
  const seen = new Set<Json>();
  const found: Alternative[] = [];
  const pending: (Json | undefined)[] = [schema];
  while (pending.length > 0) {
    const part = pending.pop();
    if (part === true) found.push(true);
    if (!isObject(part) || seen.has(part)) continue;
    seen.add(part);
    const before = pending.length;
    if (typeof part.$ref === 'string') pending.push(resolve(part.$ref, root));
    for (const keyword of ['anyOf', 'oneOf', 'allOf']) {
      if (Array.isArray(part[keyword])) pending.push(...part[keyword]);
    }
    for (const keyword of ['then', 'else']) {
      if (Object.hasOwn(part, keyword)) pending.push(part[keyword]);
    }
    const combined = pending.length > before;
    if (!combined || describing.some((keyword) => Object.hasOwn(part, keyword))) found.push(part);
  }
  return found;
}

const describing = ['type', 'enum', 'const', 'properties', 'additionalProperties', 'items', 'prefixItems'];

/** The schema that a local reference points at; `true` for one that leaves the document. */
function resolve(reference: string, root: JsonObject): Json {
  if (reference === '#') return root;
  if (!reference.startsWith('#/')) return true;
  let part: Json | undefined = root;
  for (const escaped of reference.slice(2).split('/')) {
    const key = escaped.replaceAll('~1', '/').replaceAll('~0', '~');
    if (!isObject(part) || !Object.hasOwn(part, key)) return true;
    part = part[key];
  }
  return part ?? true;
}

/** An image or a file has none: it is neither shown as text nor iterated over. */
function kindsOf(schema: JsonObject): readonly Kind[] {
  if (schema.media !== undefined) return [];
  if (schema.type !== undefined) {
    const types = Array.isArray(schema.type) ? schema.type : [schema.type];
    return types.map((type) => (type === 'integer' ? 'number' : type)) as Kind[];
  }
  if (Array.isArray(schema.enum)) return schema.enum.map(kindOf);
  if (schema.const !== undefined) return [kindOf(schema.const)];
  if (isObject(schema.properties)) return ['object'];
  if (schema.items !== undefined || schema.prefixItems !== undefined) return ['array'];
  return allKinds;
}

function kindOf(value: Json): Kind {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : (typeof value as Kind);
}

function patternOf(schema: JsonObject, name: string): Json | undefined {
  if (!isObject(schema.patternProperties)) return undefined;
  for (const [pattern, part] of Object.entries(schema.patternProperties)) {
    if (new RegExp(pattern, 'u').test(name)) return part;
  }
  return undefined;
}

function unique(view: SchemaView): SchemaView {
  return view.includes(true) ? anything : [...new Set(view)];
}
