/** Assertions about the JSON of an answer. */
import { parse as parseYaml } from 'yaml';
import { AssertionCrash, type CompileAssertion, type JudgedAnswer, type Match } from './assertion-type.ts';
import type { Json, JsonObject } from './json.ts';
import { type CompiledSchema, compileSchema } from './json-schema.ts';

export const jsonTypes: Readonly<Record<string, CompileAssertion>> = {
  'is-json': withSchema(({ output }, schema) => {
    try {
      return findMisfit(JSON.parse(output) as Json, schema);
    } catch {
      return { match: false, why: 'the answer is not JSON' };
    }
  }),
  'contains-json': withSchema(({ output }, schema) => {
    const objects = findObjects(output);
    const [first] = objects;
    if (first === undefined) return { match: false, why: 'the answer contains no JSON' };
    return (
      objects.map((object) => findMisfit(object, schema)).find(({ match }) => match) ??
      findMisfit(first, schema)
    );
  }),
};

function withSchema(
  find: (answer: JudgedAnswer, schema: CompiledSchema | undefined) => Match,
): CompileAssertion {
  return ({ value }, complain) => {
    if (value === undefined || value === null || value === '') return (answer) => find(answer, undefined);
    try {
      const schema = readSchema(value);
      schema.prove();
      return (answer) => find(answer, schema);
    } catch (error) {
      complain('value', `The value is no JSON schema: ${(error as Error).message.split('\n')[0]}.`);
      return undefined;
    }
  };
}

function readSchema(value: Json): CompiledSchema {
  const read = typeof value === 'string' ? (parseYaml(value) as Json) : value;
  if (typeof read !== 'object' || read === null || Array.isArray(read)) throw new Error('it is no mapping');
  // Names a draft; what suites use is the same in all of them.
  const { $schema: _, ...schema } = read as JsonObject;
  return compileSchema(schema);
}

function findMisfit(value: Json, schema: CompiledSchema | undefined): Match {
  const [issue, ...more] = schema?.validate(value, 'output') ?? [];
  if (!issue) return { match: true, why: 'the answer is JSON of the schema' };
  const rest = more.length > 0 ? `, and ${more.length} more` : '';
  return { match: false, why: `${issue.path} ${issue.message}${rest}` };
}

/** A longer one is not looked at: what is tried grows with the square. */
const maxObjectLength = 100_000;
/** Characters read for one answer. Braces that nobody closes would hold up the gateway for minutes. */
const maxRead = 10_000_000;

/** Objects inside a text, outermost ones, in order. An object that is cut off at the end of the text is none. */
function findObjects(text: string): JsonObject[] {
  const objects: JsonObject[] = [];
  let read = 0;
  for (let at = text.indexOf('{'); at !== -1; at = text.indexOf('{', at + 1)) {
    const end = findEnd(text, at);
    read += (end ?? Math.min(text.length, at + maxObjectLength)) - at;
    if (read > maxRead)
      throw new AssertionCrash('contains-json: the answer has too many braces to look through');
    if (end === undefined) continue;
    try {
      objects.push(JSON.parse(text.slice(at, end)) as JsonObject);
      at = end - 1;
    } catch {
      // A brace of prose: the next one may open an object.
    }
  }
  return objects;
}

function findEnd(text: string, start: number): number | undefined {
  let depth = 0;
  let quoted = false;
  const last = Math.min(text.length, start + maxObjectLength);
  for (let at = start; at < last; at++) {
    const character = text[at];
    if (quoted) {
      if (character === '\\') at++;
      else if (character === '"') quoted = false;
    } else if (character === '"') quoted = true;
    else if (character === '{') depth++;
    else if (character === '}' && --depth === 0) return at + 1;
  }
  return undefined;
}
