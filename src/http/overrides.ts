/**
 * What a request of another API asks for in place of the definition, in our words. Each dialect says once how it spells
 * what we know; whether it counts is decided by the definition.
 */
import { PromptgateError } from '../domain/errors.ts';
import { isObject, type Json, type JsonObject } from '../domain/json.ts';
import { type Overrides, type OverrideWording, readParameters } from '../domain/overrides.ts';
import { type Tool, toolNamePattern } from '../domain/tool.ts';
import { refuseOtherKeys, saysNothing } from './body-keys.ts';
import { readToolChoice } from './tool-choice.ts';

/** How an API spells what a definition governs. A key may stand in an object: `reasoning.effort`. */
export interface OverrideKeys {
  /** Keys of the API by the names of `config`; of several for one name one may be set. */
  readonly parameters: Readonly<Record<string, readonly string[]>>;
  readonly tools?: string;
  /** Only where the call brings its own prompt: a definition has no word for it. */
  readonly toolChoice?: string;
  /** Keys under which the form of the answer may stand. */
  readonly output: readonly string[];
  readonly demanded?: readonly string[];
}

export interface AskedOverrides {
  readonly overrides?: Overrides;
  readonly wording?: OverrideWording;
}

/** @throws PromptgateError invalid_request — with the place of what cannot be meant */
export function readOverrides(body: JsonObject, keys: OverrideKeys): AskedOverrides {
  refuseOtherMembers(body, keys);
  const written: JsonObject = {};
  const spelling: Record<string, string> = {};
  for (const [name, places] of Object.entries(keys.parameters)) {
    const [place, other] = places.filter((key) => !saysNothing(valueAt(body, key)));
    if (place === undefined) continue;
    if (other !== undefined) throw refuse(other, `nothing beside ${place}`);
    const value = valueAt(body, place) as Json;
    written[name] = name === 'stopSequences' && typeof value === 'string' ? [value] : value;
    spelling[name] = place;
  }
  const model = readModel(body.model);
  const tools = keys.tools === undefined ? undefined : readTools(body[keys.tools], keys.tools);
  const chosen = keys.toolChoice;
  const toolChoice = chosen === undefined ? undefined : readToolChoice(body[chosen], tools, chosen);
  const place = keys.output.find((key) => !saysNothing(valueAt(body, key)));
  const output = place === undefined ? undefined : readOutput(valueAt(body, place), place);
  const overrides = {
    ...(model === undefined ? {} : { model }),
    ...(Object.keys(written).length === 0 ? {} : { parameters: readParameters(written, spelling) }),
    ...(tools === undefined ? {} : { tools }),
    ...(toolChoice === undefined ? {} : { toolChoice }),
    ...(output === undefined ? {} : { output }),
  };
  if (Object.keys(overrides).length === 0) return {};
  if (place !== undefined) spelling.output = place;
  return { overrides, wording: { spelling, demanded: keys.demanded ?? [] } };
}

/** The keys at the top of a body that are read here. */
export function topKeysOf({ parameters, tools, output }: OverrideKeys): string[] {
  const places = [...Object.values(parameters).flat(), ...output, ...(tools ? [tools] : [])];
  return places.map((place) => place.split('.')[0]!);
}

/** Beside a member that is read others may stand that are not. */
function refuseOtherMembers(body: JsonObject, keys: OverrideKeys): void {
  for (const [top, passes] of membersOf(keys)) {
    const value = body[top];
    if (saysNothing(value)) continue;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse(top, 'an object');
    refuseOtherKeys(value, { passes, governed: [], unsupported: {} }, `${top}.`);
  }
}

/** Of each dialect once: the keys are constants, and every request asks. */
const membersByKeys = new WeakMap<OverrideKeys, ReadonlyMap<string, string[]>>();

/** The members that are read of each object at the top. */
function membersOf(keys: OverrideKeys): ReadonlyMap<string, string[]> {
  let members = membersByKeys.get(keys);
  if (!members) {
    const nested = [...Object.values(keys.parameters).flat(), ...keys.output]
      .map((place) => place.split('.'))
      .filter((parts) => parts.length === 2);
    const grouped = Map.groupBy(nested, ([top]) => top!);
    members = new Map([...grouped].map(([top, parts]) => [top, parts.map(([, member]) => member!)]));
    membersByKeys.set(keys, members);
  }
  return members;
}

function valueAt(body: JsonObject, place: string): Json | undefined {
  const dot = place.indexOf('.');
  if (dot < 0) return body[place];
  const value = body[place.slice(0, dot)];
  return isObject(value) ? value[place.slice(dot + 1)] : undefined;
}

function readModel(value: Json | undefined): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string' && /^[^\s\p{Cc}]{1,200}$/u.test(value)) return value;
  throw refuse('model', 'a model such as gpt-4o-mini or anthropic/claude-sonnet-4-5, without spaces');
}

const maxTools = 128;

/** Tools in the shapes of OpenAI (both APIs) and of Anthropic. Undefined: there are none. */
function readTools(value: Json | undefined, path: string): Tool[] | undefined {
  if (saysNothing(value)) return undefined;
  if (!Array.isArray(value) || value.length > maxTools) throw refuse(path, `at most ${maxTools} tools`);
  const tools = value.map((item, index) => readTool(item, `${path}[${index}]`));
  const names = new Set<string>();
  for (const [index, { name }] of tools.entries()) {
    if (names.has(name)) throw refuse(`${path}[${index}]`, 'a name that no other tool has');
    names.add(name);
  }
  return tools;
}

const toolKeys = {
  // strict: which schemas the provider enforces is decided by the schema. cache_control: without effect on the answer.
  passes: [
    ...['type', 'function', 'name', 'description', 'parameters', 'input_schema', 'strict', 'cache_control'],
  ],
  governed: [],
  unsupported: {},
};

function readTool(item: Json, path: string): Tool {
  if (!isObject(item) || !['function', 'custom', undefined].includes(item.type as string | undefined)) {
    throw refuse(path, 'a function; the tools that a provider runs itself are not taken');
  }
  // Anthropic calls a function custom; OpenAI so calls one whose input is no JSON.
  if (item.type === 'custom' && !isObject(item.input_schema)) {
    throw refuse(path, 'a function with a JSON Schema of its arguments; tools of free text are not taken');
  }
  const said = isObject(item.function) ? item.function : item;
  refuseOtherKeys(said, toolKeys, `${path}.`);
  const { name, description, parameters, input_schema: input } = said;
  if (typeof name !== 'string' || !toolNamePattern.test(name)) {
    throw refuse(`${path}.name`, 'a name of letters, digits, `_` and `-`, at most 64');
  }
  const schema = parameters ?? input ?? { type: 'object', properties: {} };
  if (!isObject(schema)) throw refuse(path, 'a JSON Schema of its arguments');
  if (description !== undefined && description !== null && typeof description !== 'string') {
    throw refuse(`${path}.description`, 'a text');
  }
  return { name, description: description || null, inputSchema: schema };
}

/** `response_format`, `text.format`, `output_config.format` or our own `output`: what the answer has to look like. */
function readOutput(value: Json | undefined, path: string): Overrides['output'] {
  const { type, format, json_schema: named, schema: bare } = isObject(value) ? value : {};
  if (type === 'text' || format === 'text') return { format: 'text', schema: null };
  const schema = isObject(named) ? named.schema : bare;
  if (type === 'json_object' || (format === 'json' && schema === undefined)) {
    return { format: 'json', schema: null };
  }
  if ((type === 'json_schema' || format === 'json') && isObject(schema)) return { format: 'json', schema };
  throw refuse(path, 'text, json_object or json_schema with a schema');
}

function refuse(path: string, expected: string): PromptgateError {
  const message = `expected ${expected}`;
  return new PromptgateError('invalid_request', `${path}: ${message}.`, { issues: [{ path, message }] });
}
